"""Exposure scores: how much of the machine a unit could reach, as systemd counts it (systemd-analyze(1), security).

The unit is scored from its text, before it is given to systemd. For the shipped policies and grants that is the score
of the running unit too: tests/vm/test_grants.py compares the two.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from aurora.errors import HostError
from aurora.host.process import run
from aurora.quantity import parse_score

__all__ = ["read_scores"]

TIMEOUT_SEC = 120.0
_VERDICT = re.compile(r"Overall exposure level for (\S+?): ([0-9.]+) ")


def read_scores(units: Mapping[str, str]) -> dict[str, int]:
    """The exposure score in tenths of each unit's text, by its key; one run of systemd-analyze for all of them.

    HostError when systemd-analyze cannot be run or says nothing of one.
    """
    with tempfile.TemporaryDirectory(prefix="aurora-exposure-") as folder:
        files = {}
        for number, (key, text) in enumerate(units.items()):
            file = Path(folder) / f"aurora-{number}.service"
            file.write_text(text, encoding="utf-8")
            files[file.name] = key
        argv = ["systemd-analyze", "security", "--offline=yes", "--no-pager"]
        done = run([*argv, *(f"{folder}/{name}" for name in files)], check=False, timeout_sec=TIMEOUT_SEC)
    found = {files[name]: parse_score(score) for name, score in _VERDICT.findall(done.stdout) if name in files}
    if found.keys() != units.keys():
        words = done.stderr.strip() or done.stdout.strip()
        raise HostError("count the exposure score", f"systemd-analyze did not tell it: {words[-500:]}")
    return found
