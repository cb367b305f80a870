"""Runs Penstock's main job on the stack that template.yaml makes on MiniStack, an independent cloud. Exits with 1 at the first thing that is
not as promised.

    infra/ministack/run [--keep-logs]
"""

import argparse
import base64
import contextlib
import hmac
import http.client
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.parse

import algure
import cloud as ministack
from cloud import CREDENTIALS, ROOT, STACK, Gateway, Ministack, interruptible, until

ENDED = {"completed", "completed_with_errors", "failed", "cancelled", "expired"}


# Whose pages may use the API.
PAGES = "https://shop.example.com"

# 10,000 rows: more than two chunks of 4,096.
ROWS = 10_000


@contextlib.contextmanager
def step(text):
    """Says what comes, and that it has passed."""
    began = time.monotonic()
    print(f"-- {text}", flush=True)
    yield
    print(f"   passed, {time.monotonic() - began:.1f} s", flush=True)


def told(text):
    print(f"   {text}", flush=True)


class Api:
    """The deployed API, through API Gateway."""

    def __init__(self, cloud, url, token=None):
        # https://{id}.execute-api.{region}.amazonaws.com/{stage} on AWS; here the same name, below another one.
        url = urllib.parse.urlsplit(url)
        self.host = f"{url.hostname.split('.')[0]}.execute-api.{cloud.domain}:{cloud.port}"
        self.stage = url.path.rstrip("/")
        self.port = cloud.port
        self.token = token

    def at(self, cloud, url):
        """The same API as another emulator has it."""
        return Api(cloud, url, self.token)

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


def upload(api, content, **options):
    """A new import of products with its file uploaded by the presigned PUT."""
    created = api.want(201, "POST", "/v1/imports", {"kind": "products", "filename": "products.csv", "options": options})
    put = created["upload"]
    status, body = send(put["url"], put["method"], content, put["headers"])
    assert status == 200, f"{status}: {body}"
    return created


def keys(api, cloud):
    """The first key, which the command makes, and one of a shop, which the first makes."""
    environment = {"PATH": os.environ["PATH"], "AWS_ENDPOINT_URL": cloud.url, **CREDENTIALS}
    command = [ROOT / "target/debug/penstock", "keys", "bootstrap", "--stack", STACK]
    made = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert made.returncode == 0, f"keys bootstrap: {made.returncode}: {made.stderr}"
    admin = made.stdout.strip()
    api.want(401, "GET", "/v1/imports", token="key_0.0")
    # An admin key imports nothing.
    api.want(403, "GET", "/v1/imports", token=admin)
    scopes = ["import:read", "import:write", "import:delete", "import:confirm", "record:delete", "account:write"]
    api.token = api.want(201, "POST", "/v1/keys", {"account": "shop", "scopes": scopes}, token=admin)["token"]
    return admin


def doctor(cloud, rest_api):
    """The command finds nothing that differs. It names the API by its path, since its own name is on no network."""
    url = f"{cloud.url}/_aws/execute-api/{rest_api}/live"
    environment = {"PATH": os.environ["PATH"], "AWS_ENDPOINT_URL": cloud.url, **CREDENTIALS}
    command = [ROOT / "target/debug/penstock", "doctor", "--stack", STACK, "--url", url]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"doctor: {done.returncode}: {done.stdout}{done.stderr}"
    return f"{len(done.stdout.splitlines())} looks, none differs"


