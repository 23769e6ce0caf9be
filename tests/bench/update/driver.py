"""The host's side: a machine, what measures in it, and the report."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.names import Series
from tests.bench.update import verdicts
from tests.vm import accel, debiandir, flavours, hostpackages, layer
from tests.vm.cli import guarded
from tests.vm.image import image
from tests.vm.package import packages

_THERE = "/var/tmp/bench"
EXIT_BROKEN = 1
"""Something could not be measured at all. A goal that is missed changes no status."""


def main(arguments: Sequence[str]) -> int:
    """tests/bench/update/run."""
    parser = argparse.ArgumentParser(prog="tests/bench/update/run", description="What an update of a module costs.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--quick", action="store_true", help="one round of each: does it work at all")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="how often each is measured")
    parser.add_argument(
        "--only", default="", metavar="WORDS", help="cases with these words: 200 KiB, 20 MiB, all, one, aurora-core"
    )
    parser.add_argument("--source", type=Path, default=debiandir.CHECKOUT, metavar="DIR", help="instead of this tree")
    chosen = parser.parse_args(arguments)
    return guarded(lambda: _run(chosen))


def _run(chosen: argparse.Namespace) -> int:
    hostpackages.ensure_packages()
    load, began = os.getloadavg()[0], time.monotonic()
    source = chosen.source.resolve()
    with layer.throw_away(image(flavours.flavour("default"), source), packages(source)) as machine:
        machine.boot()
        emulated = accel.accelerator(machine.image.kernel, machine.image.initrd) != "kvm"
        machine.push(Path(__file__).parents[1], f"{_THERE}/tests/bench")
        rounds = 1 if chosen.quick else chosen.rounds
        line = f"python3 -m tests.bench.update.inside {_THERE}/result.json --rounds {rounds} --only '{chosen.only}'"
        status = machine.stream(f"cd {_THERE} && exec {line}").wait()
        found: dict[str, Any] = json.loads(machine.pull(f"{_THERE}/result.json"))
    found["conditions"] = [
        f"Values are {'emulated' if emulated else 'of KVM'}: {', '.join(found['versions'].values())}",
        f"Load {load:.1f} before and {os.getloadavg()[0]:.1f} after on {os.cpu_count()} CPUs,"
        f" {time.monotonic() - began:.0f} s in all, {rounds} rounds",
    ]
    sys.stdout.write(_json(found) if chosen.json else verdicts.text(found, found["conditions"]))
    return EXIT_BROKEN if status else 0


def _json(found: dict[str, Any]) -> str:
    series = [Series(**fields) for fields in found["series"]]
    document = {
        **found,
        "series": [{**one._asdict(), "ratio": verdicts.ratio(series, one)} for one in series],
        "goals": [
            {**one.goal._asdict(), "case": one.case, "measured": one.measured, "met": one.met}
            for one in verdicts.verdicts(series)
        ],
    }
    return json.dumps(document, indent=1) + "\n"
