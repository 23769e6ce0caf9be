"""When a turn of a beat is due, and what ends it, for the blocking beat and the asyncio one."""

from __future__ import annotations

import signal

__all__ = ["DEFAULT_INTERVAL_SEC", "STOP_SIGNALS", "Turns"]

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
"""systemctl stop, and Ctrl-C."""

DEFAULT_INTERVAL_SEC = 1.0
"""Between two turns where neither the caller nor a watchdog says otherwise."""
_WAIT_MAX_SEC = 3600.0
"""poll(2) counts milliseconds in an int; a longer wait is several of these."""


class Turns:
    """An interval apart, however long the work takes; those that were missed are left out."""

    def __init__(self, interval_sec: float | None, watchdog_sec: float | None) -> None:
        """ValueError for an interval that is not above 0; None: as often as the watchdog wants, or each second."""
        if interval_sec is None:
            interval_sec = DEFAULT_INTERVAL_SEC if watchdog_sec is None else watchdog_sec
        if not interval_sec > 0:
            raise ValueError(f"a heartbeat needs an interval above 0 seconds, not {interval_sec}")
        self._interval_sec = interval_sec
        self._wait_max_sec = _WAIT_MAX_SEC if watchdog_sec is None else min(watchdog_sec, _WAIT_MAX_SEC)
        self._next_sec: float | None = None

    def wait_sec(self, now_sec: float) -> float:
        """How long to wait, until the next turn or the next look; 0: this is a turn, and the next one is counted on."""
        due_sec = now_sec if self._next_sec is None else self._next_sec
        if now_sec < due_sec:
            return min(due_sec - now_sec, self._wait_max_sec)
        self._next_sec = due_sec + self._interval_sec
        if self._next_sec <= now_sec:  # a whole turn late: count anew from here
            self._next_sec = now_sec + self._interval_sec
        return 0.0
