"""In the machine: updates modules in turn with their peers, and writes down what came of it.

python3 -m tests.bench.update.inside RESULT [--rounds N] [--only WORDS]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path

from tests.bench.guest.results import Results
from tests.bench.guest.tools import Failed, run, say, wait_until
from tests.bench.update import cases, itself, payload
from tests.bench.update.cases import Size
from tests.bench.update.payload import WORK, Payload

_STAGE = """\
import sys, time
from pathlib import Path
from aurora.host.files import remove_tree
from aurora.paths import Paths
from aurora.runtime.folders import folder_digest, read_module
from aurora.runtime.install import copy_to_slot
from aurora.update.unpack import unpacked
paths, package, folder = Paths(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
def stage(folder):
    manifest = read_module(folder)
    if copy_to_slot(paths, folder, manifest, "a") != folder_digest(folder):
        raise SystemExit("what was staged is not what was read")
remove_tree(paths.root)
begun = time.monotonic()
if sys.argv[4] == "package":
    with unpacked(package) as there:
        stage(there)
else:
    stage(folder)
print(time.monotonic() - begun)
"""


class Session:
    """All that is measured."""

    def __init__(self, rounds: int, only: str) -> None:
        self.results = Results()
        self._rounds = rounds
        self._only = set(only.split())
        self._disk = _disk_of(WORK)

    def run(self) -> None:
        """Everything that was asked for."""
        for size in cases.SIZES:
            for change in (cases.ALL, cases.ONE):
                case = size.case(change)
                if self._only <= set(case.replace(",", "").split()):
                    versions = [payload.make(size, version, change) for version in ("1", "2")]
                    self._updates(size, case, versions)
                    if change == cases.ALL:
                        self._staging(size.name, versions[0])
        if self._only <= {cases.CORE}:
            itself.measure(self.results, self._rounds, self._written)

    # Updates

    def _updates(self, size: Size, case: str, versions: Sequence[Payload]) -> None:
        module = payload.name_of(size)
        unit = f"aurora@{module}.service"
        payload.arm_beats()
        run(["dpkg", "--install", str(versions[1].ordinary)])
        run(["systemctl", "stop", payload.PEER])
        run(["auroractl", "install", str(versions[1].folder)])
        moves: dict[str, tuple[Callable[[Payload], list[str]], str, str]] = {
            cases.RESTART: (lambda _one: ["systemctl", "restart", unit], unit, payload.PEER),
            cases.FOLDER: (lambda one: ["auroractl", "update", "apply", str(one.folder)], unit, payload.PEER),
            cases.DPKG: (lambda one: ["dpkg", "--install", str(one.ordinary)], payload.PEER, unit),
        }
        next_version = cycle(versions)
        for number in range(-1, self._rounds):  # the first one reads from disk what the others find in memory
            version = next(next_version)
            for contender, (command, up, down) in moves.items():
                try:
                    self._update(case, contender, command(version), (up, down), count=number >= 0)
                except Failed as error:
                    self.results.miss(cases.DOWNTIME, case, contender, str(error))
            if number >= 0:
                self.results.add(cases.WRITTEN, case, cases.UNPACKED, "B", version.size_bytes)
        run(["auroractl", "remove", "--purge", module])
        run(["systemctl", "stop", payload.PEER])

    def _update(self, case: str, contender: str, command: list[str], units: tuple[str, str], *, count: bool) -> None:
        """Run one command while the first of the units beats and the other is down."""
        up, down = units
        run(["systemctl", "stop", down])
        run(["systemctl", "start", up])
        payload.arm_beats()
        run(["systemctl", "restart", up])  # so that it has opened these files
        wait_until(lambda: (payload.BEATS / "beat").stat().st_size == 8, "the first beat")
        before, seen = self._written(), len(payload.gaps())
        begun = time.monotonic()
        run(command)
        took_sec = time.monotonic() - begun
        wait_until(lambda: len(payload.gaps()) > seen, "the first beat of the next run")
        written, gaps = self._written() - before, payload.gaps()[seen:]
        say(f"{case}, {contender}: down {gaps[0] * 1000:.0f} ms, {took_sec:.2f} s, {written / 1024:.0f} KiB written")
        if len(gaps) != 1:
            raise Failed(f"it was started {len(gaps)} times")
        if count:
            self.results.add(cases.DOWNTIME, case, contender, "s", gaps[0])
            self.results.add(cases.WRITTEN, case, contender, "B", written)
            self.results.add(cases.WHOLE, case, contender, "s", took_sec)

    def _written(self) -> int:
        os.sync()
        return cases.sectors_written((self._disk / "stat").read_text()) * 512

    # Staging

    def _staging(self, case: str, one: Payload) -> None:
        root, package = WORK / "root", payload.pack(one)
        extracted = WORK / "extracted"
        contenders: dict[str, Callable[[], float]] = {
            cases.EXTRACT: lambda: _timed(["dpkg-deb", "-x", str(package), str(extracted)]),
            cases.EXTRACT_SYNC: lambda: _timed(
                ["sh", "-c", f"dpkg-deb -x {package} {extracted} && sync --file-system {extracted}"]
            ),
            cases.STAGE_FOLDER: lambda: _staged(root, package, one.folder, "folder"),
            cases.STAGE_PACKAGE: lambda: _staged(root, package, one.folder, "package"),
        }
        for number in range(-1, self._rounds):
            for contender, measure in contenders.items():
                run(["rm", "-rf", str(root), str(extracted)])
                os.sync()
                seconds = measure()
                say(f"{case}, {contender}: {seconds:.2f} s")
                if number >= 0:
                    self.results.add(cases.STAGING, case, contender, "s", seconds)


def _staged(root: Path, package: Path, folder: Path, source: str) -> float:
    return float(run(["python3", "-c", _STAGE, str(root), str(package), str(folder), source]))


def _timed(command: Sequence[str]) -> float:
    begun = time.monotonic()
    run(command)
    return time.monotonic() - begun


def _disk_of(place: Path) -> Path:
    """The block device that a folder is on, as /sys/block has it."""
    number = place.stat().st_dev
    found = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve()
    return found.parent if (found / "partition").exists() else found


def main(arguments: Sequence[str]) -> int:
    """See above; 1 when something broke off."""
    parser = argparse.ArgumentParser(prog="inside")
    parser.add_argument("result", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="")
    chosen = parser.parse_args(arguments)
    WORK.mkdir(parents=True, exist_ok=True)
    session = Session(chosen.rounds, chosen.only)
    status = 0
    try:
        session.run()
    except (Failed, OSError) as error:
        say(f"it broke off: {error}")
        session.results.miss("all", "all", "all", str(error))
        status = 1
    versions = {
        "kernel": platform.release(),
        "systemd": run(["systemctl", "--version"]).splitlines()[0],
        "core": run(["auroractl", "version"]).strip(),
    }
    chosen.result.write_text(json.dumps({**session.results.to_json(), "versions": versions}))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
