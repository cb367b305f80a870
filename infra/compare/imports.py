"""Measures an import from the file to the store, beside what else loads a file; main.py calls it.

Each loader writes the same rows into a store of its own that is new: Penstock into its local cloud, boto3 and dlt into the emulator of DynamoDB
that the local cloud has in it, Django into SQLite. The store is read afterwards: what a loader says of itself is not believed.
"""

import json
import pathlib
import re
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE / "peers"))

import products  # noqa: E402

START_SECONDS = 60


def until(what, holds):
    """Waits until `holds` returns something, which it gives."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if found := holds():
            return found
        time.sleep(0.02)
    sys.exit(f"{what} is not there after {START_SECONDS} s")


def peak_bytes(process):
    """The most memory that a process and its children had, each at its own peak, added (Linux: proc_pid_status(5), VmHWM)."""
    total = 0
    for status in pathlib.Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
        except OSError:
            continue
        found = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        if process in (int(found["Pid"]), int(found["PPid"])) and "VmHWM" in found:
            total += int(found["VmHWM"].split()[0]) * 1024
    return total


class Dynamo:
    """The emulator, in memory and in a process of its own."""

    def __init__(self, made, _kept):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [str(made / "dynoxide/bin/dynoxide"), "--port", str(port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.target = [self.url]
        until("DynamoDB", self._answers)

    def _answers(self):
        try:
            with socket.create_connection(("127.0.0.1", int(self.url.rsplit(":", 1)[1])), 1):
                return True
        except OSError:
            return False

    def keys(self):
        table, found, more = products.table(self.url), [], {}
        while True:
            page = table.scan(ProjectionExpression="sku", **more)
            found += [item["sku"] for item in page["Items"]]
            if "LastEvaluatedKey" not in page:
                return found
            more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def peak(self):
        return peak_bytes(self.process.pid)

    def close(self):
        self.process.kill()
        self.process.wait()


class Sqlite:
    """A file, which the loader itself writes."""

    def __init__(self, _made, _kept):
        self.folder = tempfile.TemporaryDirectory()
        self.target = [self.folder.name]

    def keys(self):
        database = sqlite3.connect(f"{self.folder.name}/products.sqlite")
        try:
            return [key for (key,) in database.execute("SELECT sku FROM products")]
        finally:
            database.close()

    def peak(self):
        return 0

    def close(self):
        self.folder.cleanup()


class Cloud:
    """`penstock dev`: in memory, or in a folder, so that it comes back after a kill."""

    def __init__(self, made, kept):
        self.folder = tempfile.TemporaryDirectory()
        self.penstock = str(made.parent / "release/penstock")
        self.kept = kept
        self.start()

    def start(self):
        ready = pathlib.Path(self.folder.name) / "ready.json"
        ready.unlink(missing_ok=True)
        keep = ["--data", f"{self.folder.name}/data"] if self.kept else []
        command = [self.penstock, "dev", "--listen", "127.0.0.1:0", "--quiet", "--key", "demo:secret", "--ready-file", str(ready), *keep]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.url = json.loads(until("the local cloud", lambda: ready.exists() and ready.read_text()))["url"]
        self.target = ["--url", self.url, "--token", "demo:secret"]

    def newest(self):
        """The newest import, or nothing."""
        done = subprocess.run([self.penstock, "list", "--limit", "1", "--json", *self.target], capture_output=True, text=True)
        return json.loads(done.stdout) if done.stdout.strip() else None

    def keys(self):
        file = pathlib.Path(self.folder.name) / "export.ndjson"
        subprocess.run([self.penstock, "export", "products", "-o", str(file), *self.target], check=True, capture_output=True)
        with file.open() as lines:
            return [json.loads(line)["sku"] for line in lines]

    def peak(self):
        return peak_bytes(self.process.pid)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()


class Loader:
    """A way to load a file: its command, the store that it loads into, and where it keeps what it needs to go on."""

    def __init__(self, name, version, store, command):
        self.name, self.version, self.store, self.command = name, version, store, command

    def run(self, made, arguments):
        """Runs it to its end: its exit code, what it used, and what it wrote on standard output and error."""
        done = subprocess.run([str(made / "programs/release/measure"), *arguments], capture_output=True, text=True)
        lines = done.stderr.splitlines()
        return json.loads(lines[-1]), done.stdout, lines[:-1]

    def refused(self, store, output):
        """How many rows it names as refused."""
        return len({int(line) for line in output.split() if line.isdigit()})

    def unwritten(self, output, errors):
        """Of a second run of the same file: how many rows it says it has written again."""
        said = [int(line.split()[1]) for line in errors if line.startswith("written ")]
        return said[-1] if said else None

    def killed(self, made, store, arguments, rows):
        """Starts it and kills it once half the rows are written: how many it has said by then."""
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        written = 0
        for line in process.stderr:
            if line.startswith("written "):
                written = int(line.split()[1])
                if written >= rows // 2:
                    break
        process.kill()
        process.stderr.close()
        process.wait()
        return written

    def again(self, made, store, arguments):
        """What its user does after the kill: the seconds that it takes."""
        began = time.monotonic()
        self.run(made, arguments)
        return time.monotonic() - began


class Penstock(Loader):
    def refused(self, store, output):
        return json.loads(output)["rejected"]["rows"]

    def unwritten(self, output, errors):
        rows = json.loads(output)["rows"]
        return rows["created"] + rows["updated"]

    def killed(self, made, store, arguments, rows):
        client = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        done = lambda: (found := store.newest()) and found["rows"]["processed"] >= rows // 2 and found["rows"]["processed"]
        written = done()
        while not written and client.poll() is None:
            time.sleep(0.02)
            written = done()
        store.process.kill()
        store.process.wait()
        client.kill()
        client.wait()
        return written or rows

    def again(self, made, store, arguments):
        """The local cloud is started again, and goes on by itself: nothing is sent a second time."""
        began = time.monotonic()
        store.start()
        subprocess.run([store.penstock, "watch", store.newest()["id"], *store.target], capture_output=True)
        return time.monotonic() - began


def loaders(made, commit, packages):
    python, peers, penstock = str(made / "venv/bin/python"), HERE / "peers", str(made.parent / "release/penstock")
    script = lambda name: lambda file, store, _: [python, "-B", str(peers / name), file, *store.target]
    return [
        Penstock("penstock import", commit, Cloud, lambda file, store, kept: [penstock, "import", file, "--json", "--rejected", f"{kept}/rejected.csv", *store.target]),
        Loader("boto3, batch writer", packages["boto3"], Dynamo, script("boto3_load.py")),
        Loader("dlt, a destination of one's own", packages["dlt"], Dynamo, lambda *of: [*script("dlt_load.py")(*of), of[2]]),
        Loader("django-import-export, SQLite", packages["django-import-export"], Sqlite, script("django_load.py")),
    ]


def measure(loader, made, clean, dirty, good, bad):
    """Everything that the table says of a loader. `clean` holds `good`, `dirty` as many, of which `bad` are wrong."""
    found = {}
    rows = len(good)

    def held(store, wanted):
        keys = store.keys()
        return {"records": len(keys), "missing": len(wanted - set(keys)), "more": len(keys) - len(set(keys) & wanted)}

    def in_a_store(keep, work):
        store = loader.store(made, keep)
        try:
            with tempfile.TemporaryDirectory() as kept:
                work(store, lambda file: loader.command(str(file), store, kept))
        finally:
            store.close()

    def twice(store, command):
        used, _, errors = loader.run(made, command(clean))
        if used["code"] != 0:
            sys.exit(f"{loader.name} has failed:\n" + "\n".join(errors))
        found["first"] = {"seconds": used["wall"], "peak": used["peak"] + store.peak(), **held(store, good)}
        used, output, errors = loader.run(made, command(clean))
        found["second"] = {"seconds": used["wall"], "written": loader.unwritten(output, errors), **held(store, good)}
        for part in (found["first"], found["second"]):
            if part["missing"] or part["more"]:
                sys.exit(f"{loader.name} leaves a store that differs from the file: {part}")

    def killed(store, command):
        at = loader.killed(made, store, command(clean), rows)
        seconds = loader.again(made, store, command(clean))
        found["killed"] = {"at": at, "seconds": seconds, **held(store, good)}

    def with_bad_rows(store, command):
        used, output, errors = loader.run(made, command(dirty))
        said = [line for line in errors if re.match(r"[\w.]*[A-Z]\w*: ", line)]
        named = loader.refused(store, output)
        try:
            state = held(store, good - bad)
        except sqlite3.Error:
            state = {"records": 0, "missing": len(good - bad), "more": 0}
        found["bad"] = {"code": used["code"], "named": named, "said": said[:1] if used["code"] == 1 else [], **state}

    in_a_store(False, twice)
    in_a_store(True, killed)
    in_a_store(False, with_bad_rows)
    return found
