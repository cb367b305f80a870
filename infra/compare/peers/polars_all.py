"""Polars, one thread (POLARS_MAX_THREADS): every cell read as text, then all checks as expressions, streaming; prints the bad rows."""

import sys

import polars

TYPES = {
    "cost": polars.Float64,
    "msrp": polars.Float64,
    "base_price": polars.Float64,
    "base_units_per_sales_unit": polars.Int64,
}
column = polars.col
bad = [column(name).is_null() for name in ("sku", "name", "brand")]
bad += [column(name).is_not_null() & column(name).cast(type, strict=False).is_null() for name, type in TYPES.items()]
bad += [column("active").is_not_null() & ~column("active").is_in(["true", "false"])]
rows = polars.scan_csv(sys.argv[1], infer_schema=False, row_index_name="row", row_index_offset=1)
# Every column is asked for, so that every one is read.
found = rows.filter(polars.any_horizontal(bad)).collect(engine="streaming")
print("\n".join(map(str, sorted(found["row"].to_list()))))
