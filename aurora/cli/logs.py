"""logs: hands over to journalctl."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace

from aurora.errors import HostError
from aurora.names import unit_name
from aurora.paths import Paths
from aurora.runtime.records import require

__all__ = ["logs"]


def logs(arguments: SimpleNamespace) -> int:
    """`auroractl logs NAME`; becomes journalctl, so it returns only when that is not there."""
    unit = unit_name(require(Paths(), arguments.name).name)
    argv = ["journalctl", f"--unit={unit}", f"--lines={arguments.lines}", "--no-pager", "--quiet"]
    if arguments.follow:
        argv.append("--follow")
    if arguments.json:
        argv.append("--output=json")
    sys.stdout.flush()
    try:
        os.execvp(argv[0], argv)  # noqa: S606  # no shell is wanted
    except OSError as error:
        raise HostError("read the log", str(error), where="journalctl") from error
