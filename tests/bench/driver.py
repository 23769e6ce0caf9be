"""The host's side: one session of the bench machine, the guest's program in it, and the report."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.bench import figures, names, report
from tests.bench.names import Miss, Series
from tests.vm import accel, debiandir, flavours, hostpackages, kept, layer
from tests.vm.cli import guarded
from tests.vm.image import image
from tests.vm.machine import Machine
from tests.vm.package import packages

THERE = "/var/tmp/bench"
"""Where the guest's program lives: a name without the product's, as it looks for processes by that."""

EXIT_BROKEN = 1
"""A figure could not be measured at all. A goal that is missed changes no status."""


def main(arguments: Sequence[str]) -> int:
    """tests/bench/run."""
    parser = argparse.ArgumentParser(prog="tests/bench/run", description="Measure against peers, in the bench machine.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--quick", action="store_true", help="one round of each: does it work at all")
    parser.add_argument(
        "--only", type=phases, default="", metavar="FIGURE,…", help=f"some of: {', '.join(names.PHASES)}"
    )
    parser.add_argument("--counts", type=counts, default="1,10,100", metavar="N,…", help="which N of start")
    parser.add_argument("--kept", metavar="NAME", help="in the kept machine of that name, not in one of its own")
    parser.add_argument("--source", type=Path, default=debiandir.CHECKOUT, metavar="DIR", help="instead of this tree")
    chosen = parser.parse_args(arguments)
    return guarded(lambda: _run(chosen))


def phases(text: str) -> str:
    """The phases named in `text`, by commas or spaces, in one form; argparse tells which of them there are not."""
    words = text.replace(",", " ").split()
    if unknown := sorted(set(words) - set(names.PHASES)):
        raise argparse.ArgumentTypeError(f"there is no {', '.join(unknown)}; there are {', '.join(names.PHASES)}")
    return " ".join(words)


def counts(text: str) -> str:
    """Numbers of modules, with commas between them."""
    words = text.split(",")
    if not all(word.isdecimal() and int(word) > 0 for word in words):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers from 1 on, such as 1,10")
    return ",".join(words)


def _run(chosen: argparse.Namespace) -> int:
    hostpackages.ensure_packages()
    load_before = _load()
    began = time.monotonic()
    with _machine(chosen) as machine:
        emulated = accel.accelerator(machine.image.kernel, machine.image.initrd) != "kvm"
        machine.run(f"rm -rf {THERE}")
        machine.push(Path(__file__).parent, f"{THERE}/tests/bench")
        status = machine.stream(_command(chosen)).wait()
        found: dict[str, Any] = json.loads(machine.pull(f"{THERE}/result.json"))
    found["conditions"] = {
        "accelerator": "emulated" if emulated else "KVM",
        "host_load_before": load_before,
        "host_load_after": _load(),
        "host_cpus": os.cpu_count(),
        "took_sec": round(time.monotonic() - began),
        "quick": chosen.quick,
    }
    sys.stdout.write(_json(found) if chosen.json else _text(found))
    return EXIT_BROKEN if status else 0


def _command(chosen: argparse.Namespace) -> str:
    words = [f"--only '{chosen.only}'", f"--counts {chosen.counts}", "--quick" if chosen.quick else ""]
    return f"cd {THERE} && exec python3 -m tests.bench.guest {THERE}/result.json {' '.join(words)}"


@contextlib.contextmanager
def _machine(chosen: argparse.Namespace) -> Iterator[Machine]:
    source = chosen.source.resolve()
    base, built = image(flavours.flavour("bench"), source), packages(source)
    if chosen.kept is not None:
        yield kept.ensure(chosen.kept, base, built)
        return
    with layer.throw_away(base, built) as machine:
        machine.boot()
        yield machine


def _load() -> str:
    return " ".join(f"{value:.1f}" for value in os.getloadavg())


def _series(found: dict[str, Any]) -> list[Series]:
    return [Series(**fields) for fields in found["series"]]


def _text(found: dict[str, Any]) -> str:
    conditions = found["conditions"]
    lines = [
        f"Values are {conditions['accelerator']}: {found['machine']['core']}, {found['machine']['systemd']}, kernel "
        f"{found['machine']['kernel']}, Python {found['machine']['python']}",
        f"Host: {conditions['host_cpus']} CPUs, load {conditions['host_load_before']} before and "
        f"{conditions['host_load_after']} after, {conditions['took_sec']} s in all"
        + (", one round each (--quick)" if conditions["quick"] else ""),
    ]
    return report.render(_series(found), [Miss(**fields) for fields in found["misses"]], lines)


def _json(found: dict[str, Any]) -> str:
    series = _series(found)
    document = {
        **found,
        "series": [_with_ratios(series, one) for one in [*series, *figures.growth(series)]],
        "goals": [{**one.goal._asdict(), "measured": one.measured, "met": one.met} for one in figures.verdicts(series)],
    }
    return json.dumps(document, indent=1) + "\n"


def _with_ratios(series: Sequence[Series], one: Series) -> dict[str, object]:
    reference = figures.reference_of([*series, *figures.growth(series)], one)
    ratio = None if reference is None else figures.ratio(one.values, reference.values)
    return {
        **one._asdict(),
        **figures.summary(one.values)._asdict(),
        "reference": None if reference is None else reference.contender,
        "ratio": None if ratio is None else ratio._asdict(),
    }
