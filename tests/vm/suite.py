"""Everything that a change must pass, in one run: what `make test` and CI do. The quick parts come first."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.vm import autobahn, cache, chroot, cli, debiandir, flavours, hostpackages, layer, linters, package
from tests.vm.errors import RigError
from tests.vm.image import image
from tests.vm.progress import say

SOURCE = debiandir.CHECKOUT

LINTERS: Mapping[str, Sequence[str]] = {
    "ruff": ("python3", "-m", "ruff", "check", "--output-format", "concise", "."),
    "format": ("python3", "-m", "ruff", "format", "--check", "."),
    "mypy": ("python3", "-m", "mypy", "-p", "aurora", "-p", "tests.vm"),
}
"""Run in the build tree: it has the Python and the libraries that the project is for."""

TREE_TESTS = ("tests/unit", "tests/golden", "tests/contract", "tests/test_house.py", "modules")
"""Tests that need neither a virtual machine nor systemd as PID 1."""

VM_TESTS = "tests/vm"

POWER_TESTS = (
    "tests/vm/test_power.py::test_a_power_cut_amid_changes_leaves_every_module_whole",
    "tests/vm/test_power_updates.py",
    "tests/vm/test_core_slots.py",
)
"""What is cut at another random moment each time."""

KINDS_OF_CUTS = 4
"""How many tests POWER_TESTS has, counted with their variants, that cut the power at a moment of chance."""

CUTS = 300
"""How often the power is cut in them at least, when nothing else is said."""

BENCHES = frozenset({"bench", "link", "browser"})
"""Images that the tests of each change do without."""

MACHINES_MAX = 2
"""How many machines run the VM tests side by side: an emulated one keeps little more than one processor busy, and
of more than two the longest file is what the run waits for."""


@dataclass(frozen=True, kw_only=True)
class Count:
    """What became of the checks of one part, in pytest's words."""

    passed: int = 0
    failed: int = 0
    errors: int = 0
    skipped: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(
            passed=self.passed + other.passed,
            failed=self.failed + other.failed,
            errors=self.errors + other.errors,
            skipped=self.skipped + other.skipped,
        )

    @property
    def good(self) -> bool:
        """Whether nothing went wrong."""
        return self.failed == 0 and self.errors == 0

    def __str__(self) -> str:
        said = {"failed": self.failed, "passed": self.passed, "skipped": self.skipped, "errors": self.errors}
        return ", ".join(f"{number} {word}" for word, number in said.items() if number) or "no tests ran"


def lint() -> Count:
    """Each linter is one check."""
    found = linters.tools(SOURCE, chroot.build_tree(SOURCE))
    total = Count()
    for name, command in LINTERS.items():
        status = chroot.run(command, variables={"PYTHONPATH": "/tools"}, mounts=[linters.mount(found)])
        print(f"{name}: {'passed' if status == 0 else f'failed with status {status}'}", flush=True)
        total += Count(passed=1) if status == 0 else Count(failed=1)
    return total


def tree_tests() -> Count:
    """The tests of TREE_TESTS that exist, in the build tree."""
    found = linters.tools(SOURCE, chroot.build_tree(SOURCE))
    places = [place for place in TREE_TESTS if (SOURCE / place).exists()]
    spread = [f"--numprocesses={os.cpu_count() or 1}", "--dist=worksteal"]
    command = ["python3", "-m", "pytest", *spread, "--junitxml=/cache/tree-tests.xml", *places]
    report = cache.root() / "scratch/tree-tests.xml"
    report.unlink(missing_ok=True)
    chroot.run(command, mounts=[linters.mount(found)])
    return _read(report)


def build_package() -> Count:
    """The package builds, and lintian finds no error in it: two checks."""
    built = package.packages(SOURCE)
    places = [chroot.Mount(here=built.directory, there="/build")]
    names = [f"/build/{path.name}" for path in built.directory.glob("*.changes")]
    status = chroot.run(["lintian", "--allow-root", "--fail-on", "error,warning", *names], mounts=places)
    print(f"lintian: {'passed' if status == 0 else f'failed with status {status}'}", flush=True)
    return Count(passed=2) if status == 0 else Count(passed=1, failed=1)


def vm_tests() -> Count:
    """The tests of VM_TESTS, each file in one of MACHINES_MAX virtual machines; none at all is an error."""
    return _in_machines("--durations=10", VM_TESTS)


def power_cuts(cuts: int = CUTS) -> Count:
    """The tests of POWER_TESTS, with so many cuts at least; each says when it was. Hours, where machines are emulated.

    Each kind twice at least: once is what the tests of each change do, which leave some of them out.
    """
    # One cut does not need the others, and two machines are to end together.
    return _in_machines(f"--cuts={max(2, -(-cuts // KINDS_OF_CUTS))}", "--dist=worksteal", *POWER_TESTS)


