"""What schemathesis is told beside a document, as hooks of its run.

Some operations succeed only for what was prepared: an import with rejected rows, a part that the storage has, a
replace that waits. So the first calls of such an operation are about a real one. All other calls are what schemathesis
makes of the document. Every call is noted for `succeeded.py`.
"""

import itertools
import json
import os
import threading

import requests
import schemathesis

URL, KEY = os.environ["CONTRACT_URL"], os.environ["CONTRACT_KEY"]
ACCOUNT, CALLS, BASE = os.environ["CONTRACT_ACCOUNT"], os.environ["CONTRACT_CALLS"], os.environ["CONTRACT_BASE"]

# Calls of an operation that are about a real thing.
REAL_CALLS = 3

session = requests.Session()
session.trust_env = False
session.headers["Authorization"] = f"Bearer {KEY}"
storage = requests.Session()
storage.trust_env = False
lock = threading.Lock()
# Several runs ask one cloud: each names things otherwise.
names = (f"{os.getpid()}-{number}" for number in itertools.count(1))
called = {}


def ask(method, path, body=None):
    answer = session.request(method, URL + path, json=body, allow_redirects=False)
    answer.raise_for_status()
    return answer


def create(**wanted):
    return ask("POST", "/v1/imports", wanted).json()


def stands(id):
    """The import, once it has ended with all that belongs to it, or waits to be confirmed."""
    while True:
        answer = ask("GET", f"/v1/imports/{id}?wait=20")
        seen = answer.json()
        if seen["status"] == "awaiting_confirmation":
            return seen
        if seen["completed_at"] and "Retry-After" not in answer.headers:
            return seen


def uploaded(*rows, **wanted):
    made = create(kind="products", **wanted)
    upload = made["upload"]
    body = "\n".join(["sku,name,brand", *rows, ""]).encode()
    storage.request(upload["method"], upload["url"], headers=upload["headers"], data=body).raise_for_status()
    return stands(made["id"])["id"]


def records():
    name = next(names)
    keys = [f"R-{name}-{n}" for n in range(3)]
    return uploaded(*(f"{key},Name,Brand" for key in keys)), keys


def held():
    records()
    return uploaded("R,Name,Brand", options={"mode": "replace", "most_removed_percent": 0})


def in_parts():
    made = create(kind="products")
    part = ask("POST", f"/v1/imports/{made['id']}/parts", {"numbers": [1]}).json()["parts"][0]
    put = storage.request(part["method"], part["url"], headers=part["headers"], data=b"sku,name,brand\nP,Name,Brand\n")
    put.raise_for_status()
    return made["id"], {"parts": [{"number": 1, "etag": put.headers["ETag"].strip('"')}]}


def schema(name, title="Gadgets"):
    return {"name": name, "title": title, "primaryKey": ["id"], "fields": [{"name": "id", "type": "string"}]}


def kind():
    """A kind of the account's own with two versions."""
    name = f"gadgets-{next(names)}"
    for title in ("Gadgets", "More gadgets"):
        ask("PUT", f"/v1/kinds/{name}", schema(name, title))
    return name


def export():
    made = ask("POST", "/v1/exports", {"kind": "products"}).json()["id"]
    while ask("GET", f"/v1/exports/{made}").json()["ended_at"] is None:
        pass
    return made


def cancelled_export():
    """One that has not ended before it is cancelled. A repeat of a cancel gives the same answer."""
    while True:
        made = ask("POST", "/v1/exports", {"kind": "products"}).json()["id"]
        try:
            ask("POST", f"/v1/exports/{made}/cancel")
            return made
        except requests.HTTPError as refused:
            if refused.response.status_code != 409:
                raise


def key():
    return ask("POST", "/v1/keys", {"scopes": ["import:read"]}).json()["id"]


def webhook():
    """An endpoint that is enabled: a new one while there is room, else one that is there."""
    try:
        return ask("POST", "/v1/webhooks", {"url": "http://127.0.0.1:1/hooks"}).json()["id"]
    except requests.HTTPError:
        made = ask("GET", "/v1/webhooks").json()["webhooks"][0]["id"]
        ask("PATCH", f"/v1/webhooks/{made}", {"disabled": False})
        return made


def resent():
    """What happened in a time, to be sent again to an endpoint."""
    return {**path(id=webhook()), "body": {"after": "2026-01-01T00:00:00Z", "before": "2026-01-02T00:00:00Z"}}


def delivered():
    """An event that an endpoint was told, and the endpoint."""
    id = webhook()
    return {"id": id, "event": ask("POST", f"/v1/webhooks/{id}/test").json()["id"]}


def account():
    name = f"guest-{next(names)}"
    ask("POST", "/v1/keys", {"account": name, "scopes": ["import:read"]})
    return name


def removed_account():
    name = account()
    ask("DELETE", f"/v1/accounts/{name}")
    return name


