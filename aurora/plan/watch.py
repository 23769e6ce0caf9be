"""What is seen of a module after an update, against what was seen before it: whether it is worse. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aurora.quantity import format_size

__all__ = ["IN_A_ROW", "Seen", "regressions"]

IN_A_ROW = 3
"""So many looks in a row with too much memory count at once; fewer may be a peak of the start."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """One look at a module."""

    up: bool
    """Whether it is up, on its way up, or waits for its next restart or its schedule."""
    result: str
    """How its last run ended; success while it runs, or when it ended well."""
    restarts: int
    """How often it was started again by itself since it was started."""
    memory_bytes: int | None
    """What it holds that cannot be had back by dropping caches; None where that is not known."""


def regressions(
    looks: Sequence[Seen],
    *,
    restarts_max: int,
    memory_before_bytes: int | None,
    memory_growth_bytes: int,
    over: bool = False,
    watchdog_misses: int = 0,
) -> tuple[str, ...]:
    """In what the module is worse than it may be, in words; empty when in nothing.

    `looks` are all so far, and `over` says that there will be none after them. A missed watchdog is worse however
    many restarts are allowed.
    """
    found = []
    last = looks[-1]
    if not last.up:
        found.append("it has ended" if last.result == "success" else f"it has failed ({last.result})")
    if last.restarts > restarts_max:
        found.append(f"it was restarted {last.restarts} times, and {restarts_max} are allowed")
    if watchdog_misses or any(look.result == "watchdog" for look in looks):
        found.append("it missed its watchdog")
    if memory_before_bytes is not None:
        most_bytes = memory_before_bytes + memory_growth_bytes
        held = [look.memory_bytes for look in looks]
        tail = held[-1:] if over else held[-IN_A_ROW:]
        if (over or len(tail) == IN_A_ROW) and all(one is not None and one > most_bytes for one in tail):
            found.append(
                f"it holds {format_size(held[-1] or 0, exact=False)} of memory; the version before held"
                f" {format_size(memory_before_bytes, exact=False)}, and {format_size(memory_growth_bytes)} more are"
                " allowed"
            )
    return tuple(found)
