"""The data of the comparison: product rows from a fixed seed, some of them bad, and which of them are.

    generate.py ROWS FILE

writes FILE, and FILE.bad: the number of each bad row, from 1, and what is wrong with it (`required` or `type`). Nothing but random() is used of
the generator, whose sequence Python keeps from version to version.
"""

import random
import sys

COLUMNS = (
    "sku,name,description,cost,upc,brand,msrp,base_price,category,active,custom1_name,custom1_value,custom2_name,"
    "custom2_value,custom3_name,custom3_value,image_url,sales_unit,base_units_per_sales_unit"
).split(",")
BAD_FRACTION = 0.005
SEED = 20261122
WORDS = (
    "anvil bolt copper drill elbow flange gasket hinge inlet joint knob lever motor nozzle outlet pump quick rotor seal tap union valve "
    "washer yoke zinc brass steel rubber heavy light duty indoor outdoor standard metric threaded welded Ø50 größe"
).split()
# What makes a row bad, by column. Each is wrong by the types of every program in the comparison: a whole number such as
# 1.5, which DuckDB rounds, is not among them.
FAULTS = [
    ("required", "sku", ""),
    ("required", "name", ""),
    ("required", "brand", ""),
    ("type", "cost", "n/a"),
    ("type", "msrp", "12,50"),
    ("type", "base_price", "1.2.3"),
    ("type", "active", "maybe"),
    ("type", "base_units_per_sales_unit", "a dozen"),
]


def cell(text):
    """As RFC 4180 quotes it."""
    return '"' + text.replace('"', '""') + '"' if "," in text or '"' in text else text


def main(rows, path, bad_fraction=BAD_FRACTION):
    rng = random.Random(SEED).random
    pick = lambda list: list[int(rng() * len(list))]
    words = lambda count: " ".join([pick(WORDS) for _ in range(count)])
    price = lambda: f"{int(rng() * 90_000) / 100:.2f}"
    with open(path, "w", encoding="utf-8", newline="") as file, open(path + ".bad", "w", encoding="ascii") as bad:
        file.write(",".join(COLUMNS) + "\n")
        for row in range(1, rows + 1):
            description = words(9)
            if rng() < 0.3:
                description += f', {int(rng() * 40)}" wide, {pick(WORDS)}'
            number = int(rng() * 1e12)
            values = {
                "sku": f"SKU-{row:08d}",
                "name": words(4).capitalize(),
                "description": description,
                "cost": price(),
                "upc": f"{number:012d}",
                "brand": f"Brand No. {int(rng() * 500)}",
                "msrp": price() if rng() < 0.9 else "",
                "base_price": price(),
                "category": f"Category {int(rng() * 60)}",
                "active": "true" if rng() < 0.8 else "false",
                "custom1_name": "Material",
                "custom1_value": pick(WORDS),
                "custom2_name": "Finish",
                "custom2_value": pick(WORDS),
                "custom3_name": "Size",
                "custom3_value": f"{int(rng() * 300)} mm",
                "image_url": f"https://images.example.com/{number % 997}/{number}.jpg",
                "sales_unit": pick(["Piece", "Box", "Pallet"]),
                "base_units_per_sales_unit": str(1 + int(rng() * 48)),
            }
            if rng() < bad_fraction:
                kind, column, value = pick(FAULTS)
                values[column] = value
                bad.write(f"{row} {kind}\n")
            file.write(",".join([cell(value) for value in values.values()]) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
