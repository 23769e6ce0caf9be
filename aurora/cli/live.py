"""A table on the whole terminal, made anew every few seconds until q."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence

from aurora.cli import render
from aurora.host.screen import screen

__all__ = ["fitted", "has_terminal", "live"]

FIRST_SEC = 1
"""From the first look to the second: rates come soon."""


def has_terminal() -> bool:
    """Whether stdout is one that can be taken whole."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def live(
    look: Callable[[], None], lines: Callable[[int, int], Sequence[str]], press: Callable[[str], None], delay_sec: int
) -> None:
    """Look, and show the lines for so many columns and rows; look again after the delay, and show them after each key
    that was pressed, until that is q or there are none any more. KeyboardInterrupt comes through.
    """
    sys.stdout.flush()
    with screen(sys.stdout.fileno(), sys.stdin.fileno()) as taken:
        look()
        until = time.monotonic() + FIRST_SEC
        while True:
            taken.show(lines(*taken.size()))
            key = taken.wait(until)
            if key is None or key == "q":
                return
            press(key)
            if time.monotonic() >= until:
                look()
                until = time.monotonic() + delay_sec


def fitted[Row](
    title: str, rows: Sequence[Row], table: Callable[[Sequence[Row]], Sequence[str]], *, width: int, height: int
) -> list[str]:
    """The lines of one screen, never more than `height`: title, and the table with its head.

    `table` makes lines of at most `width`. Rows for which there is no room are counted.
    """
    room = max(0, height - 2)
    shown, more = rows, []
    if len(rows) > room:
        more = [render.cut(f"… {len(rows) - room + 1} more", width)]
        shown = rows[: max(0, room - 1)]
    return [render.cut(title, width), *table(shown), *more][:height]