def path(**named):
    return {"path_parameters": named}


def complete():
    id, body = in_parts()
    return {**path(id=id), "body": body}


def products():
    return {"body": {"account_id": ACCOUNT, "products": [{"sku": "Q-1", "name": "Name", "brand": "Brand", "cost": 1}]}}


def job():
    made = ask("POST", "/api/v1/products/import", products()["body"]).json()["job_id"]
    return {"query": {"account_id": ACCOUNT, "job_id": made}}


def form(**texts):
    body = {**texts, "file": b"product_id,title,ean,sku,name\n1,Title,4006381333931,S,Name\n"}
    return {"body": body, "media_type": "multipart/form-data"}


def connectif():
    made = session.post(URL + "/imports", data={"type": "products"}, files={"file": ("a.csv", form()["body"]["file"])})
    made.raise_for_status()
    stands(made.json()["id"])
    return made.json()["id"]


def feed():
    text = "code,description,stock,warehouseCode,locationCode,locationPriority,costPrice,packagingUnit,lot\nA,B,1,C,D,1,2,3,\n"
    id = ask("POST", "/v1/products/import").json()["id"]
    return {**path(id=id), "body": text, "media_type": "text/csv"}


# Operations that need a real thing, and what makes one.
REAL = {
    "": {
        "getRejected": lambda: path(id=uploaded(",Name,Brand")),
        "listErrors": lambda: path(id=uploaded(",Name,Brand", ",Name,Brand")),
        "confirmImport": lambda: path(id=held()),
        "signParts": lambda: {**path(id=create()["id"]), "body": {"numbers": [1, 2]}},
        "completeParts": complete,
        "previewImport": lambda: {
            **path(id=create(kind="products")["id"]),
            "body": b"sku,name,brand\nP,Name,Brand\n",
            "query": {"whole": "true"},
        },
        "previewKind": lambda: {
            **path(kind="products"),
            "body": b"sku,name,brand\nP,Name,Brand\n",
            "query": {"whole": "true"},
        },
        "putKind": lambda: {**path(kind=(name := f"gadgets-{next(names)}")), "body": schema(name)},
        "getKind": lambda: path(kind=kind()),
        "deleteKind": lambda: path(kind=kind()),
        "listKindVersions": lambda: path(kind=kind()),
        "getKindVersion": lambda: path(kind=kind(), version=1),
        "deleteKindVersion": lambda: path(kind=kind(), version=1),
        "getTemplate": lambda: path(kind="products"),
        "listRecords": lambda: {**path(kind="products"), "query": {"changed_by": records()[0]}},
        "getRecord": lambda: {**path(kind="products", key=records()[1][0]), "query": {"provenance": "true"}},
        "deleteRecord": lambda: path(kind="products", key=records()[1][0]),
        "deleteRecords": lambda: {**path(kind="products"), "body": {"keys": [*records()[1], "NONE"]}},
        "removeAllRecords": lambda: {**path(kind="products"), "body": {"kind": "products"}},
        "createExport": lambda: {"body": {"kind": "products"}},
        "cancelExport": lambda: path(id=cancelled_export()),
        "deleteExport": lambda: path(id=export()),
        "resendDelivery": lambda: path(**delivered()),
        "resendDeliveries": resent,
        "removeAccount": lambda: path(account=account()),
        "getAccountRemoval": lambda: path(account=removed_account()),
    },
    "/v1/products": {"uploadFeed": feed},
    "/api/v1": {"createImport": lambda: form(format="csv")},
    "/imports": {
        "createImport": lambda: form(type="products"),
        "deleteImport": lambda: path(id=connectif()),
    },
    "/api/v1/products": {"importProducts": products, "getImportStatus": job},
}


def name_of(case):
    return case.operation.definition.raw["operationId"]


@schemathesis.hook
def before_call(context, case, kwargs):
    name = name_of(case)
    query = case.query if isinstance(case.query, dict) else {}
    # A wait for nothing is a pause of the run.
    if str(query.get("wait", "")).isdecimal():
        query["wait"] = min(int(query["wait"]), 1)
    is_positive = case.meta is not None and case.meta.generation.mode.is_positive
    make = REAL.get(BASE, {}).get(name)
    if make is not None and is_positive:
        with lock:
            called[name] = called.get(name, 0) + 1
        if called[name] <= REAL_CALLS:
            case.query = {}
            for member, value in make().items():
                setattr(case, member, value)
    # The key that asks is not to be revoked, however it was found.
    if name == "revokeKey" and case.path_parameters.get("id") == KEY.split(".")[0]:
        case.path_parameters = {"id": key()}


@schemathesis.hook
def after_call(context, case, response):
    with lock, open(CALLS, "a", encoding="utf-8") as calls:
        calls.write(json.dumps([BASE, name_of(case), response.status_code]) + "\n")
