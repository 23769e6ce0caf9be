"""What units/aurora-safe-state@.service runs; no verb for people."""

from __future__ import annotations

from types import SimpleNamespace

from aurora.cli import render
from aurora.host.dbus import connect
from aurora.paths import Paths
from aurora.runtime.records import require
from aurora.runtime.safe_state import enter_safe_state

__all__ = ["safe_state"]


def safe_state(arguments: SimpleNamespace) -> int:
    """`auroractl safe-state NAME`."""
    paths = Paths()
    done = enter_safe_state(paths, connect(), require(paths, arguments.name))
    render.tell(f"{arguments.name}: safe state: {done}")
    return 0