def native(api):
    """Create, presigned PUT, S3 event, chunks, validation, status, errors, rejected file; once and no second time."""
    rows = b"sku,name,brand,cost\n" + b"".join(b"TV-%05d,Television %d,Acme,%d.99\n" % (n, n, n) for n in range(1, ROWS))
    rows += b"TV-BAD,Television,Acme,cheap\n"
    created = upload(api, rows)
    ended = api.ended(created["id"])
    assert ended["status"] == "completed_with_errors", ended
    counted = {name: ended["rows"][name] for name in ("total", "created", "failed")}
    assert counted == {"total": ROWS, "created": ROWS - 1, "failed": 1}, counted
    errors = api.want(200, "GET", f"/v1/imports/{created['id']}/errors")["errors"]
    found = [(error["row"], error["line"], error["key"], error["field"], error["value"]) for error in errors]
    assert found == [(ROWS, ROWS + 1, "TV-BAD", "cost", "cheap")], errors
    for n in (1, ROWS // 2, ROWS - 1):
        fields = api.want(200, "GET", f"/v1/records/products/TV-{n:05}")["fields"]
        assert fields["name"] == f"Television {n}", fields
    api.want(404, "GET", "/v1/records/products/TV-BAD")
    # The list of the kind has every record once.
    listed = [record["key"] for record in pages(api, "/v1/records/products", "records")]
    assert sorted(listed) == [f"TV-{n:05}" for n in range(1, ROWS)], f"{len(listed)} records are listed, {len(set(listed))} of them once"
    made = api.want(200, "GET", "/v1/records/products/TV-00001?provenance=true")["provenance"]["made"]
    assert made == {"import": created["id"], "row": 1}, made
    rejected = f"/v1/imports/{created['id']}/rejected"
    _, headers, _ = until(30, "the rejected rows", lambda: (answer := api.ask("GET", rejected))[0] == 303 and answer)
    location = {name.lower(): value for name, value in headers.items()}["location"]
    status, file = send(location, "GET", None, {})
    head, row, *more = file.splitlines()
    assert status == 200 and head == b"_row,_line,_errors,sku,name,brand,cost" and not more, file
    assert row.startswith(b"%d,%d," % (ROWS, ROWS + 1)) and row.endswith(b",TV-BAD,Television,Acme,cheap"), file
    put = created["upload"]
    status, _ = send(put["url"], "PUT", rows, put["headers"])
    assert status == 412, f"a second PUT: {status}"
    status, _ = send(put["url"].replace("X-Amz-Signature=", "X-Amz-Signature=0"), "PUT", rows, put["headers"])
    assert status == 403, f"a forged URL: {status}"
    listed = api.want(200, "GET", "/v1/imports")["imports"]
    assert [entry["id"] for entry in listed] == [created["id"]], listed
    return counted


def origins(api, cloud, outputs):
    """A page of the origin that is named may use the API and the bucket, and no other."""
    for origin, allowed in [(PAGES, PAGES), ("https://other.example.com", None)]:
        asks = {"origin": origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}
        for method, more in [("OPTIONS", asks), ("GET", {"origin": origin})]:
            _, headers, _ = api.ask(method, "/v1/imports", headers=more)
            found = {name.lower(): value for name, value in headers.items()}.get("access-control-allow-origin")
            assert found == allowed, f"{method} of {origin}: {headers}"
    [rule] = cloud.client("s3").get_bucket_cors(Bucket=outputs["UploadsBucketName"])["CORSRules"]
    assert (rule["AllowedOrigins"], sorted(rule["AllowedMethods"])) == ([PAGES], ["POST", "PUT"]), rule


def pages(api, path, what):
    """All that a list has, page by page."""
    found, cursor = [], ""
    while cursor is not None:
        page = api.want(200, "GET", f"{path}?limit=100{cursor}")
        found += page[what]
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
    return found


def exported(api):
    """The records of an export of the kind, by key."""
    export = api.want(202, "POST", "/v1/exports", {"kind": "products", "format": "ndjson"})
    path = f"/v1/exports/{export['id']}"
    ended = until(60, f"{export['id']} ends", lambda: (found := api.want(200, "GET", path))["status"] in ENDED and found)
    assert ended["status"] == "completed", ended
    status, file = send(ended["url"], "GET", None, {})
    records = [json.loads(line) for line in file.splitlines()]
    assert status == 200 and ended["records"] == len(records), f"{status}, {len(records)} records: {ended}"
    return {record["sku"]: record for record in records}


def named(first):
    """A file that names the televisions from this one on."""
    return b"sku,name,brand\n" + b"".join(b"TV-%05d,Television %d,Acme\n" % (n, n) for n in range(first, ROWS))


def removals(api):
    """Records leave by an export, one is deleted, then several; a replace removes what its file does not name, and one that would remove too
    much waits until that is confirmed."""
    records = exported(api)
    assert len(records) == ROWS - 1 and records["TV-00007"]["name"] == "Television 7", f"{len(records)} records are exported"
    api.want(204, "DELETE", "/v1/records/products/TV-00001")
    api.want(404, "DELETE", "/v1/records/products/TV-00001")
    deleted = api.want(200, "POST", "/v1/records/products/delete", {"keys": ["TV-00001", "TV-00002", "TV-00003"]})
    assert deleted == {"deleted": 2, "not_found": ["TV-00001"]}, deleted
    replaced = api.ended(upload(api, named(50), mode="replace")["id"], 120)
    found = (replaced["status"], replaced["rows"]["unchanged"], replaced["removed"])
    assert found == ("completed", ROWS - 50, 46), replaced
    assert set(exported(api)) == {f"TV-{n:05}" for n in range(50, ROWS)}
    path = f"/v1/imports/{upload(api, named(4000), mode='replace')['id']}"
    settled = {"awaiting_confirmation", *ENDED}
    held = until(120, "the removal is held", lambda: (found := api.want(200, "GET", path))["status"] in settled and found)
    assert (held["status"], held["to_remove"], held["removed"]) == ("awaiting_confirmation", 3950, 0), held
    listed = sorted(removal["key"] for removal in pages(api, f"{path}/removals", "removals"))
    assert listed == [f"TV-{n:05}" for n in range(50, 4000)], f"{len(listed)} removals are listed"
    # Somebody writes one of them meanwhile: it is spared.
    completed("an import beside it", api, upload(api, b"sku,name,brand\nTV-00060,Television 60,Acme\n")["id"], 1, "unchanged")
    api.want(202, "POST", f"{path}/confirm")
    ended = api.ended(held["id"], 120)
    assert (ended["status"], ended["removed"]) == ("completed", 3949), ended
    assert set(exported(api)) == {f"TV-{n:05}" for n in [60, *range(4000, ROWS)]}
    return {name: replaced[name] for name in ("status", "removed")}, {name: ended[name] for name in ("status", "removed")}


def form(api):
    """An import whose file comes by the form, as from a browser."""
    created = api.want(201, "POST", "/v1/imports", {"kind": "products"})
    body, headers = multipart(created["form"]["fields"].items(), "products.csv", b"sku,name,brand\nF-1,Form,Acme\n")
    status, answer = send(created["form"]["url"], "POST", body, headers)
    assert status == 204, f"{status}: {answer}"
    completed("the form", api, created["id"])


def inbox(api, cloud, outputs, sweeper):
    """Files that are dropped off become imports of their presets: by the event, and by the sweeper where the preset comes later."""
    objects, bucket = cloud.client("s3"), outputs["UploadsBucketName"]

    def imported(preset):
        listed = pages(api, "/v1/imports", "imports")
        return next((found for found in listed if found.get("preset") == preset), None)

    options = {"delimiter": ";", "mapping": {"Artikel": "sku", "Name": "name", "Marke": "brand"}}
    for preset, name in [("nightly", "a b+%ä.csv"), ("later", "b.csv")]:
        key = f"inbox/shop/{preset}/{name}"
        if preset == "nightly":
            api.want(201, "PUT", "/v1/presets/nightly", {"kind": "products", "options": options})
        objects.put_object(Bucket=bucket, Key=key, Body=f"Artikel;Name;Marke\nD-{preset};Lampe;Acme\n".encode())
        if preset == "later":
            sweeper.sweep()
            assert imported(preset) is None
            api.want(201, "PUT", "/v1/presets/later", {"kind": "products", "options": options})
            with sweeper.ahead(3600):
                sweeper.sweep()
        found = until(60, f"{key} is imported", lambda: imported(preset))
        completed(f"dropped off as {name}", api, found["id"])
        assert (found["filename"], found["created_by"]["api"]) == (name, "inbox"), found
        assert api.want(200, "GET", f"/v1/records/products/D-{preset}")["fields"]["name"] == "Lampe"


def poison(api, cloud, resources):
    """A chunk that no validator can finish is swept: each of its rows fails, and the import ends."""
    functions, queues = cloud.client("lambda"), cloud.client("sqs")
    name = resources["ValidateFunction"]
    environment = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    told("ValidateFunction looks for a table that is not there; ChunksQueue gives a message up after 5 receives instead of 1,000")
    ministack.reconfigure(functions, name, {**environment, "PENSTOCK_IMPORTS_TABLE": "absent"})
    queue = resources["ChunksQueue"]
    dead = queues.get_queue_attributes(QueueUrl=queue, AttributeNames=["RedrivePolicy"])["Attributes"]["RedrivePolicy"]
    sooner = json.dumps({**json.loads(dead), "maxReceiveCount": 5})
    queues.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "1", "RedrivePolicy": sooner})
    created = upload(api, b"sku,name,brand\nP-1,One,Acme\nP-2,Two,Acme\n")
    ended = api.ended(created["id"], 180)
    ministack.reconfigure(functions, name, environment)
    queues.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "60", "RedrivePolicy": dead})
    errors = api.want(200, "GET", f"/v1/imports/{created['id']}/errors")["errors"]
    assert ended["status"] == "completed_with_errors" and ended["rows"]["failed"] == 2, ended
    assert [(error["row"], error["code"]) for error in errors] == [(1, "not_processed"), (2, "not_processed")], errors
    api.want(404, "GET", "/v1/records/products/P-1")
    # The same rows, once the function is whole again.
    created = upload(api, b"sku,name,brand\nP-1,One,Acme\nP-2,Two,Acme\n")
    completed("the same rows afterwards", api, created["id"], 2)


