"""version: apart, so that it imports next to nothing."""

from __future__ import annotations

from aurora import __version__
from aurora.cli import render
from aurora.cli.behind import tell_behind
from aurora.paths import Paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import SimpleNamespace

__all__ = ["version"]


def version(arguments: SimpleNamespace) -> int:
    """`auroractl version`."""
    tell_behind(Paths())
    if arguments.json:
        render.dump({"version": __version__})
    else:
        render.emit(f"auroractl {__version__}")
    return 0
