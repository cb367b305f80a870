"""Whether every operation of the documents has succeeded at least once: `succeeded.py CALLS DOCUMENT...`

CALLS are the lines that `hooks.py` has written. A document is given as its base and its file: `/imports=connectif.json`.
"""

import json
import sys
from collections import Counter

# Operations that cannot succeed in a run, by base and name, each with its reason.
EXCEPTIONS = {}

calls, *documents = sys.argv[1:]
counts, succeeded = Counter(), set()
with open(calls, encoding="utf-8") as lines:
    for base, name, status in map(json.loads, lines):
        counts[base] += 1
        if status < 400:
            succeeded.add((base, name))

operations = set()
for base, file in (document.split("=") for document in documents):
    with open(file, encoding="utf-8") as text:
        methods = [method for path in json.load(text)["paths"].values() for method in path.values()]
    operations |= {(base, method["operationId"]) for method in methods}
    print(f"{base or '/'}: {counts[base]} calls, {len(methods)} operations")

lacking = operations - succeeded - EXCEPTIONS.keys()
needless = EXCEPTIONS.keys() & succeeded | EXCEPTIONS.keys() - operations
for base, name in sorted(lacking):
    print(f"{base or '/'}: {name} has never succeeded")
for base, name in sorted(needless):
    print(f"{base or '/'}: {name} is no exception")
sys.exit(bool(lacking or needless))
