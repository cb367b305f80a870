"""django-import-export in its bulk mode, into SQLite; prints the numbers of the rows that it refuses.

    django_load.py FILE FOLDER
"""

import pathlib
import sys

import django
import tablib
from django.conf import settings

import products

database = pathlib.Path(sys.argv[2]) / "products.sqlite"
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(database)}},
    INSTALLED_APPS=["import_export"],
    USE_TZ=True,
)
django.setup()

from django.db import connection, models  # noqa: E402
from import_export import resources  # noqa: E402

price = lambda: models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
text = lambda: models.TextField(blank=True)


class Product(models.Model):
    sku = models.CharField(primary_key=True, max_length=100)
    name = models.TextField()
    description = text()
    cost = price()
    upc = text()
    brand = models.TextField()
    msrp = price()
    base_price = price()
    category = text()
    active = models.BooleanField(null=True, blank=True)
    custom1_name = text()
    custom1_value = text()
    custom2_name = text()
    custom2_value = text()
    custom3_name = text()
    custom3_value = text()
    image_url = text()
    sales_unit = text()
    base_units_per_sales_unit = models.IntegerField(null=True, blank=True)

    class Meta:
        app_label = "import_export"
        db_table = products.TABLE


class Products(resources.ModelResource):
    class Meta:
        model = Product
        import_id_fields = ["sku"]
        use_bulk = True
        batch_size = 1000
        skip_unchanged = True
        report_skipped = False
        clean_model_instances = True

    def after_import_row(self, row, row_result, **kwargs):
        progress.add()


progress = products.Progress()
if products.TABLE not in connection.introspection.table_names():
    with connection.schema_editor() as editor:
        editor.create_model(Product)
with open(sys.argv[1], encoding="utf-8", newline="") as file:
    dataset = tablib.Dataset().load(file, format="csv")
result = Products().import_data(dataset)
refused = {number for number, _ in result.row_errors()} | {row.number for row in result.invalid_rows}
for number in sorted(refused):
    print(number)
progress.written = result.totals["new"] + result.totals["update"]
progress.say()
sys.exit(2 if refused or result.base_errors else 0)
