"""What units/aurora-ports@.service runs; no verb for people."""

from __future__ import annotations

from types import SimpleNamespace

from aurora.host.dbus import connect
from aurora.paths import Paths
from aurora.runtime.ports import hold_module

__all__ = ["hold_ports"]


def hold_ports(arguments: SimpleNamespace) -> int:
    """`auroractl hold-ports NAME`."""
    hold_module(Paths(), connect(), arguments.name)
    return 0
