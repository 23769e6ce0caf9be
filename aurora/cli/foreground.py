"""run: a module in this terminal."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

from aurora.host.caller import end_by_interrupt
from aurora.host.dbus import connect
from aurora.paths import Paths
from aurora.runtime.foreground import run_foreground

__all__ = ["run"]


def run(arguments: SimpleNamespace) -> int:
    """`auroractl run DIR`."""
    # A terminal that is closed, and a kill, end it as Ctrl-C does: nothing of it is left running.
    end_by_interrupt()
    sys.stdout.flush()
    streams = (sys.stdin.fileno(), sys.stdout.fileno(), sys.stderr.fileno())
    return run_foreground(Paths(), connect(), Path(arguments.dir), streams)
