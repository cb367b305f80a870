"""DuckDB, one thread: the columns' types by read_csv and store_rejects. It does not look for cells that are required: prints the rows whose
types are wrong."""

import sys

from duckdb_read import connect, rejected, source

connection = connect()
# A column that is not asked for is not read: each is counted.
connection.sql(f"SELECT count(COLUMNS(*)) FROM {source(sys.argv[1])}").fetchall()
print("\n".join(map(str, rejected(connection))))
