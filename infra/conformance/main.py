"""Starts a cloud that is not ours, makes tables, buckets and queues in it as template.yaml has them, and runs the store's scenarios against it.
Exits with 1 where they find a difference that is not listed, or do not find one that is.

    infra/conformance/run [ministack|moto]...
"""

import argparse
import importlib.metadata
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "infra" / "ministack"))

from cloud import CREDENTIALS, Cloud, Ministack, interruptible  # noqa: E402


class Moto(Cloud):
    """A moto process, which starts no others."""

    def command(self):
        return ["python", str(ROOT / "infra" / "conformance" / "moto_server.py"), str(self.port)]

    def variables(self):
        return {"MOTO_PORT": str(self.port)}


CLOUDS = {"ministack": Ministack, "moto": Moto}
TABLES = [
    {
        "TableName": "imports",
        "AttributeDefinitions": [
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
            {"AttributeName": "due_shard", "AttributeType": "S"},
            {"AttributeName": "due_at", "AttributeType": "N"},
        ],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "due",
                "KeySchema": [
                    {"AttributeName": "due_shard", "KeyType": "HASH"},
                    {"AttributeName": "due_at", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    },
    {
        "TableName": "records",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    },
]


def resources(cloud):
    """Makes what the store works on, and gives the variables that say where it is."""
    dynamodb, s3, sqs = (cloud.client(service) for service in ("dynamodb", "s3", "sqs"))
    for table in TABLES:
        dynamodb.create_table(**table, BillingMode="PAY_PER_REQUEST")
    for bucket in ("uploads", "results"):
        s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket="uploads", VersioningConfiguration={"Status": "Enabled"})
    attributes = {"MaximumMessageSize": "1048576", "VisibilityTimeout": "600"}
    # As the template gives them to every function.
    variables = set(re.findall(r"PENSTOCK_[A-Z]+_QUEUE_URL", (ROOT / "template.yaml").read_text()))
    queues = {variable: variable.split("_")[1].lower() for variable in variables}
    urls = {variable: sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"] for variable, name in queues.items()}
    return {
        "AWS_ENDPOINT_URL": cloud.url,
        "PENSTOCK_IMPORTS_TABLE": "imports",
        "PENSTOCK_RECORDS_TABLE": "records",
        "PENSTOCK_UPLOADS_BUCKET": "uploads",
        "PENSTOCK_RESULTS_BUCKET": "results",
        **urls,
        **CREDENTIALS,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cloud", choices=CLOUDS)
    parser.add_argument("suite", help="the executable of tests/suite.rs")
    arguments = parser.parse_args()
    name = arguments.cloud
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"penstock-{name}-"))
    cloud = None
    keep = False
    with interruptible() as ending:
        try:
            cloud = CLOUDS[name](folder)
            cloud.wait()
            variables = {"PENSTOCK_CONFORMANCE": f"{name} {importlib.metadata.version(name)}", **resources(cloud)}
            # A difference that is listed fails inside its scenario, too.
            variables["RUST_BACKTRACE"] = "0"
            status = subprocess.run([arguments.suite, "conformance::", "--nocapture"], env={**os.environ, **variables}).returncode
            assert status == 0, f"the scenarios exit with {status}; the log is {folder / 'log'}"
        except BaseException:
            keep = True
            raise
        finally:
            ending()
            if cloud:
                cloud.stop()
            if not keep:
                shutil.rmtree(folder)


if __name__ == "__main__":
    main()
