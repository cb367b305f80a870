"""Measures each function's cold start without AWS: the time from the start of its process to its first poll of the Lambda Runtime API (AWS
Lambda Developer Guide, "Using the Lambda runtime API"), its resident memory then, and the most that it had until then. The runs of all
functions are interleaved, so that a busy machine is busy for all of them; the medians are printed as a Markdown table.

    python3 infra/release/measure.py [--runs 21]
"""

import argparse
import contextlib
import datetime
import os
import pathlib
import platform
import re
import signal
import socket
import statistics
import tempfile
import time
import zipfile

BUILT = pathlib.Path("target/lambda")
EMPTY = "empty"
TEMPLATE = pathlib.Path("template.yaml").read_text()
FUNCTIONS = re.findall(r"^ *Binary: (penstock-[a-z]+)$", TEMPLATE, re.M)
# The targets: a start of at most five times the empty function's, and at most this memory when it waits for its first
# invocation.
MOST_TIMES = 5
MOST_IDLE_KIB = 16 * 1024
POLL = b"GET /2018-06-01/runtime/invocation/next "
SECONDS = 30


def environment(port):
    """What Lambda and template.yaml tell a function."""
    own = ["IMPORTS_TABLE", "RECORDS_TABLE", "UPLOADS_BUCKET", "RESULTS_BUCKET"]
    queues = set(re.findall(r"PENSTOCK_[A-Z]+_QUEUE_URL", TEMPLATE))
    return {
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
        "AWS_LAMBDA_FUNCTION_NAME": "function",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/function",
        "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_SESSION_TOKEN": "none",
        **{f"PENSTOCK_{name}": "penstock-name" for name in own},
        **{name: "https://sqs.us-east-1.amazonaws.com/123456789012/name" for name in queues},
    }


def kib(status, name):
    return int(re.search(rf"^{name}:\s+(\d+) kB$", status, re.M)[1])


def end(process):
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


def cold_start(program):
    """Seconds until the first poll, those of them on a processor, and KiB of resident memory, then and at most until then."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SECONDS)
        variables = environment(listener.getsockname()[1])
        began = time.perf_counter()
        process = os.posix_spawn(program, [program], variables)
        with contextlib.ExitStack() as ending:
            # Before its connection is closed, of which it would complain.
            ending.callback(end, process)
            connection, _ = listener.accept()
            connection.settimeout(SECONDS)
            request = b""
            while b"\r\n\r\n" not in request:
                more = connection.recv(4096)
                assert more, f"{program} went away: {request}"
                request += more
            seconds = time.perf_counter() - began
            assert request.startswith(POLL), request
            folder = pathlib.Path("/proc", str(process))
            status = (folder / "status").read_text()
            # Nanoseconds on a processor, which others' work hardly changes (Linux,
            # Documentation/scheduler/sched-stats.rst).
            nanoseconds = sum(int(thread.read_text().split()[0]) for thread in folder.glob("task/*/schedstat"))
        connection.close()
    return seconds, nanoseconds / 1e9, kib(status, "VmRSS"), kib(status, "VmHWM")


def processor():
    names = re.findall(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=21, help="how often each function is started")
    runs = parser.parse_args().runs
    programs = [EMPTY, *FUNCTIONS]
    found = {name: [] for name in programs}
    with tempfile.TemporaryDirectory() as folder:
        for name in programs:
            with zipfile.ZipFile(BUILT / name / "bootstrap.zip") as archive:
                os.chmod(archive.extract("bootstrap", f"{folder}/{name}"), 0o755)
        # The first start of each reads its file from the disk: it is not counted.
        for _ in range(runs + 1):
            for name in programs:
                found[name].append(cold_start(f"{folder}/{name}/bootstrap"))
    medians = {name: [statistics.median(values) for values in zip(*starts[1:])] for name, starts in found.items()}
    base = medians[EMPTY][0]
    print(f"{processor()}; {datetime.date.today()}; medians of {runs} runs\n")
    print("| function | zip, bytes | start, ms | × empty | of it on a processor, ms | idle, MiB | peak, MiB |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    over = []
    for name, (seconds, cpu, idle, peak) in medians.items():
        size = f"{(BUILT / name / 'bootstrap.zip').stat().st_size:,}"
        print(f"| `{name}` | {size} | {seconds * 1000:.1f} | {seconds / base:.1f} | {cpu * 1000:.1f} | {idle / 1024:.1f} | {peak / 1024:.1f} |")
        if seconds > MOST_TIMES * base or idle > MOST_IDLE_KIB:
            over.append(name)
    if over:
        print(f"\nover the targets ({MOST_TIMES} × the empty function's start, {MOST_IDLE_KIB // 1024} MiB idle): {', '.join(over)}")


if __name__ == "__main__":
    main()
