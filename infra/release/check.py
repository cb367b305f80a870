"""Checks of each function's archive that it holds one `bootstrap`, which asks for no glibc above 2.34 (Amazon Linux 2023's) and was
built without the feature `faults`, and that all are for one architecture; prints their sizes. The last line is the architecture, as
the template's parameter has it.

    python3 infra/release/check.py penstock-api ...
"""

import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile

NEWEST = (2, 34)
# What is downloaded at a cold start; Lambda takes ten times as much (AWS Lambda Developer Guide, "Lambda quotas").
MOST_BYTES = 5_000_000


def glibc(binary):
    """The newest version of glibc that a binary's symbols ask for."""
    symbols = subprocess.run(["readelf", "--version-info", "--wide", binary], check=True, capture_output=True, text=True).stdout
    versions = {tuple(map(int, version.split("."))) for version in re.findall(r"GLIBC_([0-9.]+)", symbols)}
    return max(versions, default=(0,))


def architecture(binary):
    """What processor a binary is for (elf(5), `e_machine`)."""
    machine = int.from_bytes(pathlib.Path(binary).read_bytes()[18:20], "little")
    return {62: "x86_64", 183: "arm64"}.get(machine, f"machine {machine}")


def words_of_faults():
    """The variables and crash points of the feature `faults`; `tests/faults.rs` shows that a build with it holds them all."""
    store = pathlib.Path("shared/store/src")
    sources = {name: (store / f"{name}.rs").read_text() for name in ("crash", "clock", "conditions")}
    variables = re.findall(r'pub const \w+: &str = "(PENSTOCK_\w+)";', "".join(sources.values()))
    points = re.findall(r'^    "(\w+\.\w+)",$', sources["crash"], re.M)
    assert len(variables) == 3 and len(points) > 20, f"shared/store names {variables} and {points}"
    return variables + points


def check(function):
    archive = pathlib.Path("target/lambda") / function / "bootstrap.zip"
    with zipfile.ZipFile(archive) as file, tempfile.TemporaryDirectory() as folder:
        assert file.namelist() == ["bootstrap"], f"{archive} holds {file.namelist()}"
        bootstrap = file.extract("bootstrap", folder)
        needs = glibc(bootstrap)
        architectures.add(architecture(bootstrap))
        program = pathlib.Path(bootstrap).read_bytes()
        faults = [word for word in words_of_faults() if word.encode() in program]
        unpacked = file.getinfo("bootstrap").file_size
    zipped = archive.stat().st_size
    print(f"{function:20} {zipped:>12,} bytes zipped {unpacked:>12,} unpacked, glibc {'.'.join(map(str, needs))}")
    if needs > NEWEST:
        yield f"{function} needs a newer glibc than {'.'.join(map(str, NEWEST))}"
    if faults:
        yield f"{function} was built with the feature faults: it holds {', '.join(faults)}"
    if zipped > MOST_BYTES:
        yield f"{function} is larger than {MOST_BYTES:,} bytes"


architectures = set()
wrong = [what for name in sys.argv[1:] for what in check(name)]
if len(architectures) != 1:
    wrong.append(f"the archives are for {', '.join(sorted(architectures))}")
if wrong:
    raise SystemExit("\n".join(wrong))
print(*architectures)
