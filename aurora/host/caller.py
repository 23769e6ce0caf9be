"""What is asked of who called us: to be root, and to end us by signals as Ctrl-C does."""

from __future__ import annotations

import os
import signal

from aurora.errors import Denied

__all__ = ["end_by_interrupt", "require_root"]


def require_root(what: str) -> None:
    """Denied, as `what` cannot be done, to anybody else."""
    if os.geteuid() != 0:
        raise Denied(what, "only root may", remedy="sudo")


def end_by_interrupt() -> None:
    """A kill and a terminal that is closed raise KeyboardInterrupt from now on, as Ctrl-C does."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
