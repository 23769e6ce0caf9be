"""version: apart, so that it imports nothing."""

from __future__ import annotations

from aurora import __version__
from aurora.cli import render

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import SimpleNamespace

__all__ = ["version"]


def version(arguments: SimpleNamespace) -> int:
    """`auroractl version`."""
    if arguments.json:
        render.dump({"version": __version__})
    else:
        render.emit(f"auroractl {__version__}")
    return 0
