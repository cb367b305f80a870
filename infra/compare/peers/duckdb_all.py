"""DuckDB, one thread: types by read_csv and store_rejects, required cells by SQL on what is left; prints the bad rows."""

import sys

from duckdb_read import COLUMNS, connect, rejected, source

connection = connect()
# Every column is asked for, so that every one is read.
others = " AND ".join(f"{name} IS NULL" for name in COLUMNS)
missing = connection.sql(
    f"""
    SELECT place FROM (SELECT *, row_number() OVER () AS place FROM {source(sys.argv[1])})
    WHERE sku IS NULL OR name IS NULL OR brand IS NULL OR ({others}) ORDER BY place
    """
).fetchall()
bad = rejected(connection)
# Places are counted among the rows that were not rejected.
left, before = iter(bad), 0
rejected_rows, found = sorted(bad), []
for (place,) in missing:
    while before < len(rejected_rows) and rejected_rows[before] <= place + before:
        before += 1
    found.append(place + before)
print("\n".join(map(str, sorted({*bad, *found}))))
