"""Runs Penstock's main job on the stack that template.yaml makes on MiniStack, an independent cloud. Exits with 1 at the first thing that is
not as promised.

    infra/ministack/run [--keep-logs]
"""

import argparse
import base64
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import urllib.parse

import cloud as ministack
from cloud import CREDENTIALS, ROOT, STACK, Cloud

ENDED = {"completed", "completed_with_errors", "failed", "cancelled", "expired"}


def step(text):
    print(f"-- {text}", flush=True)


class Api:
    """The deployed API, through API Gateway."""

    def __init__(self, cloud, outputs):
        # https://{id}.execute-api.{region}.amazonaws.com/{stage} on AWS; here the same name, under localhost.
        url = urllib.parse.urlsplit(outputs["ApiUrl"])
        self.host = f"{url.hostname.split('.')[0]}.execute-api.localhost:{cloud.port}"
        self.stage = url.path.rstrip("/")
        self.port = cloud.port
        self.token = None

    def ask(self, method, path, body=None, headers=None, token=None):
        """An answer's status, headers and body, which is JSON where it can be."""
        headers = {"host": self.host, "authorization": f"Bearer {token or self.token}", **(headers or {})}
        if isinstance(body, (dict, list)):
            headers.setdefault("content-type", "application/json")
            body = json.dumps(body)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, self.stage + path, body, headers)
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        with contextlib.suppress(ValueError):
            data = json.loads(data)
        return answer.status, dict(answer.getheaders()), data

    def want(self, status, method, path, body=None, headers=None, token=None):
        """The body of an answer that has this status."""
        found, _, data = self.ask(method, path, body, headers, token)
        assert found == status, f"{method} {path}: {found}, not {status}: {data}"
        return data

    def ended(self, import_id, seconds=60):
        """An import, once it has ended."""
        return until(seconds, f"{import_id} ends", lambda: (found := self.want(200, "GET", f"/v1/imports/{import_id}"))["status"] in ENDED and found)


def until(seconds, what, look):
    """What `look` finds, once it finds something."""
    end = time.monotonic() + seconds
    while True:
        if found := look():
            return found
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.3)


def send(url, method, body, headers):
    """A request to a presigned URL: its status and body."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    try:
        connection.request(method, f"{parts.path}?{parts.query}" if parts.query else parts.path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def multipart(fields, filename, content):
    """A form's body and its media type."""
    boundary = "----penstock"
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields]
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\nContent-Type: text/csv\r\n\r\n'
    body = "".join(parts).encode() + head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
    return body, {"content-type": f"multipart/form-data; boundary={boundary}"}


def upload(api, content):
    """A new import of products with its file uploaded by the presigned PUT."""
    created = api.want(201, "POST", "/v1/imports", {"kind": "products", "filename": "products.csv"})
    put = created["upload"]
    status, body = send(put["url"], put["method"], content, put["headers"])
    assert status == 200, f"{status}: {body}"
    return created


def keys(api, cloud):
    """The first key, which the command makes, and one of a shop, which the first makes."""
    environment = {"PATH": os.environ["PATH"], "AWS_ENDPOINT_URL": cloud.url, **CREDENTIALS}
    command = [ROOT / "target/debug/penstock", "keys", "bootstrap", "--stack", STACK]
    made = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    admin = made.stdout.strip()
    api.want(401, "GET", "/v1/imports", token="key_0.0")
    # An admin key imports nothing.
    api.want(403, "GET", "/v1/imports", token=admin)
    scopes = ["import:read", "import:write", "import:delete"]
    api.token = api.want(201, "POST", "/v1/keys", {"account": "shop", "scopes": scopes}, token=admin)["token"]