class Rule:
    """A rule of the bus, and the queue that it fills."""

    def __init__(self, cloud):
        self.queues, events = cloud.client("sqs"), cloud.client("events")
        self.url = self.queues.create_queue(QueueName="told")["QueueUrl"]
        arn = self.queues.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        pattern = {"source": ["penstock"], "detail-type": ["import.processing", "import.completed"]}
        events.put_rule(Name="told", EventBusName="default", EventPattern=json.dumps(pattern))
        events.put_targets(Rule="told", EventBusName="default", Targets=[{"Id": "told", "Arn": arn}])

    def received(self):
        """Everything that waits in the queue."""
        found = []
        while batch := self.queues.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages"):
            for message in batch:
                found.append(json.loads(message["Body"]))
                self.queues.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def tells(self, api):
        """An import that ends well: its two events, with its counts, and no other rule's."""
        import_id = upload(api, b"sku,name,brand\nB-1,Lamp,Acme\n")["id"]
        ended = api.ended(import_id)
        told_of = {}

        def both():
            for event in self.received():
                detail = event["detail"]
                if detail["data"]["import"]["id"] == import_id:
                    assert event["source"] == "penstock" and event["detail-type"] == detail["type"], event
                    told_of[detail["type"]] = detail["data"]["import"]
            return len(told_of) == 2

        until(60, "the bus is told", both)
        assert told_of["import.completed"]["rows"] == ended["rows"], told_of
        assert told_of["import.completed"]["url"].endswith(f"/live/v1/imports/{import_id}"), told_of
        return f"{import_id}: {', '.join(sorted(told_of))}"


