"""What connections need of the server that they are in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from aurora.link.loop import TurnLoop
from aurora.link.router import Router
from aurora.link.share import Share
from aurora.link.width import Widths

__all__ = ["READ_BYTES", "SIP_BYTES", "House"]

READ_BYTES = 128 * 1024
"""Taken from one connection in one turn at most, so that none keeps the others waiting."""
SIP_BYTES = 4 * 1024
"""The same once its peer has no more time in this turn, as it is kept until it has."""


class House[Held](Protocol):
    """What a connection needs of the server."""

    router: Router
    loop: TurnLoop
    buffer: bytearray
    """All connections read into it: what is read is taken out in the same call."""
    sip: memoryview
    """The beginning of it."""
    clock: Callable[[], float]
    """The loop's time."""
    turns: int
    """Which turn this is."""
    widths: Widths
    """Who may have more on its way than others."""

    def turn(self) -> None:
        """Something happens: the clock is set, and what comes of it is written at the end of the turn."""

    def write_later(self, connection: Held) -> None:
        """Write for it at the end of the turn."""

    def wait(self, share: Share) -> None:
        """In the next turn those that wait for this share are to go on."""

    def lost(self, connection: Held) -> None:
        """It is gone."""