def native(api):
    """Create, presigned PUT, S3 event, chunks, validation, status, errors, rejected file; the form; once and no second time."""
    rows = b"sku,name,brand,cost\n" + b"".join(b"TV-%04d,Television %d,Acme,%d.99\n" % (n, n, n) for n in range(1, 3001))
    rows += b"TV-BAD,Television,Acme,cheap\n"
    created = upload(api, rows)
    ended = api.ended(created["id"])
    assert ended["status"] == "completed_with_errors", ended
    counted = {name: ended["rows"][name] for name in ("total", "created", "failed")}
    assert counted == {"total": 3001, "created": 3000, "failed": 1}, counted
    errors = api.want(200, "GET", f"/v1/imports/{created['id']}/errors")
    found = {(error["row"], error["line"], error["field"]) for error in errors["errors"]}
    assert (3001, 3002, "cost") in found, errors
    record = api.want(200, "GET", "/v1/records/products/TV-0042")
    assert "Television 42" in json.dumps(record), record
    _, headers, _ = until(30, "the rejected rows", lambda: (answer := api.ask("GET", f"/v1/imports/{created['id']}/rejected"))[0] == 303 and answer)
    location = {name.lower(): value for name, value in headers.items()}["location"]
    status, rejected = send(location, "GET", None, {})
    assert status == 200 and b"TV-BAD,Television,Acme,cheap" in rejected and b"_errors" in rejected, rejected
    put = created["upload"]
    status, _ = send(put["url"], "PUT", rows, put["headers"])
    assert status == 412, f"a second PUT: {status}"
    status, _ = send(put["url"].replace("X-Amz-Signature=", "X-Amz-Signature=0"), "PUT", rows, put["headers"])
    assert status == 403, f"a forged URL: {status}"
    return counted


def poison(api, cloud, resources):
    """A chunk that no validator can finish is swept: each of its rows fails, and the import ends."""
    functions, queues = cloud.client("lambda"), cloud.client("sqs")
    name = resources["ValidateFunction"]
    environment = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    print("   ValidateFunction looks for a table that is not there; ChunksQueue hides messages for 1 s instead of 360")
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": {**environment, "PENSTOCK_IMPORTS_TABLE": "absent"}})
    queue = resources["ChunksQueue"]
    queues.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "1"})
    created = upload(api, b"sku,name,brand\nP-1,One,Acme\nP-2,Two,Acme\n")
    ended = api.ended(created["id"], 180)
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": environment})
    queues.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "360"})
    errors = api.want(200, "GET", f"/v1/imports/{created['id']}/errors")["errors"]
    assert ended["status"] == "completed_with_errors" and ended["rows"]["failed"] == 2, ended
    assert {error["code"] for error in errors} == {"not_processed"}, errors


def expiry(api, cloud, resources, folder):
    """An import to which nothing is uploaded expires."""
    created = api.want(201, "POST", "/v1/imports", {"kind": "products"})
    functions = cloud.client("lambda")
    name = resources["SweepFunction"]
    environment = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    clock = folder / "clock"
    clock.write_text(str(3600 * 1000))
    print("   SweepFunction's clock is an hour ahead; it is invoked as the schedule does")
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": {**environment, "PENSTOCK_CLOCK": str(clock)}})
    answer = functions.invoke(FunctionName=name, Payload=json.dumps({"detail-type": "Scheduled Event"}))
    assert "FunctionError" not in answer, answer["Payload"].read()
    assert api.ended(created["id"])["status"] == "expired"
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": environment})


def dialects(api, cloud, resources):
    """One import by each of the dialects, each with its own way to send a key."""
    key, secret = api.token.split(".", 1)
    basic = {"authorization": "Basic " + base64.b64encode(f"{key}:{secret}".encode()).decode()}
    feed = b"code,description,stock,warehouseCode,locationCode,costPrice,packagingUnit\nA1,Lamp,3,W,L,1.5,1\n"
    created = api.want(201, "POST", "/v1/products/import", headers=basic)
    algure(api, cloud, resources, created["id"], feed, {**basic, "content-type": "text/csv"})
    body, headers = multipart([("update_existing", "true")], "products.csv", b"ean,title\n4006381333931,Pen\n")
    created = api.want(201, "POST", "/api/v1/imports", body, headers)
    report("ProductsManager", api, created["id"], "completed")
    body, headers = multipart([("type", "contacts"), ("delimiter", ",")], "contacts.csv", b"_email\na@example.org\n")
    created = api.want(201, "POST", "/imports", body, {**headers, "authorization": f"apiKey {api.token}"})
    report("Connectif", api, created["id"], "completed")
    products = {"account_id": "shop", "products": [{"sku": "Q-1", "name": "Quill", "brand": "Acme"}]}
    status, _, answer = api.ask("POST", "/api/v1/products/import", products)
    report_json("Quotiza", api, status, answer, "job_id")
    catalog = {"products": [{"externalId": "B-1", "name": "Box"}]}
    status, _, answer = api.ask("POST", "/api/import/catalog", catalog, {"x-api-key": api.token})
    report_json("Better Data", api, status, answer, "jobId")


