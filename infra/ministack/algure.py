"""Algure's upload past Lambda, `PUT /v1/products/import/{id}`, as the stack has it: API Gateway asks AuthorizeFunction, and stores the body in
the uploads bucket, whose event has it split. MiniStack has no such integration; the API Gateway of another emulator has (gateway.py)."""

import base64
import json

import cloud as ministack
from cloud import REGION, STACK

# API Gateway's own limit.
BODY_BYTES = 10 * 1024 * 1024
FEED = b"code,description,stock,warehouseCode,locationCode,costPrice,packagingUnit\n%b,Lamp,3,W,L,1.5,1\n"
# What browsers, libraries and people name first.
ACCEPTS = ["*/*", "application/json, text/plain, */*", "text/plain, */*", "text/csv", "text/html"]


def imported(gateway, cloud, resources):
    """The stack's API on the other emulator, deployed: its id."""
    template = cloud.client("cloudformation").get_template(StackName=STACK, TemplateStage="Processed")["TemplateBody"]
    template = template if isinstance(template, dict) else json.loads(template)
    document = ministack.Resolved(cloud, resources).of(template["Resources"]["RestApi"]["Properties"]["Body"])
    client = gateway.client("apigateway")
    rest_api = client.import_rest_api(body=json.dumps(document).encode(), failOnWarnings=True)["id"]
    # Its import drops what the answers' contentHandling is.
    responses = document["paths"]["/v1/products/import/{id}"]["put"]["x-amazon-apigateway-integration"]["responses"]
    resource = next(r for r in client.get_resources(restApiId=rest_api, limit=500)["items"] if r["path"].endswith("/import/{id}"))
    for pattern, response in responses.items():
        client.put_integration_response(
            restApiId=rest_api,
            resourceId=resource["id"],
            httpMethod="PUT",
            statusCode=response["statusCode"],
            responseTemplates=response["responseTemplates"],
            **({} if pattern == "default" else {"selectionPattern": pattern}),
            **({"contentHandling": response["contentHandling"]} if "contentHandling" in response else {}),
        )
    client.create_deployment(restApiId=rest_api, stageName="live")
    return f"https://{rest_api}.execute-api.{REGION}.amazonaws.com/live"


class Route:
    """The route on the other emulator, and the bucket that it ends in."""

    def __init__(self, api, gateway, cloud, resources):
        self.api, self.objects = api, cloud.client("s3")
        self.bucket, self.uploads = resources["UploadsBucket"], "uploads/shop"
        self.past = api.at(gateway, imported(gateway, cloud, resources))
        key, secret = api.token.split(".", 1)
        self.basic = self.credential(key, secret)

    @staticmethod
    def credential(key, secret):
        return {"authorization": "Basic " + base64.b64encode(f"{key}:{secret}".encode()).decode()}

    def new(self):
        """A new import's id."""
        return self.api.want(201, "POST", "/v1/products/import", headers=self.basic)["id"]

    def put(self, status, import_id, body, code=None, **headers):
        """An upload that is answered so, with a body in the dialect's form where it is refused."""
        headers = {"content-type": "text/csv", **self.basic, **headers}
        found = self.past.want(status, "PUT", f"/v1/products/import/{import_id}", body, headers)
        if code:
            assert found["error"]["code"] == code, found
        elif status == 201:
            assert found == b"", found
        return import_id

    def stored(self, import_id):
        """The bytes that the bucket holds for an import."""
        return self.objects.get_object(Bucket=self.bucket, Key=f"{self.uploads}/{import_id}")["Body"].read()

    def refused(self):
        """How many bodies were refused so far."""
        return self.objects.list_objects_v2(Bucket=self.bucket, Prefix="refused/").get("KeyCount", 0)


def run(api, gateway, cloud, resources):
    """Goes through the route's answers, and gives the id of an import that was uploaded by it."""
    route = Route(api, gateway, cloud, resources)
    import_id = route.new()
    # By the authorizer, before anything is stored. Gateway responses of one's own are not read for them.
    route.put(401, import_id, FEED % b"A", **route.credential("key_0", "0"))
    route.put(401, import_id, FEED % b"A", authorization="")
    assert route.refused() == 0, "without a key nothing is stored"
    refusals = [
        ("imp_01JD8ZC4S2G9QJ7V5N3M1K0H6F", 404, "not_found", {}),
        (import_id, 415, "unsupported_media_type", {"content-type": "application/pdf"}),
        # The bucket would get other bytes than were sent.
        (import_id, 415, "unsupported_media_type", {"content-type": "Text/CSV"}),
        (import_id, 415, "unsupported_media_type", {"content-type": "text/PLAIN; charset=windows-1252"}),
    ]
    for number, (to, status, code, headers) in enumerate(refusals, 1):
        route.put(status, to, FEED % b"A", code, **headers)
        assert route.refused() == number, "a refused body is put where nobody looks"
    route.put(201, import_id, FEED % b"A1")
    assert route.stored(import_id) == FEED % b"A1"
    route.put(409, import_id, FEED % b"A2", "already_uploaded")
    assert route.stored(import_id) == FEED % b"A1", "an import takes one upload"
    # All bytes, in a body of the greatest size as well.
    for media_type, size in [("text/csv", BODY_BYTES), ("text/plain", 256), ("text/csv; charset=windows-1252", 256)]:
        body = bytes(range(256)) * (size // 256)
        assert route.stored(route.put(201, route.new(), body, **{"content-type": media_type})) == body, media_type
    for number, accept in enumerate(ACCEPTS):
        body = FEED % b"ACCEPT-%d" % number
        assert route.stored(route.put(201, route.new(), body, accept=accept)) == body, accept
        route.put(404, refusals[0][0], body, "not_found", accept=accept)
        first(route, accept)
    return import_id


def first(route, accept):
    """Another upload that came in between the authorizer's look and the bucket's: the bucket says so. For that it tells nobody of the other."""
    notifications = route.objects.get_bucket_notification_configuration(Bucket=route.bucket)
    del notifications["ResponseMetadata"]
    route.objects.put_bucket_notification_configuration(Bucket=route.bucket, NotificationConfiguration={})
    import_id = route.new()
    route.objects.put_object(Bucket=route.bucket, Key=f"{route.uploads}/{import_id}", Body=b"first")
    route.put(409, import_id, b"second", "already_uploaded", accept=accept)
    assert route.stored(import_id) == b"first"
    route.objects.put_bucket_notification_configuration(Bucket=route.bucket, NotificationConfiguration=notifications)
