"""In the machine: the core's own update, by dpkg, with and without the trial of what it brings."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

from tests.bench.guest.results import Results
from tests.bench.guest.tools import Failed, run, say
from tests.bench.update import cases
from tests.bench.update.payload import WORK

_SLOTS = Path("/var/lib/aurora-core/core")
_TRIAL = "aurora-core-trial.service"
_CHANGED = "usr/lib/python3/dist-packages/aurora/errors.py"


def measure(results: Results, rounds: int, written: Callable[[], int]) -> None:
    """One update a round with its trial, and one without; Failed where a version is not in use at the end."""
    (package,) = Path("/var/lib/aurora-test/deb").glob("aurora-core_*.deb")
    tree = WORK / "core"
    run(["rm", "-rf", str(tree)])
    run(["dpkg-deb", "--raw-extract", str(package), str(tree)])
    numbers = count(1)
    for number in range(-1, rounds):  # the first one reads from disk what the others find in memory
        for contender in (cases.CORE_UNTRIED, cases.CORE_TRIED):
            version = _version(tree, next(numbers))
            took_sec, bytes_ = _installed(WORK / "core.deb", written, tried=contender == cases.CORE_TRIED)
            say(f"{cases.CORE}, {contender}: {took_sec:.2f} s, {bytes_ / 1024:.0f} KiB written")
            if contender == cases.CORE_UNTRIED:
                run(["systemctl", "start", _TRIAL])
            if (_SLOTS / "active/version").read_text().strip() != version:
                raise Failed(f"{version} is not in use")
            if number >= 0:
                results.add(cases.SELF, cases.CORE, contender, "s", took_sec)
                results.add(cases.WRITTEN, cases.CORE, contender, "B", bytes_)
                results.add(cases.WRITTEN, cases.CORE, cases.UNPACKED, "B", _size(_SLOTS / "active"))


def _version(tree: Path, number: int) -> str:
    """Pack another version, that differs in one line; what it is called."""
    with (tree / _CHANGED).open("a") as file:
        file.write(f"# {number}\n")
    control = tree / "DEBIAN/control"
    lines = control.read_text().splitlines()
    (own,) = [line for line in lines if line.startswith("Version: ")]
    version = f"{own.removeprefix('Version: ').partition('+bench')[0]}+bench{number}"
    control.write_text("\n".join(f"Version: {version}" if line == own else line for line in lines) + "\n")
    (tree / "DEBIAN/md5sums").unlink(missing_ok=True)
    run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", str(tree), str(WORK / "core.deb")])
    return version


def _installed(package: Path, written: Callable[[], int], *, tried: bool) -> tuple[float, int]:
    """How long dpkg took, in seconds, and how many bytes were written."""
    if not tried:
        run(["systemctl", "mask", "--runtime", _TRIAL])
    before, begun = written(), time.monotonic()
    try:
        run(["dpkg", "--install", str(package)])
        return time.monotonic() - begun, written() - before
    finally:
        if not tried:
            run(["systemctl", "unmask", "--runtime", _TRIAL])


def _size(slot: Path) -> int:
    """Of the files of a slot, compiled ones among them."""
    return sum(file.stat().st_size for file in slot.resolve().rglob("*") if file.is_file())
