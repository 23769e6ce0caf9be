"""How much of the hub's time one peer may take before the others had theirs."""

from __future__ import annotations

from typing import Protocol

__all__ = ["SHARE_SEC", "Share", "Waiter"]

SHARE_SEC = 0.010
"""Of each turn. Others wait about so long for each peer that keeps the hub busy; a quick one is done before."""


class Waiter(Protocol):
    """One that was not done when its share was spent."""

    def go_on(self) -> None:
        """It is its turn."""


class Share:
    """Of one peer: what all its connections together may take of a turn, and those of them that wait for the next.

    Who has taken more, as one message may cost more than a whole share, waits as many turns as it has taken. Turns of a
    hub that has nothing else to do are short.
    """

    __slots__ = ("__weakref__", "_left_sec", "_since_sec", "_turn", "waiting")

    def __init__(self) -> None:
        self._turn = 0
        self._left_sec = SHARE_SEC
        """In this turn; below zero what was taken of later ones."""
        self._since_sec = 0.0
        self.waiting: dict[Waiter, None] = {}
        """The one that waits longest first."""

    def is_open(self, turn: int) -> bool:
        """Whether there is anything left of it in this turn."""
        if turn != self._turn:
            self._left_sec = min(SHARE_SEC, self._left_sec + SHARE_SEC * (turn - self._turn))
            self._turn = turn
        return self._left_sec > 0

    def enter(self, now_sec: float) -> None:
        """From now on time is taken of it, after `is_open` and until `leave`."""
        self._since_sec = now_sec

    def is_spent(self, now_sec: float) -> bool:
        """Whether no more is to be begun."""
        return now_sec - self._since_sec >= self._left_sec

    def leave(self, now_sec: float) -> None:
        """No more is taken of it for now."""
        self._left_sec -= now_sec - self._since_sec

    def serve(self, turn: int) -> bool:
        """Let those that wait go on, in turn, until it is spent; whether any still wait."""
        while self.waiting and self.is_open(turn):
            waiter = next(iter(self.waiting))
            del self.waiting[waiter]
            waiter.go_on()
        return bool(self.waiting)
