"""Ten thousand failures of one module, and what they cost PID 1. Takes hours in emulation, so it is run by hand:

    tests/vm/run --keep --name storm --share tests/vm -- python3 /mnt/share/storm.py 10000
    tests/vm/run --stop --name storm

It runs in the machine, as root, with the package installed. The module ends with an error as soon as it is started and
is started again without a wait. Printed are, before, on the way and after: failures by systemd's own count, PID 1's
resident memory, the units that it has loaded, and failed units; then what is kept of all these failures. Exit status 1
where a failed unit of ours is left, or PID 1 has grown by more than GROWTH_MAX_KIB.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path("/var/lib/aurora-test/storm")
MANIFEST = """[module]
name = "storm"
version = "1.0"
entry = "run.sh"
[restart]
policy = "always"
delay = "0s"
[sandbox]
policy = "trusted"
"""
"""The loosest sandbox: what counts here is what failures leave behind, and it is set up faster."""
GROWTH_MAX_KIB = 4096
"""A megabyte for every 2,500 failures would be a leak; allocators and caches settle below this."""
SAMPLES = 10


def said(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


def failures() -> int:
    return int(said("systemctl", "show", "-P", "NRestarts", "aurora@storm").strip() or 0)


def resident_kib() -> int:
    rows = Path("/proc/1/status").read_text().splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith("VmRSS:"))


def sample(begun: float) -> int:
    loaded = len(said("systemctl", "list-units", "--all", "--no-legend", "--plain").splitlines())
    failed = said("systemctl", "list-units", "--state=failed", "--no-legend", "--plain", "aurora*").split()[:1]
    memory_kib = resident_kib()
    print(
        f"{time.monotonic() - begun:7.0f} s  {failures():6} failures  PID 1 {memory_kib} KiB  {loaded} units loaded"
        f"  failed: {' '.join(failed) or 'none'}",
        flush=True,
    )
    return memory_kib


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "module.toml").write_text(MANIFEST)
    (FOLDER / "run.sh").write_text("#!/bin/sh\nexit 1\n")
    begun = time.monotonic()
    subprocess.run(["auroractl", "install", "--no-start", str(FOLDER)], check=True)
    subprocess.run(["auroractl", "start", "storm"], check=False)
    sample(begun)
    # What the first failures load and cache is no growth.
    step = max(count // SAMPLES, 1)
    first_kib = 0
    for wanted in range(step, count + 1, step):
        while failures() < wanted:
            time.sleep(2)  # nobody tells when a unit has failed for the n-th time
        last_kib = sample(begun)
        first_kib = first_kib or last_kib
    said("systemctl", "stop", "aurora@storm")
    left = said("systemctl", "list-units", "--state=failed", "--no-legend", "--plain", "aurora-*")
    print(said("auroractl", "why", "storm", "--all"), end="")
    print(said("stat", "-c", "%s bytes of incidents", "/var/lib/aurora-core/incidents/storm"), end="")
    subprocess.run(["auroractl", "remove", "--purge", "storm"], check=False)
    grown_kib = last_kib - first_kib
    print(f"PID 1 grew by {grown_kib} KiB from the first tenth to the last; failed units of ours: {left or 0}")
    return int(bool(left) or grown_kib > GROWTH_MAX_KIB)


if __name__ == "__main__":
    sys.exit(main())
