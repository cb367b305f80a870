"""How long imports of 1, 10 and 100 million rows would take on AWS, what they would cost, and what would hold them up: on paper.

    python3 infra/scale/simulate.py [--out infra/scale/SCALE.md]

The file is split at the rate of the splitter or of S3; validators take chunks as fast as there are validators, as the table takes writes and
serves reads, and as chunks have been split; each second, what binds is noted. Of the table an import of one kind reaches the share that its
shards do, as if DynamoDB never split what is hot. What a row needs comes from the runs that `penstock cost`
measured (infra/cost/measured.json), AWS's limits from limits.json, prices from infra/cost/prices.json.
"""

import argparse
import dataclasses
import functools
import json
import math
import pathlib
import random
import re
import textwrap

HERE = pathlib.Path(__file__).parent
COST = HERE.parent / "cost"
LIMITS_RS = HERE.parents[1] / "shared" / "model" / "src" / "limits.rs"
MILLIONS = (1, 10, 100)
# Numbers of shards that the document compares, and of partitions: those of a new table, of three times as much, of the quota.
SHARDS = (1024, 256, 64)
PARTITIONS = (4, 12, 40)
RECORDS = "penstock-records"
# What a first load of a million rows is to take at most, where somebody pays for it.
TWO_MINUTES = 120
# Columns of the document's prose.
WIDTH = 120


