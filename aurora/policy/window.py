"""Times at which new versions may come in: `Mon..Fri 02:00-04:00`, by the machine's clock. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

__all__ = ["WINDOWS_MAX", "Local", "Window", "next_opening", "parse_window"]

WINDOWS_MAX = 32
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DAY_MIN = 24 * 60
LOOK_AHEAD_DAYS = 15
"""A window of one day a week comes within these, also where a change of the clocks leaves it out once."""
_DAY = f"(?:{'|'.join(DAYS)})"
_RUN = rf"{_DAY}(?:\.\.{_DAY})?"
_TIME = "([0-9]{2}):([0-5][0-9])"
_WINDOW = re.compile(f"(?:({_RUN}(?:,{_RUN}){{0,6}}) )?{_TIME}-{_TIME}", re.ASCII)


class Local(NamedTuple):
    """What the machine's clock shows."""

    weekday: int
    """0 is Monday."""
    minute: int
    """Of the day."""


class Window(NamedTuple):
    """From one minute of a day until before another, on some days of the week."""

    days: frozenset[int]
    """Those on which it begins; 0 is Monday."""
    begin_min: int
    end_min: int
    """Of the day on which it begins: beyond its end where the window goes over midnight."""

    def holds(self, at: Local) -> bool:
        """Whether it is open then."""
        today = at.weekday in self.days and self.begin_min <= at.minute < self.end_min
        return today or ((at.weekday - 1) % 7 in self.days and at.minute + DAY_MIN < self.end_min)


def parse_window(text: str) -> Window:
    """`[DAYS ]HH:MM-HH:MM`: days as systemd.time(7) has them (`Mon..Fri`, `Sat,Sun`), each day without; ValueError.

    One that ends before it begins ends on the day after; 24:00 is the end of a day.
    """
    match = _WINDOW.fullmatch(text)
    if match is None:
        raise ValueError("it is no window of time")
    begin_min = int(match[2]) * 60 + int(match[3])
    end_min = int(match[4]) * 60 + int(match[5])
    if begin_min >= DAY_MIN or end_min > DAY_MIN:
        raise ValueError("there is no such time of day")
    if begin_min == end_min:
        raise ValueError("it ends when it begins; a whole day is 00:00-24:00")
    return Window(_days(match[1]), begin_min, end_min + DAY_MIN * (end_min < begin_min))


def _days(text: str | None) -> frozenset[int]:
    if text is None:
        return frozenset(range(7))
    found: set[int] = set()
    for word in text.split(","):
        first, _, last = word.partition("..")
        begin = DAYS.index(first)
        count = (DAYS.index(last or first) - begin) % 7 + 1
        found |= {(begin + day) % 7 for day in range(count)}
    return frozenset(found)


def next_opening(windows: Sequence[Window], now_sec: int, local: Callable[[int], Local]) -> int | None:
    """When the first of them opens, in seconds since the epoch; None where one is open, or there are none.

    `local` says what the clock shows at a time: so an hour that it shows twice is open twice, and a window whose time
    it leaves out does not open that day. Where none opens within LOOK_AHEAD_DAYS, the end of that time.
    """
    if not windows or any(window.holds(local(now_sec)) for window in windows):
        return None
    first_sec = now_sec - now_sec % 60 + 60
    minutes = range(first_sec, first_sec + LOOK_AHEAD_DAYS * DAY_MIN * 60, 60)
    return next((sec for sec in minutes if any(window.holds(local(sec)) for window in windows)), minutes.stop)
