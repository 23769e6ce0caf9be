"""Measure, and leave the raw values in a JSON file."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from pathlib import Path

from tests.bench import names
from tests.bench.guest import profiles, restarts, shorts, starts
from tests.bench.guest.results import Results
from tests.bench.guest.tools import WORK, Failed, run, say


def main() -> int:
    """`python3 -m tests.bench.guest RESULT`."""
    parser = argparse.ArgumentParser(prog="tests.bench.guest", description=__doc__)
    parser.add_argument("result", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="", help=f"some of: {' '.join(names.PHASES)}")
    parser.add_argument("--counts", default="1,10,100")
    chosen = parser.parse_args()
    WORK.mkdir(exist_ok=True)
    results = Results()
    counts = [int(word) for word in chosen.counts.split(",")]
    measures = (
        lambda: starts.measure(results, counts=counts, quick=chosen.quick),
        lambda: profiles.measure(results, quick=chosen.quick),
        lambda: restarts.measure(results, quick=chosen.quick),
        lambda: shorts.measure(results, quick=chosen.quick),
    )
    phases = dict(zip(names.PHASES, measures, strict=True))
    status = 0
    for name in chosen.only.split() or phases:
        began = time.monotonic()
        try:
            phases[name]()
        except (Failed, OSError) as error:
            say(f"{name} broke off: {error}")
            results.miss(name, "all", "all", str(error))
            status = 1
        say(f"{name} took {time.monotonic() - began:.0f} s")
    document = {**results.to_json(), "machine": _machine()}
    chosen.result.write_text(json.dumps(document, indent=1) + "\n")
    return status


def _machine() -> dict[str, str]:
    return {
        "kernel": platform.release(),
        "systemd": run(["systemctl", "--version"]).splitlines()[0],
        "python": platform.python_version(),
        "core": run(["auroractl", "version"]).strip(),
    }


sys.exit(main())
