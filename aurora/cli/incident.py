"""What units/aurora-incident@.service runs when a module has failed; no verb for people."""

from __future__ import annotations

import os
from types import SimpleNamespace

from aurora.cli import render
from aurora.paths import Paths
from aurora.runtime.recorder import record_incident
from aurora.runtime.witness import read_failure

__all__ = ["incident"]


def incident(arguments: SimpleNamespace) -> int:
    """`auroractl incident NAME`, or NAME.safe for the module's safe state."""
    done = record_incident(Paths(), arguments.instance, read_failure(os.environ))
    if done:
        render.tell(f"{arguments.instance}: {done}")
    return 0
