"""exec: a command where a module is."""

from __future__ import annotations

import sys
from types import SimpleNamespace

from aurora.cli import render
from aurora.errors import UsageError
from aurora.host.caller import end_by_interrupt, require_root
from aurora.host.dbus import connect
from aurora.paths import Paths
from aurora.runtime.execute import Sight
from aurora.runtime.execute import execute as run_there

__all__ = ["execute"]


def execute(arguments: SimpleNamespace) -> int:
    """`auroractl exec NAME -- CMD`."""
    if arguments.root and arguments.outside:
        raise UsageError("choose what the command sees", "--root and --outside exclude one another")
    require_root("run a command where a module is")
    sight = Sight.ROOT if arguments.root else Sight.OUTSIDE if arguments.outside else Sight.MODULE
    # Until the command runs, a closed terminal and a kill end this as Ctrl-C does; then they are the command's.
    end_by_interrupt()
    sys.stdout.flush()
    ended = run_there(Paths(), connect(), arguments.name, arguments.command, sight=sight)
    if ended.with_module:
        render.tell(f"{arguments.name} has ended, and the command with it")
    return ended.status