@dataclasses.dataclass(frozen=True)
class Row:
    """What a row needs, on average."""

    bytes: float
    split_seconds: float
    validate_seconds: float
    writes: float
    reads: float
    error_writes: float
    """What a row's errors need, those of an import in sixteen shards of the other table."""
    dollars: float
    """All but the validators' time."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """What a deployment chooses."""

    validators: int
    warm_writes: float
    warm_reads: float


@dataclasses.dataclass(frozen=True)
class Prediction:
    seconds: float
    bound_seconds: dict
    """For each of what may bind, how long it did."""
    busy_seconds: float
    """Of validators at work."""
    held_seconds: float
    """Of validators at work or waiting for the table."""

    def bottleneck(self):
        return max(self.bound_seconds, key=self.bound_seconds.get)


def row_of(run):
    """A run of `penstock cost` as what one of its rows needs."""
    rows = run["rows"]
    total = lambda field, **wanted: sum(
        used[field] for used in run["usage"] if all(used[name] == value for name, value in wanted.items())
    )
    seconds = lambda function: total("milliseconds", service="lambda", function=function) / 1e3 / rows
    dollars = run["dollars_per_million"]
    return Row(
        bytes=run["bytes"] / rows,
        split_seconds=seconds("split"),
        validate_seconds=seconds("validate"),
        writes=total("write_units", service="dynamodb", resource=RECORDS) / rows,
        reads=total("read_units", service="dynamodb", resource=RECORDS) / rows,
        error_writes=total("write_units", service="dynamodb", name="PutItem") / rows,
        dollars=sum(value for name, value in dollars.items() if name != "lambda_compute") / 1e6,
    )


def split_rate(row, limits):
    """Rows that are split in a second: as fast as the splitter or as S3 is."""
    return min(1 / row.split_seconds, limits["s3_stream_bytes_per_second"] / row.bytes)


def validators_at(second, setting, limits):
    """How many validators may be at work that long after the first message."""
    polled = limits["event_source_start"] + limits["event_source_per_minute"] / 60 * second
    started = limits["event_source_start"] + limits["lambda_scaling_per_second"] * second
    most = min(setting.validators, limits["event_source_most"], limits["lambda_account_concurrency"])
    return min(polled, started, most)


def table_at(second, warm, limits):
    """Units a second that an on-demand table takes after being driven at its limit for so long: twice as many each half hour."""
    doublings = int(second // limits["dynamodb_doubling_seconds"])
    return min(warm * 2**doublings, max(warm, limits["dynamodb_table_quota"]))


def shards_of(limit):
    """`RECORD_SHARDS` or `ERROR_SHARDS`, as the store has it."""
    return int(re.search(rf"pub const {limit}: \w+ = (\d+);", LIMITS_RS.read_text())[1])


ERROR_SHARDS = shards_of("ERROR_SHARDS")


@functools.cache
def reached(shards, partitions, draws=1000):
    """The share of a table's units that one kind reaches before DynamoDB splits what is hot: its shards fall into the partitions by their
    hashes, and the partition with most of them binds. The mean of so many drawings, always the same."""
    drawn = random.Random(f"{shards}/{partitions}")
    total = 0.0
    for _ in range(draws):
        fallen = [0] * partitions
        for _ in range(shards):
            fallen[drawn.randrange(partitions)] += 1
        total += shards / partitions / max(fallen)
    return total / draws


def share_at(second, setting, limits, shards):
    """That share of a table which has as many partitions as its units need."""
    writes = table_at(second, setting.warm_writes, limits) / limits["dynamodb_partition_writes"]
    reads = table_at(second, setting.warm_reads, limits) / limits["dynamodb_partition_reads"]
    return reached(shards, math.ceil(max(writes, reads)))


def errors_at(second, limits):
    """Units a second that the errors of one import take of the other table, which begins as a new one."""
    units = table_at(second, limits["dynamodb_new_table_writes"], limits)
    partitions = math.ceil(units / limits["dynamodb_partition_writes"])
    return units * reached(ERROR_SHARDS, partitions)


def simulate(rows, row, setting, limits, shards, step=1.0):
    """Imports so many rows of one kind."""
    bound = dict.fromkeys(["splitter", "validators", "table writes", "table reads", "errors' partitions"], 0.0)
    second, split, done, busy, held = 0.0, 0.0, 0.0, 0.0, 0.0
    by_splitter = split_rate(row, limits)
    while done < rows * (1 - 1e-12):
        split = min(rows, split + by_splitter * step)
        validators = validators_at(second, setting, limits)
        share = share_at(second, setting, limits, shards)
        rates = {
            "splitter": (split - done) / step,
            # Rows that say again what was said last are not sent to them.
            "validators": validators / row.validate_seconds if row.validate_seconds else float("inf"),
            "table writes": share * table_at(second, setting.warm_writes, limits) / row.writes if row.writes else float("inf"),
            "table reads": share * table_at(second, setting.warm_reads, limits) / row.reads if row.reads else float("inf"),
            "errors' partitions": errors_at(second, limits) / row.error_writes if row.error_writes else float("inf"),
        }
        what = min(rates, key=rates.get)
        taken = min(rates[what] * step, rows - done)
        part = taken / rates[what] if rates[what] > 0 else step
        if what == "splitter" and split >= rows:
            # All is split: what is left is the last of it.
            part = max(part, taken * row.validate_seconds / validators)
        bound[what] += part
        busy += taken * row.validate_seconds
        held += validators * part if what not in ("splitter", "validators") else taken * row.validate_seconds
        done += taken
        second += part
    return Prediction(second, bound, busy, held)


def least_setting(rows, row, within, limits, shards):
    """The fewest warm write units, in steps of 500, and then the fewest validators, with which so many rows take no longer; reads are plenty."""
    plenty = limits["dynamodb_table_quota"]
    takes = lambda validators, writes: simulate(rows, row, Setting(validators, writes, plenty), limits, shards).seconds
    most = limits["lambda_account_concurrency"]
    writes = next((writes for writes in range(limits["dynamodb_new_table_writes"], plenty + 1, 500) if takes(most, writes) <= within), None)
    if writes is None:
        return None
    return Setting(next(validators for validators in range(2, most + 1) if takes(validators, writes) <= within), writes, plenty)


def dollars(rows, row, prediction, prices, memory_mb):
    """From what the rows' own time costs to what it costs where validators wait for the table."""
    price = prices["lambda_gb_second"]
    per_second = price["dollars"] / price["per"] * memory_mb["validate"] / 1024
    splitting = rows * row.split_seconds * price["dollars"] / price["per"] * memory_mb["split"] / 1024
    least = rows * row.dollars + splitting
    return least + prediction.busy_seconds * per_second, least + prediction.held_seconds * per_second


def duration(seconds):
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