class Receiver(http.server.BaseHTTPRequestHandler):
    """An endpoint of the shop, which keeps what it is sent."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.received.append((dict(self.headers.items()), body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def webhook(api, cloud, resources):
    """An endpoint is told of an import that ends, by a request that it can verify."""
    functions = cloud.client("lambda")
    told("ApiFunction and NotifyFunction may send events to this machine, which no deployed stack does")
    for name in (resources["ApiFunction"], resources["NotifyFunction"]):
        environment = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        ministack.reconfigure(functions, name, {**environment, "PENSTOCK_WEBHOOK_LOOPBACK": "true"})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.received = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/events"
        made = api.want(201, "POST", "/v1/webhooks", {"url": url, "events": ["import.completed"]})
        import_id = upload(api, b"sku,name,brand\nW-1,Lamp,Acme\n")["id"]
        ended = api.ended(import_id)
        headers, body = until(60, "the endpoint is told", lambda: server.received and server.received[0])
        headers = {name.lower(): value for name, value in headers.items()}
        signed = b"%s.%s.%s" % (headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body)
        key = base64.b64decode(made["secret"].removeprefix("whsec_"))
        expected = "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
        assert expected in headers["webhook-signature"].split(" "), headers
        event = json.loads(body)
        assert (event["type"], event["data"]["import"]["id"]) == ("import.completed", import_id), event
        assert event["data"]["import"]["rows"] == ended["rows"], event
        path = f"/v1/webhooks/{made['id']}"

        def delivered():
            [delivery] = api.want(200, "GET", f"{path}/deliveries")["deliveries"]
            return delivery["state"] == "delivered" and delivery

        until(60, "the delivery is noted", delivered)
        api.want(204, "DELETE", path)
        return f"{event['type']} of {import_id}: {len(server.received)} request"
    finally:
        server.shutdown()
        server.server_close()


class Sweeper:
    """SweepFunction, invoked as its schedule does, with a clock that can be ahead."""

    def __init__(self, cloud, resources, folder):
        self.functions, self.name, self.clock = cloud.client("lambda"), resources["SweepFunction"], folder / "clock"

    @contextlib.contextmanager
    def ahead(self, seconds):
        """Its clock is ahead by so much."""
        environment = self.functions.get_function_configuration(FunctionName=self.name)["Environment"]["Variables"]
        self.clock.write_text(str(seconds * 1000))
        told(f"SweepFunction's clock is {seconds // 3600} h ahead")
        ministack.reconfigure(self.functions, self.name, {**environment, "PENSTOCK_CLOCK": str(self.clock)})
        try:
            yield
        finally:
            ministack.reconfigure(self.functions, self.name, environment)

    def sweep(self):
        answer = self.functions.invoke(FunctionName=self.name, Qualifier=ministack.ALIAS, Payload=json.dumps({"detail-type": "Scheduled Event"}))
        assert "FunctionError" not in answer, answer["Payload"].read()


def expiry(api, sweeper):
    """An import to which nothing is uploaded expires."""
    created = api.want(201, "POST", "/v1/imports", {"kind": "products"})

    def swept(status):
        sweeper.sweep()
        assert api.want(200, "GET", f"/v1/imports/{created['id']}")["status"] == status

    swept("awaiting_upload")
    with sweeper.ahead(3600):
        swept("expired")


def tenant(api, admin, cloud, resources, sweeper):
    """The shop leaves: its key is refused at once, and in the end nothing is left of it but the report."""
    path = "/v1/accounts/shop"
    api.want(202, "DELETE", path, token=admin)

    def stage(*wanted):
        sweeper.sweep()
        removal = api.want(200, "GET", f"{path}/removal", token=admin)
        return removal["status"] in wanted and removal

    until(120, "its records and files are removed", lambda: stage("waiting"))
    api.want(401, "GET", "/v1/imports")
    with sweeper.ahead(25 * 3600):
        report = until(120, "the shop is removed", lambda: stage("removed"))
    assert report["removed"]["records"] > ROWS - 4000 and report["removed"]["imports"] > 8, report
    tables, objects = cloud.client("dynamodb"), cloud.client("s3")
    left = []
    for table in (resources["ImportsTable"], resources["RecordsTable"]):
        for page in tables.get_paginator("scan").paginate(TableName=table):
            left += [item["pk"]["S"] for item in page["Items"] if "shop" in json.dumps(item)]
    for bucket in (resources["UploadsBucket"], resources["ResultsBucket"]):
        for page in objects.get_paginator("list_object_versions").paginate(Bucket=bucket):
            left += [found["Key"] for found in page.get("Versions", []) if "shop" in found["Key"]]
    told(f"removed: {json.dumps(report['removed'])}; left: {left}")
    assert len(left) == 1 and "removal" in left[0], left


def dialects(api):
    """One import by each of the dialects but Algure's, each with its own way to send a key."""
    body, headers = multipart([("update_existing", "true")], "products.csv", b"ean,title\n4006381333931,Pen\n")
    created = api.want(201, "POST", "/api/v1/imports", body, headers)
    completed("ProductsManager", api, created["id"])
    body, headers = multipart([("type", "contacts"), ("delimiter", ",")], "contacts.csv", b"_email\na@example.org\n")
    created = api.want(201, "POST", "/imports", body, {**headers, "authorization": f"apiKey {api.token}"})
    assert created["total"] == 1, created
    completed("Connectif", api, created["id"])
    products = {"account_id": "shop", "products": [{"sku": "Q-1", "name": "Quill", "brand": "Acme"}]}
    created = api.want(202, "POST", "/api/v1/products/import", products)
    assert created.keys() == {"job_id"}, created
    completed("Quotiza", api, created["job_id"])
    catalog = {"products": [{"externalId": "B-1", "name": "Box"}]}
    created = api.want(202, "POST", "/api/import/catalog", catalog, {"x-api-key": api.token})
    assert (created["status"], created["rowCount"]) == ("PENDING", 1), created
    completed("Better Data", api, created["jobId"])


