"""`auroractl update core`: the owner has the version of the core that dpkg has tried again."""

from __future__ import annotations

import os
from types import SimpleNamespace

from aurora.cli import render
from aurora.cli.core_update import document, lines, read_core
from aurora.host.caller import require_root
from aurora.host.process import run
from aurora.paths import Paths
from aurora.runtime.core import ask_again

__all__ = ["again"]

_TRIAL_SEC = 900
"""More than the unit gives a trial itself (units/aurora-core-trial.service), and the way back after it."""
_UNIT = "aurora-core-trial.service"


def again(arguments: SimpleNamespace) -> int:
    """By the unit, as this code may be what is replaced."""
    require_root("try the core again")
    paths = Paths()
    version = ask_again(paths)
    if version:
        render.tell(f"aurora-core {version} is being tried")
        # What could not be staged is no failure of the unit, so its end says less than what it leaves behind. Twice, as
        # the first may have ended a trial that was interrupted; and where it failed, the second one waits until
        # everything is taken back, and finds nothing to do.
        for _ in range(2):
            run(["systemctl", "start", _UNIT], check=False, timeout_sec=_TRIAL_SEC)
    core = read_core(paths)
    if arguments.json:
        render.dump(document(core))
    elif core.wanted:
        for line in lines(core):
            render.tell(line)
    else:
        render.tell(f"aurora-core {core.version} is in use")
    return os.EX_SOFTWARE if core.wanted else os.EX_OK