def document(measured, table, limits_file):
    limits = {name: limit["value"] for name, limit in limits_file["limits"].items()}
    shards = shards_of("RECORD_SHARDS")
    lines = [
        "# Scale on paper",
        "",
        *textwrap.wrap(
            f"Predictions of how long imports take on AWS. They combine AWS's published limits ({limits_file['date']}) with the work per row in "
            f"runs of {measured['runs'][0]['rows']:,} rows, measured on {measured['date']} on {measured['cores']} cores shared with the local "
            "cloud. No import has run on AWS; validators wait for another DynamoDB there. Written by `python3 infra/scale/simulate.py`.",
            WIDTH,
        ),
        "",
        "| rows | setting | splitter, rows/s | time | bottleneck | share of the time | dollars, without and with waiting validators |",
        "| --- | --- | ---: | ---: | --- | ---: | ---: |",
    ]
    for run in measured["runs"]:
        row = row_of(run)
        for millions in MILLIONS:
            for name, values in limits_file["settings"].items():
                prediction = simulate(millions * 1_000_000, row, Setting(**values), limits, shards)
                least, most = dollars(millions * 1_000_000, row, prediction, table["prices"], table["memory_mb"])
                what = prediction.bottleneck()
                lines.append(
                    f"| {millions} million {run['name']} | {name} | {split_rate(row, limits):,.0f} | {duration(prediction.seconds)} | {what} | "
                    f"{prediction.bound_seconds[what] / prediction.seconds:.0%} | {least:.2f} to {most:.2f} |"
                )
    lines += ["", "| setting | concurrent validators | table's write units a second | read units a second |", "| --- | ---: | ---: | ---: |"]
    for name, values in limits_file["settings"].items():
        lines.append(f"| {name} | {values['validators']:,} | {values['warm_writes']:,} | {values['warm_reads']:,} |")
    new = row_of(measured["runs"][0])
    least = least_setting(1_000_000, new, TWO_MINUTES, limits, shards)
    lines += [
        "",
        *textwrap.wrap(
            f"A new table takes {limits['dynamodb_new_table_writes']:,} write units a second, which the validators as deployed use up: more of them "
            f"would be throttled, not faster. A million new rows take two minutes with {least.warm_writes:,} write units a second "
            f"(`WarmWriteUnits`) and {least.validators} validators. The default stays at what a new table gives, since warm throughput is paid "
            "once and cannot be lowered again.",
            WIDTH,
        ),
    ]
    lines += ["", "| work per row | bytes | splitter, µs | validator, µs | write units | read units | write units of errors |", "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for run in measured["runs"]:
        row = row_of(run)
        lines.append(
            f"| {run['name']} | {row.bytes:.0f} | {row.split_seconds * 1e6:.1f} | {row.validate_seconds * 1e6:.1f} | {row.writes:.2f} | {row.reads:.2f} | {row.error_writes:.2f} |"
        )
    lines += [
        "",
        *textwrap.wrap(
            f"The records of a kind are spread over {shards} partition keys. They fall into the partitions of the table by their hashes, and the fullest "
            "partition bounds what an import of one kind writes and reads until DynamoDB splits it, which the predictions leave out. The share of "
            "the table that one kind reaches, the mean of 1,000 drawings:",
            WIDTH,
        ),
        "",
        "| shards | " + " | ".join(f"of {partitions} partitions" for partitions in PARTITIONS) + " | queries for a small kind, of one read unit each |",
        "| ---: |" + " ---: |" * (len(PARTITIONS) + 1),
    ]
    for number in SHARDS:
        shares = " | ".join(f"{reached(number, partitions):.0%}" for partitions in PARTITIONS)
        lines.append(f"| {number:,} | {shares} | {number:,} |")
    lines += ["", "| limit | value | source |", "| --- | ---: | --- |"]
    for limit in limits_file["limits"].values():
        lines.append(f"| {limit['what']} | {limit['value']:,} | <{limit['source']}> |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--measured", type=pathlib.Path, default=COST / "measured.json", help="what `penstock cost --measured` wrote")
    parser.add_argument("--out", type=pathlib.Path, help="where the document goes; standard output if not given")
    args = parser.parse_args()
    read = lambda path: json.loads(path.read_text())
    text = document(read(args.measured), read(COST / "prices.json"), read(HERE / "limits.json"))
    if args.out:
        args.out.write_text(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