def algure(api, cloud, resources, import_id, feed, headers):
    """What AuthorizeFunction says of uploads; and an upload, which on AWS goes past Lambda."""
    path = f"/v1/products/import/{import_id}"
    wrong = {**headers, "authorization": "Basic " + base64.b64encode(b"key_0:0").decode()}
    # By the authorizer; the form of the answer is a gateway response, which MiniStack does not read.
    api.want(401, "PUT", path, feed, wrong)
    request = {
        "type": "REQUEST",
        "methodArn": "arn:aws:execute-api:us-east-1:000000000000:api/live/PUT/v1/products/import/x",
        "httpMethod": "PUT",
        "headers": headers,
        "pathParameters": {"id": import_id},
        "requestContext": {"requestId": "r-1", "identity": {"sourceIp": "127.0.0.1"}},
    }

    def judged(**changes):
        answer = cloud.client("lambda").invoke(FunctionName=resources["AuthorizeFunction"], Payload=json.dumps({**request, **changes}))
        said = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, said
        return said["context"]

    accepted = judged()
    assert (accepted["prefix"], accepted["name"], accepted["status"]) == ("uploads", import_id, "201"), accepted
    for changes, status in [
        ({"pathParameters": {"id": "imp_0"}}, "404"),
        ({"headers": {**headers, "content-type": "image/png"}}, "415"),
    ]:
        refused = judged(**changes)
        assert (refused["prefix"], refused["status"]) == ("refused", status), refused
        assert "error" in json.loads(refused["body"]), refused
    print("   MiniStack has no REST -> S3 integration: the method PUT is taken from the deployed API, and the upload goes to ApiFunction")
    gateway = cloud.client("apigateway")
    rest_api = resources["RestApi"]
    resource = next(r for r in gateway.get_resources(restApiId=rest_api, limit=500)["items"] if r["path"].endswith("/import/{id}"))
    gateway.delete_method(restApiId=rest_api, resourceId=resource["id"], httpMethod="PUT")
    api.want(201, "PUT", path, feed, headers)
    report("Algure", api, import_id, "completed")
    assert judged()["status"] == "409", "an import takes one upload"


def report(dialect, api, import_id, wanted):
    ended = api.ended(import_id)
    assert ended["status"] == wanted, ended
    print(f"   {dialect}: {import_id} {ended['status']}, {ended['rows']['created']} created")


def report_json(dialect, api, status, answer, name):
    """Rows in JSON are an import where this version takes them, and a refusal in the dialect's form where it does not yet."""
    assert status in (202, 501), (dialect, status, answer)
    if status == 202:
        report(dialect, api, answer[name], "completed")
    else:
        print(f"   {dialect}: 501 in its form: {json.dumps(answer)}")


def run(cloud, folder):
    step("package")
    url = ministack.package(cloud, (ROOT / "template.yaml").read_text())
    step("create the stack")
    outputs, resources = ministack.deploy(cloud, url)
    print(f"   {len(resources)} resources, {len(outputs)} outputs")
    ministack.any_method(cloud, resources)
    ministack.numbers(cloud)
    ministack.unversioned(cloud, outputs)
    api = Api(cloud, outputs)
    step("make the first admin key, and a shop's")
    keys(api, cloud)
    step("import a file by the presigned PUT")
    print(f"   {native(api)}")
    step("one call of each dialect")
    dialects(api, cloud, resources)
    step("an expired upload")
    expiry(api, cloud, resources, folder)
    step("a poison chunk is swept")
    poison(api, cloud, resources)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep-logs", action="store_true", help="leave MiniStack's log where it is")
    arguments = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="penstock-ministack-"))
    began = time.monotonic()
    cloud = None
    try:
        cloud = Cloud(folder)
        run(cloud, folder)
        step(f"everything is as promised, after {time.monotonic() - began:.0f} s")
    except BaseException:
        arguments.keep_logs = True
        print(f"MiniStack's log: {folder / 'ministack.log'}")
        raise
    finally:
        if cloud:
            cloud.stop()
        if not arguments.keep_logs:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
