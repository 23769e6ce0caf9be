"""The host's side: builds the generator, has everything measured in the build tree or in a machine, and reports."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.link import verdicts
from tests.bench.names import Series
from tests.vm import chroot, debiandir, flavours, hostpackages, layer
from tests.vm.cli import guarded
from tests.vm.errors import RigError
from tests.vm.image import image
from tests.vm.package import packages

FLAVOUR = "link"
"""The machine that has the peers; the build tree gets the same packages."""
SOURCES = Path(__file__).with_name("load")
_MEASURE = "python3 -m tests.bench.link.inside"
_THERE = "/var/tmp/bench-link"
QUICK_MSEC = 300


def build(sources: Path, generator: Path) -> list[str]:
    """What compiles the generator."""
    flags = ["-std=c17", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror"]
    names = sorted(one.name for one in SOURCES.glob("*.c"))
    return ["gcc", *flags, "-o", str(generator), *(str(sources / name) for name in names)]


_BUILD = " ".join(build(SOURCES.relative_to(debiandir.CHECKOUT), Path("/build/load")))


def main(arguments: Sequence[str]) -> int:
    """tests/bench/link/run."""
    parser = argparse.ArgumentParser(prog="tests/bench/link/run", description="The message hub against its peers.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--quick", action="store_true", help="one short round: does it work at all")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how often each is measured")
    parser.add_argument("--only", default="", metavar="WORDS", help="cases with these words: unix, websocket, 1>10, …")
    parser.add_argument("--in-vm", action="store_true", help="in a machine with systemd; its speed means nothing")
    parser.add_argument("--source", type=Path, default=debiandir.CHECKOUT, metavar="DIR", help="instead of this tree")
    chosen = parser.parse_args(arguments)
    return guarded(lambda: _run(chosen))


def _run(chosen: argparse.Namespace) -> int:
    hostpackages.ensure_packages()
    load, began = os.getloadavg()[0], time.monotonic()
    with tempfile.TemporaryDirectory(prefix="aurora-bench-") as scratch:
        folder = Path(scratch)
        status = _in_machine(chosen, folder) if chosen.in_vm else _in_tree(chosen, folder)
        result = folder / "result.json"
        if not result.exists():
            raise RigError("measure the hub", f"what measures ended with status {status}", "what it said above")
        found: dict[str, Any] = json.loads(result.read_text())
    found["conditions"] = _conditions(chosen, found, load, round(time.monotonic() - began))
    sys.stdout.write(_json(found) if chosen.json else verdicts.text(found, found["conditions"]))
    return status


def _words(chosen: argparse.Namespace) -> str:
    speed = f"--rounds 1 --msec {QUICK_MSEC}" if chosen.quick else f"--rounds {chosen.rounds}"
    return f"{speed} --only '{chosen.only}'"


def _in_tree(chosen: argparse.Namespace, folder: Path) -> int:
    line = f"{_BUILD} && {_MEASURE} /build/load /build/result.json {_words(chosen)}"
    return _tree(chosen, folder, line)


def _tree(chosen: argparse.Namespace, folder: Path, line: str) -> int:
    return chroot.run(
        ["sh", "-c", line],
        source=chosen.source.resolve(),
        mounts=[chroot.Mount(here=folder, there="/build", writable=True)],
        beside=flavours.flavour(FLAVOUR).packages,
    )


def _in_machine(chosen: argparse.Namespace, folder: Path) -> int:
    if _tree(chosen, folder, _BUILD):
        raise RigError("build the generator", "gcc ended with an error", "what it said above")
    source = chosen.source.resolve()
    with layer.throw_away(image(flavours.flavour(FLAVOUR), source), packages(source)) as machine:
        machine.boot()
        machine.push(folder / "load", f"{_THERE}/load")
        machine.push(source / "tests/bench", f"{_THERE}/tests/bench")
        line = f"cd {_THERE} && systemctl stop mosquitto nats-server redis-server; "
        line += f"exec {_MEASURE} {_THERE}/load {_THERE}/result.json {_words(chosen)}"
        status = machine.stream(line).wait()
        (folder / "result.json").write_bytes(machine.pull(f"{_THERE}/result.json"))
    return status


def _conditions(chosen: argparse.Namespace, found: dict[str, Any], load: float, took_sec: int) -> list[str]:
    where = "this machine's own speed, in the build tree"
    if chosen.in_vm:
        where = "a virtual machine: where it is emulated, values mean nothing and ratios little"
    known = "by systemd's own control group and unit"
    if not found["systemd"]:
        known = "by a control group like a unit's: it, the link of the run and the rules are made here, not by systemd"
    shares = {name: values for name, values in found["shares"].items() if values}
    busy = ", ".join(f"{name} {statistics.median(values):.0%}" for name, values in shares.items())
    return [
        f"Speed: {where}; {'broker and generator on a CPU each' if found['pinned'] else 'one CPU for all'}",
        f"The generator is known to the hub as the module `bench` {known}; rules and validation are on",
        f"Versions: {', '.join(found['versions'])}",
        f"Load {load:.1f} before and {os.getloadavg()[0]:.1f} after on {os.cpu_count()} CPUs, {took_sec} s in all",
        *([f"Busy under load, of one CPU, median: {busy}"] if busy else []),
    ]


def _json(found: dict[str, Any]) -> str:
    series = [Series(**fields) for fields in found["series"]]
    document = {
        **found,
        "series": [{**one._asdict(), "hub_is_times": verdicts.ratio(series, one)} for one in series],
        "goals": [
            {**one.goal._asdict(), "case": one.case, "measured": one.measured, "met": one.met}
            for one in verdicts.verdicts(series)
        ],
    }
    return json.dumps(document, indent=1) + "\n"