def browsers() -> Count:
    """What needs a web browser and Node in the machine, which would double its disk."""
    return _in_machines("--browsers", "tests/vm/test_link_browsers.py")


def websocket_cases() -> Count:
    """The cases of the Autobahn test suite; those with binary messages, which the hub has none of, count as skipped."""
    verdicts = autobahn.run(SOURCE)
    for name, verdict in verdicts.items():
        if verdict is not autobahn.Verdict.GOOD:
            print(f"{name}: {verdict}", flush=True)
    return Count(
        passed=sum(verdict is autobahn.Verdict.GOOD for verdict in verdicts.values()),
        failed=sum(verdict is autobahn.Verdict.WRONG for verdict in verdicts.values()),
        skipped=sum(verdict is autobahn.Verdict.BINARY for verdict in verdicts.values()),
    )


def _in_machines(*arguments: str) -> Count:
    found = linters.tools(SOURCE, chroot.build_tree(SOURCE))
    _make_machines()
    report = cache.root() / "vm-tests.xml"
    report.unlink(missing_ok=True)
    command = [
        str(found.python),
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-vv",  # a name for each, as it ends
        f"--numprocesses={min(os.cpu_count() or 1, MACHINES_MAX)}",
        "--dist=loadfile",  # the tests of a file share what they set up in their machine
        "--no-loadscope-reorder",  # conftest.py has put them in order
        f"--junitxml={report}",
        *arguments,
    ]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    status = subprocess.run(command, cwd=SOURCE, env=environment, stdin=subprocess.DEVNULL, check=False).returncode
    count = _read(report)
    if count.passed == 0 or (status != 0 and count.good):
        count += Count(errors=1)
    return count


def _make_machines() -> None:
    """All that tests boot, made beforehand: the time that a test has is for what it shows."""
    built = package.packages(SOURCE)
    rows = [row for row in flavours.FLAVOURS.values() if row.name not in BENCHES]
    with ThreadPoolExecutor(MACHINES_MAX) as pool:
        list(pool.map(lambda row: layer.installed(image(row, SOURCE), built), rows))


PARTS: Mapping[str, Callable[[], Count]] = {
    "lint": lint,
    "tests": tree_tests,
    "package": build_package,
    "vm": vm_tests,
}

MORE: Mapping[str, Callable[[], Count]] = {
    "power-cuts": power_cuts,
    "autobahn": websocket_cases,
    "browsers": browsers,
}
"""What is run when it is named, and takes too long for each change."""


def main(arguments: Sequence[str]) -> int:
    """tests/vm/all."""
    known = {**PARTS, **MORE}
    parser = argparse.ArgumentParser(prog="tests/vm/all", description="Check everything, or only the parts named.")
    every, usual = ", ".join(known), ", ".join(PARTS)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of: {every}; without any, {usual}")
    parser.add_argument("--cuts", type=int, default=CUTS, metavar="N", help=f"for power-cuts: how many; {CUTS}")
    given = parser.parse_args(arguments)
    if given.cuts != CUTS and "power-cuts" not in given.parts:
        parser.error("--cuts is for power-cuts")
    known["power-cuts"] = lambda: power_cuts(given.cuts)
    chosen = given.parts or list(PARTS)
    unknown = sorted(set(chosen) - known.keys())
    if unknown:
        parser.error(f"there is no part {', '.join(unknown)}; there are {every}")
    return cli.guarded(lambda: run({name: known[name] for name in chosen}))


def run(parts: Mapping[str, Callable[[], Count]]) -> int:
    """Run these parts, all of them even if one fails; the last line of stdout sums up as pytest does."""
    started = time.monotonic()
    hostpackages.ensure_packages()
    chroot.check_possible()
    counts = {}
    for name, check in parts.items():
        print(f"==== {name}", flush=True)
        part_started = time.monotonic()
        try:
            counts[name] = check()
        except RigError as error:
            say(str(error))
            counts[name] = Count(errors=1)
        print(f"{name}: {counts[name]} in {time.monotonic() - part_started:.0f} s", flush=True)
    total = sum(counts.values(), Count())
    print("==== all")
    for name, count in counts.items():
        print(f"{name:8} {count}")
    elapsed_sec = time.monotonic() - started
    print(f"{total} in {elapsed_sec:.2f}s ({int(elapsed_sec) // 60}:{int(elapsed_sec) % 60:02})", flush=True)
    return 0 if total.good and total.passed else 1


def _read(report: Path) -> Count:
    """What a JUnit file counts; an error when pytest did not get so far as to write it, or ran nothing."""
    if not report.exists():
        return Count(errors=1)
    total = Count()
    for suite in ET.parse(report).getroot().iter("testsuite"):
        tests, failed, errors, skipped = (
            int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")
        )
        total += Count(passed=tests - failed - errors - skipped, failed=failed, errors=errors, skipped=skipped)
    return total if total.passed or not total.good else total + Count(errors=1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
