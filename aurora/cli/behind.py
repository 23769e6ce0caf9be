"""What the short verbs say while the core that runs is not the one that dpkg has."""

from __future__ import annotations

from aurora.cli import render
from aurora.runtime.slots import behind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from aurora.paths import Paths

__all__ = ["tell_behind"]


def tell_behind(paths: Paths) -> None:
    """One line on stderr, or none."""
    found = behind(paths)
    if found is not None:
        active, wanted = found
        state = f"{wanted} is being tried" if active == wanted else f"{active} is active, and dpkg has {wanted}"
        render.tell(f"aurora-core {state} (auroractl update status)")
