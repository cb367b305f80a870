"""dlt with a destination of its own, for it has none for DynamoDB: what the file holds is extracted, normalized and loaded.

    dlt_load.py FILE URL FOLDER     keeps its state in FOLDER; a repeat there takes up what a killed run has left
"""

import sys

import dlt

import products

_, path, url, folder = sys.argv
progress = products.Progress()
table = products.table(url)
types = {
    **{name: {"data_type": "decimal"} for name in products.NUMBERS},
    "base_units_per_sales_unit": {"data_type": "bigint"},
    "active": {"data_type": "bool"},
    "sku": {"nullable": False},
    "name": {"nullable": False},
    "brand": {"nullable": False},
}


@dlt.destination(batch_size=1000, name="dynamodb")
def dynamodb(items, table_schema):
    """Puts a batch into the table. A repeat writes the same items over themselves."""
    # A resource of boto3 is not for several threads.
    with products.table(url).batch_writer() as batch:
        for item in items:
            batch.put_item(Item={name: value for name, value in item.items() if value is not None})
    progress.add(len(items))


@dlt.resource(name=products.TABLE, columns=types, primary_key="sku")
def rows():
    for row in products.read(path):
        yield {name: cell or None for name, cell in row.items()}


pipeline = dlt.pipeline("products", pipelines_dir=folder, destination=dynamodb(), dataset_name="products")
pipeline.run(rows())
progress.say()
