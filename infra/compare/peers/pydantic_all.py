"""Python's csv module and pydantic: a model of the columns, validated row by row; prints the bad rows.

    pydantic_all.py FILE [ROWS]     reads the first ROWS rows
"""

import csv
import itertools
import sys
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, StringConstraints, ValidationError

Text = Annotated[str, StringConstraints(min_length=1)]
nothing = BeforeValidator(lambda cell: None if cell == "" else cell)
Number = Annotated[float | None, nothing]


class Product(BaseModel):
    sku: Text
    name: Text
    description: str
    cost: Number
    upc: str
    brand: Text
    msrp: Number
    base_price: Number
    category: str
    active: Annotated[Literal["true", "false"] | None, nothing]
    custom1_name: str
    custom1_value: str
    custom2_name: str
    custom2_value: str
    custom3_name: str
    custom3_value: str
    image_url: str
    sales_unit: str
    base_units_per_sales_unit: Annotated[int | None, nothing]


with open(sys.argv[1], encoding="utf-8", newline="") as file:
    rows = itertools.islice(csv.DictReader(file), int(sys.argv[2]) if len(sys.argv) > 2 else None)
    for number, row in enumerate(rows, 1):
        try:
            Product.model_validate(row)
        except ValidationError:
            print(number)
