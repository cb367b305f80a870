"""boto3's batch writer, as its documentation has it: 25 items a request, one request after the other.

    boto3_load.py FILE URL
"""

import sys

import products

progress = products.Progress()
with products.table(sys.argv[2]).batch_writer() as batch:
    for row in products.read(sys.argv[1]):
        batch.put_item(Item=products.typed(row))
        progress.add()
progress.say()
