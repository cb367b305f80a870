"""What the loaders share: the rows of the file with their types, the table, and how each says how far it is.

A loader is run as `LOADER FILE TARGET`, where TARGET is the URL of a DynamoDB or a folder. On standard output it prints the numbers of the
rows that it refuses, from 1, each on a line; on standard error how many it has written, so that whoever kills it knows when.
"""

import csv
import sys
import threading
from decimal import Decimal

import boto3

NUMBERS = ("cost", "msrp", "base_price")
TABLE = "products"


def read(path):
    """The rows as the file has them: texts."""
    with open(path, encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def typed(row):
    """A row with the types of its fields; what is empty is left out.

    # Errors
    Of the types' own, for a cell that is none of its type."""
    row = {name: cell for name, cell in row.items() if cell}
    for name in NUMBERS:
        if name in row:
            row[name] = Decimal(row[name])
    if "base_units_per_sales_unit" in row:
        row["base_units_per_sales_unit"] = int(row["base_units_per_sales_unit"])
    if "active" in row:
        row["active"] = {"true": True, "false": False}[row["active"]]
    return row


def table(url):
    """The table, made if it is not there, with `sku` as its key. It writes over what is there."""
    resource = boto3.resource(
        "dynamodb", endpoint_url=url, region_name="us-east-1", aws_access_key_id="local", aws_secret_access_key="local"
    )
    if TABLE not in resource.meta.client.list_tables()["TableNames"]:
        resource.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "sku", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "sku", "KeyType": "HASH"}],
        )
    return resource.Table(TABLE)


class Progress:
    """Counts what is written, from any thread, and says it every so many rows."""

    EVERY = 500

    def __init__(self):
        self.written, self.lock = 0, threading.Lock()

    def add(self, rows=1):
        with self.lock:
            before, self.written = self.written, self.written + rows
            if before // self.EVERY != self.written // self.EVERY:
                self.say()

    def say(self):
        print(f"written {self.written}", file=sys.stderr, flush=True)
