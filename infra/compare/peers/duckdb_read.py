"""How DuckDB reads the data of the comparison."""

import duckdb

TYPES = {"cost": "DOUBLE", "msrp": "DOUBLE", "base_price": "DOUBLE", "active": "BOOLEAN", "base_units_per_sales_unit": "BIGINT"}
COLUMNS = (
    "sku,name,description,cost,upc,brand,msrp,base_price,category,active,custom1_name,custom1_value,custom2_name,"
    "custom2_value,custom3_name,custom3_value,image_url,sales_unit,base_units_per_sales_unit"
).split(",")


def connect():
    return duckdb.connect(config={"threads": 1})


def source(path):
    columns = ", ".join(f"'{name}': '{TYPES.get(name, 'VARCHAR')}'" for name in COLUMNS)
    return (
        f"read_csv('{path}', header = true, delim = ',', quote = '\"', escape = '\"', columns = {{{columns}}}, "
        "store_rejects = true, rejects_limit = 0)"
    )


def rejected(connection):
    """The rows that were rejected; no record of the data has a line break in it, so that a line is a row and the header."""
    rows = connection.sql("SELECT DISTINCT line - 1 FROM reject_errors ORDER BY 1").fetchall()
    return [row for (row,) in rows]
