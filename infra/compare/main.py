"""Measures `penstock check` beside other programs that check the same rows, and an import of them beside other ways to load them (imports.py);
./run makes what this needs and calls it.

Every program reads the same file and prints the numbers of the bad rows. They have to be the rows that the generator made bad, or this fails.
Repeats are interleaved, so that a slow moment of the machine falls on all; of each measure the least and the median are told. Nothing here is
an assertion on time.
"""

import argparse
import csv
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import textwrap

import generate
import imports
import plot

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
MADE = ROOT / "target" / "compare"
YARDSTICK = "csv::ByteRecord, by hand"


def numbers(output):
    return [int(line) for line in output.split()]


def rows_of_errors(output):
    return sorted({json.loads(line)["row"] for line in output.splitlines()})


def rows_of_table(output):
    return sorted({int(line.split("\t")[0]) for line in output.splitlines()[1:]})


class Program:
    """One thing to measure: what to run, how its output tells the bad rows, and which of them it is to find.

    What writes files beside the data instead, where there are bad rows, `writes` those of these endings, its output the first.
    """

    def __init__(self, name, version, command, *, read=numbers, finds=("required", "type"), share=1.0, codes=(0,), writes=()):
        self.name, self.version, self.command, self.read = name, version, command, read
        self.finds, self.share, self.codes, self.writes = finds, share, codes, writes
        self.measured = []

    def run(self, data, rows, bad):
        seen = max(1, int(rows * self.share))
        command = [str(MADE / "programs/release/measure"), *self.command(str(data), seen)]
        environment = {**os.environ, "POLARS_MAX_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        used = json.loads(done.stderr.splitlines()[-1]) if done.returncode == 0 else {"code": None}
        if used["code"] not in self.codes:
            sys.exit(f"{self.name} has failed:\n{done.stderr}")
        files = [pathlib.Path(f"{data}{ending}") for ending in self.writes]
        found = self.read(files[0].read_text() if used["code"] and files else done.stdout)
        for file in files:
            file.unlink(missing_ok=True)
        wanted = [row for row, kind in bad if kind in self.finds and row <= seen]
        if found != wanted:
            other = sorted(set(found) ^ set(wanted))
            sys.exit(f"{self.name} finds {len(found)} bad rows, not {len(wanted)}: they differ in {other[:10]}")
        for measure in ("cpu", "wall"):
            used[measure] *= rows / seen
        self.measured.append(used)

    def least(self, measure):
        return min(used[measure] for used in self.measured)

    def median(self, measure):
        return statistics.median(used[measure] for used in self.measured)


def versions():
    """The commit of Penstock, and the version of each package from PyPI."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    return commit, {line.split("==")[0]: line.split("==")[1].strip() for line in (HERE / "requirements.txt").open() if "==" in line}


def programs(share):
    python, peers = str(MADE / "venv/bin/python"), HERE / "peers"
    penstock = str(ROOT / "target/release/penstock")
    commit, packages = versions()
    node = {name: version for name, version in json.load((peers / "node/package.json").open())["dependencies"].items()}
    check = lambda threads: lambda data, _: [penstock, "check", data, "--threads", threads, "--errors"]
    script = lambda name: lambda data, _: [python, str(peers / name), data]
    found = {"read": rows_of_errors, "codes": (0, 2)}
    # On one thread its batch is the whole file if nothing is said.
    qsv = [str(MADE / "qsv/bin/qsvlite"), "validate", "--quiet", "--jobs", "1", "--batch", "100000"]
    return [
        Program(YARDSTICK, "csv 1.4", lambda data, _: [str(MADE / "programs/release/by_hand"), data]),
        Program("penstock check, 1 thread", commit, check("1"), **found),
        Program(f"penstock check, {os.cpu_count()} threads", commit, check(str(os.cpu_count())), **found),
        Program("DuckDB, types alone (store_rejects)", packages["duckdb"], script("duckdb_types.py"), finds=("type",)),
        Program("DuckDB, store_rejects and SQL", packages["duckdb"], script("duckdb_all.py")),
        Program("Polars, all checks", packages["polars"], script("polars_all.py")),
        Program(
            "qsv validate, 1 thread",
            (peers / "qsv.version").read_text().strip(),
            lambda data, _: [*qsv, data, str(peers / "qsv.json")],
            read=rows_of_table,
            codes=(0, 1),
            writes=(".validation-errors.tsv", ".valid", ".invalid"),
        ),
        Program(
            "Papa Parse and Ajv",
            f"{node['papaparse']}, {node['ajv']}",
            lambda data, _: ["node", str(MADE / "node/ajv_all.js"), data],
        ),
        Program(
            "Python's csv and pydantic",
            packages["pydantic"],
            lambda data, seen: [python, str(peers / "pydantic_all.py"), data, str(seen)],
            share=share,
        ),
    ]


def machine():
    text = pathlib.Path("/proc/cpuinfo").read_text() if os.path.exists("/proc/cpuinfo") else ""
    models = [line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name")]
    return f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"


def prose(text):
    return textwrap.wrap(text, 120)


def document(args, size, bad, list, moment):
    yardstick = list[0].least("cpu")
    lines = [
        "# What checking a file costs",
        "",
        *prose(
            f"{args.rows:,} product rows, {size / 1e6:.0f} MB, {len(generate.COLUMNS)} columns, {len(bad):,} of them bad. {args.repeats} interleaved "
            f"repeats on {machine()}, {moment:%Y-%m-%d}. Written by `infra/compare/run`."
        ),
        "",
        *prose(
            "CPU is user and system time. Each figure is given as the least of the repeats and their median. The last column is the least CPU "
            "time divided by that of the loop written by hand for these columns. Programs run on one thread where they have an option for it, except "
            "the one that says otherwise. The start of an interpreter is included. All programs find the same bad rows, except DuckDB's types "
            "alone, which cannot find empty cells that are required."
        ),
        "",
        "| program | version | CPU s (least, median) | wall s (least, median) | peak MiB | CPU, by hand = 1 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for program in list:
        note = "" if program.share == 1 else f" (of {int(args.rows * program.share):,} rows, scaled)"
        pair = lambda measure: f"{program.least(measure):.2f}, {program.median(measure):.2f}"
        peak = max(used["peak"] for used in program.measured) / 2**20
        lines.append(
            f"| {program.name}{note} | {program.version} | {pair('cpu')} | {pair('wall')} | {peak:.0f} | "
            f"{program.least('cpu') / yardstick:.2f} |"
        )
    lines += [
        "",
        "![CPU seconds and peak memory](results.svg)",
        "",
        *prose(
            "`generate.py` makes the data from a fixed seed. Each bad row has one fault, an empty required cell or a cell of the wrong type, that "
            "every program's own types refuse. qsv also writes the good and the bad rows to two files; it has no option to leave that out."
        ),
        "",
    ]
    return "\n".join(lines)


IMPORTING = "# What importing a file takes"


def importing(args, list, measured, bad, moment):
    """The table of the loaders."""
    thousands = lambda number: f"{number:,}"
    state = lambda found: f"{thousands(found['missing'])} missing, {thousands(found['more'])} too many"
    lines = [
        "#" + IMPORTING,
        "",
        *prose(
            f"The same {args.import_rows:,} rows from the file to the store, one run each on {machine()}, {moment:%Y-%m-%d}. Penstock writes into its "
            "local cloud; boto3 and dlt write into the emulator of DynamoDB that the local cloud has in it, here in a process of its own; "
            "django-import-export writes into SQLite. Stores are in memory, but SQLite's, and the local cloud's in the run that is killed. Times hold "
            "within this table. Peak memory is that of all processes, the store's included, each at its own peak."
        ),
        "",
        "| loader | version | first run, s | peak MiB | second run, s | rows that it writes again | killed at half, gone on with: s | at its end "
        f"| a file with {len(bad):,} bad rows | bad rows that it names |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | --- | --- | ---: |",
    ]
    for loader in list:
        found = measured[loader.name]
        first, second, killed, dirty = (found[part] for part in ("first", "second", "killed", "bad"))
        end = "ends with an error" if dirty["code"] == 1 else "ends"
        lines.append(
            f"| {loader.name} | {loader.version} | {first['seconds']:.1f} | {first['peak'] / 2**20:.0f} | {second['seconds']:.1f} | "
            f"{thousands(second['written'])} | {killed['seconds']:.1f} | {state(killed)} | {end}: {state(dirty)} | {thousands(dirty['named'])} |"
        )
    lines += [
        "",
        *prose(
            "Every first and second run ended with each row in the store once. *Killed*: SIGKILL to the loader once half the rows were written, for "
            "Penstock to the whole local cloud. Then its user starts it again, and sends the file again, but for Penstock, which goes on by itself. "
            "*Missing* are good rows that the store does not hold then, *too many* bad rows that it does, or rows twice. A key is a record's name "
            "in every store, so that none holds a row twice."
        ),
        "",
    ]
    for loader in list:
        if said := measured[loader.name]["bad"]["said"]:
            message = said[0][:160].replace("`", "'")
            lines += [*prose(f"With bad rows {loader.name} ends with `{message}`."), ""]
    return "\n".join(lines)


def parts(path):
    """What the document holds of the checks, and of the imports."""
    checks, heading, imported = path.read_text().partition(f"\n#{IMPORTING}\n") if path.exists() else ("", "", "")
    return checks, f"#{IMPORTING}\n{imported}" if heading else ""


def put(path, checks, imported):
    path.write_text("\n".join(part for part in (checks, imported) if part))


def measure_imports(args):
    clean, dirty = (MADE / f"imports-{args.import_rows}-{part}.csv" for part in ("clean", "dirty"))
    generate.main(args.import_rows, str(clean), 0.0)
    generate.main(args.import_rows, str(dirty))
    good = {f"SKU-{row:08d}" for row in range(1, args.import_rows + 1)}
    bad = {f"SKU-{int(row):08d}" for row, _ in csv.reader(open(f"{dirty}.bad"), delimiter=" ")}
    list, measured = imports.loaders(MADE, *versions()), {}
    for loader in list:
        measured[loader.name] = imports.measure(loader, MADE, clean, dirty, good, bad)
        print(f"{loader.name}: {json.dumps(measured[loader.name])}", flush=True)
    path = args.out / "RESULTS.md"
    put(path, parts(path)[0], importing(args, list, measured, bad, datetime.datetime.now(datetime.timezone.utc)))
    for file in (clean, dirty):
        file.unlink()
        pathlib.Path(f"{file}.bad").unlink()
    print(f"written: {path}")


def main():
    parser = argparse.ArgumentParser(prog="infra/compare/run", description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the data (default 1,000,000)")
    parser.add_argument("--repeats", type=int, default=3, help="times that each program is run (default 3)")
    parser.add_argument("--share", type=float, default=1.0, help="the part of the rows that the slowest program is given; its times are scaled (default 1)")
    parser.add_argument("--out", type=pathlib.Path, default=HERE, help="the folder for the documents (default infra/compare)")
    parser.add_argument("--import-rows", type=int, default=1_000_000, help="rows that each loader is given (default 1,000,000)")
    parser.add_argument("--only", choices=("checks", "imports"), help="measures these alone; the document's other part stays as it is")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.only != "imports":
        measure_checks(args)
    if args.only != "checks":
        measure_imports(args)


def measure_checks(args):
    data = MADE / f"products-{args.rows}.csv"
    generate.main(args.rows, str(data))
    bad = [(int(row), kind) for row, kind in csv.reader(open(f"{data}.bad"), delimiter=" ")]
    size = data.stat().st_size
    list = programs(args.share)
    for repeat in range(args.repeats):
        for program in list:
            program.run(data, args.rows, bad)
            used = program.measured[-1]
            print(f"{repeat + 1}/{args.repeats} {program.name}: {used['cpu']:.2f} s CPU, {used['wall']:.2f} s, {used['peak'] / 2**20:.0f} MiB", flush=True)
    moment = datetime.datetime.now(datetime.timezone.utc)
    path = args.out / "RESULTS.md"
    put(path, document(args, size, bad, list, moment), parts(path)[1])
    bars = [(program.name, program.least("cpu"), max(used["peak"] for used in program.measured) / 2**20) for program in list]
    title = f"Checking {args.rows:,} rows ({size / 1e6:.0f} MB), {moment:%Y-%m-%d}"
    (args.out / "results.svg").write_text(plot.bars(title, bars))
    measured = {
        "date": f"{moment:%Y-%m-%d}",
        "machine": machine(),
        "rows": args.rows,
        "bytes": size,
        "bad_rows": len(bad),
        "programs": {program.name: {"cpu_seconds": program.least("cpu"), "wall_seconds": program.least("wall")} for program in list},
    }
    (args.out / "results.json").write_text(json.dumps(measured, indent=2) + "\n")
    data.unlink()
    pathlib.Path(f"{data}.bad").unlink()
    print(f"written: {args.out / 'RESULTS.md'}, {args.out / 'results.svg'}, {args.out / 'results.json'}")


if __name__ == "__main__":
    main()
