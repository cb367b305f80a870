"""The whole job by the client that openapi-python-client makes of the document: `job.py URL TOKEN FOLDER`."""

import importlib
import sys
import urllib.request

URL, TOKEN, FOLDER = sys.argv[1:]
sys.path.insert(0, FOLDER)

made = importlib.import_module("made")
models = importlib.import_module("made.models")


def call(name, *args, **named):
    return importlib.import_module(f"made.api.default.{name}").sync(*args, client=client, **named)


def detailed(name, *args, **named):
    return importlib.import_module(f"made.api.default.{name}").sync_detailed(*args, client=client, **named)


def ended(id):
    while True:
        seen = detailed("get_import", id, wait=20)
        if seen.parsed.completed_at is not None and "retry-after" not in seen.headers:
            return seen.parsed


client = made.AuthenticatedClient(base_url=URL, token=TOKEN)
assert call("get_health").status == "ok"

wanted = models.NewImport(kind="products", filename="a.csv")
created = call("create_import", body=wanted, idempotency_key="python")
assert call("create_import", body=wanted, idempotency_key="python").id == created.id
rows = "".join(f"P-{n},Name,Brand\n" for n in range(3)) + ",Name,Brand\n" * 5
put = urllib.request.Request(
    created.upload.url,
    data=("sku,name,brand\n" + rows).encode(),
    method=created.upload.method,
    headers=created.upload.headers.to_dict(),
)
assert urllib.request.build_opener(urllib.request.ProxyHandler({})).open(put).status == 200

done = ended(created.id)
assert (done.status, done.rows.total, done.rows.failed) == ("completed_with_errors", 8, 5), done
assert done.rejected.rows == 5

errors, cursor = [], made.types.UNSET
while cursor is not None:
    page = call("list_errors", created.id, limit=2, cursor=cursor)
    errors, cursor = errors + page.errors, page.next_cursor
assert [error.row for error in errors] == [4, 5, 6, 7, 8] and errors[0].code == "required", errors

rejected = detailed("get_rejected", created.id)
assert rejected.status_code == 303, rejected
file = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(rejected.headers["location"]).read()
assert file.count(b"required") == 5, file

records, cursor = [], made.types.UNSET
while cursor is not None:
    page = call("list_records", "products", changed_by=created.id, limit=2, cursor=cursor)
    records, cursor = records + page.records, page.next_cursor
assert sorted(record.key for record in records) == ["P-0", "P-1", "P-2"], records
assert call("get_record", "products", "P-1", provenance=True).provenance.made.row == 2

other = call("create_import", body=models.NewImport())
assert call("cancel_import", other.id).status == "cancelled"
refused = call("get_import", "none")
assert (refused.status, refused.code) == (404, "not_found"), refused
print("openapi-python-client: the whole job")