def completed(how, api, import_id, rows=1, done="created"):
    """That an import ends well and has made this many records, or found them unchanged."""
    ended = api.ended(import_id)
    assert (ended["status"], ended["rows"][done], ended["rows"]["total"]) == ("completed", rows, rows), ended
    told(f"{how}: {import_id} {ended['status']}, {rows} {done}")


def run(cloud, gateway, folder):
    with step("MiniStack answers"):
        cloud.wait()
    with step("package"):
        url = ministack.package(cloud, (ROOT / "template.yaml").read_text())
    with step("create the stack"):
        outputs, resources = ministack.deploy(cloud, url, DeletionProtection="false", CorsOrigins=PAGES, EventBus="default")
        told(f"{len(resources)} resources, {len(outputs)} outputs")
        ministack.any_method(cloud, resources)
        ministack.numbers(cloud)
        ministack.unversioned(cloud, outputs)
    api = Api(cloud, outputs["ApiUrl"])
    with step("make the first admin key, and a shop's"):
        admin = keys(api, cloud)
    with step("penstock doctor"):
        told(doctor(cloud, resources["RestApi"]))
    sweeper = Sweeper(cloud, resources, folder)
    with step("pages of one other origin"):
        origins(api, cloud, outputs)
    rule = Rule(cloud)
    with step("import a file by the presigned PUT"):
        told(native(api))
    with step("export, delete, replace, confirm"):
        for removed in removals(api):
            told(removed)
    with step("events on the bus"):
        told(rule.tells(api))
    with step("a webhook"):
        told(webhook(api, cloud, resources))
    with step("files that are dropped off"):
        inbox(api, cloud, outputs, sweeper)
    with step("import a file by the form"):
        form(api)
    with step("one call of each dialect"):
        dialects(api)
    with step("Algure's upload past Lambda, through LocalStack's API Gateway"):
        gateway.wait()
        completed("Algure", api, algure.run(api, gateway, cloud, resources))
    with step("an expired upload"):
        expiry(api, sweeper)
    with step("a poison chunk is swept"):
        poison(api, cloud, resources)
    with step("remove the shop"):
        tenant(api, admin, cloud, resources, sweeper)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--localstack", type=pathlib.Path, required=True, help="the virtual environment of LocalStack's core")
    parser.add_argument("--keep-logs", action="store_true", help="leave the emulators' logs where they are")
    arguments = parser.parse_args()
    keep = arguments.keep_logs
    folder = pathlib.Path(tempfile.mkdtemp(prefix="penstock-ministack-"))
    began = time.monotonic()
    clouds = []
    with interruptible() as ending:
        try:
            clouds.append(cloud := Ministack(folder))
            # It takes some seconds to start, and is needed late.
            clouds.append(gateway := Gateway(folder / "gateway", arguments.localstack, cloud))
            run(cloud, gateway, folder)
        except BaseException:
            keep = True
            raise
        finally:
            ending()
            for cloud in reversed(clouds):
                cloud.stop()
            if keep:
                print(f"the emulators' logs: {folder / 'log'}, {folder / 'gateway' / 'log'}")
            else:
                shutil.rmtree(folder)
    told(f"everything is as promised, after {time.monotonic() - began:.0f} s; nothing is left running")


if __name__ == "__main__":
    main()
