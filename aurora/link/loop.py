"""The hub's event loop: one that says when a turn is over, and is quick where a peer waits for each answer.

A turn is one round of the loop: all that was there is read. What comes of it is written before the loop looks for more,
and by no callback of its own, which would be called only after another look.

A process that sleeps is woken by the kernel, on another CPU mostly, and that alone takes as long as a message does
through the hub. So where the last thing came within WATCH_SEC, the loop goes on looking for so long before it sleeps
(as the kernel itself does before a CPU sleeps: Documentation/virt/guest-halt-polling.rst). It is wrong once for each
pause of what comes: then it sleeps, and goes on sleeping until something has come so soon again.
"""

from __future__ import annotations

import asyncio
import os
import selectors
from asyncio.events import Handle, TimerHandle
from collections.abc import Callable
from contextvars import Context
from time import monotonic

__all__ = ["WATCH_SEC", "TurnLoop"]

WATCH_SEC = 0.000_1


class _Selector(selectors.EpollSelector):
    """Has the turn's end done before it waits."""

    def __init__(self, failed: Callable[[Exception], None]) -> None:
        super().__init__()
        self._failed = failed
        self.at_end: Callable[[], None] | None = None
        self.has_more = False
        """Something is to be called that the loop did not know of when it reckoned how long to wait."""
        self._watches = False
        """The last thing came soon."""
        self._is_alone = len(os.sched_getaffinity(0)) == 1
        """Who would send something has no CPU as long as the hub looks for it."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """As of any selector; it does not wait when the turn's end has brought something to do."""
        if self.at_end is None:
            return super().select(timeout)
        act, self.at_end = self.at_end, None
        self.has_more = False
        try:
            act()
        except Exception as error:  # as of every callback: the loop goes on
            self._failed(error)
        if self.has_more:
            return super().select(0)
        if self._is_alone or (timeout is not None and timeout < WATCH_SEC):
            return super().select(timeout)
        return self._wait(timeout)

    def _wait(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        look = super().select
        until = monotonic() + WATCH_SEC
        if self._watches:
            while monotonic() < until:
                if found := look(0):
                    return found
        found = look(timeout)
        self._watches = monotonic() < until
        return found


class TurnLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop with `at_end`. For `asyncio.run(…, loop_factory=TurnLoop)`."""

    def __init__(self) -> None:
        self._ends = _Selector(self._failed)
        super().__init__(self._ends)

    def at_end(self, act: Callable[[], None]) -> None:
        """Call `act` once, when all that was there in this turn is done; its errors are logged like any callback's.

        One act at a time: another one takes its place. Called by an act, it is the next turn's.
        """
        self._ends.at_end = act
        self._ends.has_more = True

    def call_soon[*Ts](self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None) -> Handle:
        """As of any loop."""
        self._ends.has_more = True
        return super().call_soon(callback, *args, context=context)

    def call_at[*Ts](
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> TimerHandle:
        """As of any loop; `call_later` comes here, too."""
        self._ends.has_more = True
        return super().call_at(when, callback, *args, context=context)

    def _failed(self, error: Exception) -> None:
        self.call_exception_handler({"message": "Exception at the end of a turn", "exception": error})
