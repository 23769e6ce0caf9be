"""What stands between a connection's bytes and its messages: lines here, frames of WebSocket in `websocket`."""

from __future__ import annotations

from typing import Protocol

from aurora.link.handover import Framed
from aurora.link.refusal import Code, LinkError

__all__ = ["Framing", "Lines"]


class Framing(Protocol):
    """Of one connection. It is given what was read, and gives messages without their ends."""

    fault: LinkError | None
    """Why the connection cannot go on, where the hub is to say so."""
    between: bytes
    """A byte that no message has: what may stand between several of them."""

    @property
    def held(self) -> int:
        """Bytes that are kept, as they are no whole message yet."""

    @property
    def over(self) -> bool:
        """Nothing that the other end sends counts any more: it has said goodbye, or broken the protocol."""

    @property
    def is_last(self) -> bool:
        """The other end has said goodbye, or never does: none is waited for."""

    def receive(self, data: bytes) -> list[bytes]:
        """The messages that end in `data`, in pieces of one or several with `between` between them."""

    def finish(self) -> list[bytes]:
        """The same of what is left when the other end sends nothing more."""

    def forget(self) -> None:
        """Drop what is kept, and take no more messages: without it, nobody knows where the next one begins."""

    def replies(self, *, newest_only: bool = False) -> bytes:
        """What the framing itself has to answer, once; of several the last when nothing else can be kept."""

    def frame(self, lines: bytes) -> bytes:
        """Lines of the hub, as they are sent."""

    def goodbye(self, code: Code | None) -> bytes:
        """The last bytes to send, given once; `code` says why the hub ends the connection, None that it goes."""

    def ping(self) -> bytes:
        """What makes the other end answer; empty when there is no such thing."""

    def state(self) -> Framed:
        """Where it is, for another framing of its kind."""

    def resume(self, framed: Framed) -> None:
        """Go on from there, before anything else."""


class Lines:
    """One message is one line."""

    __slots__ = ("_max_bytes", "_rest", "fault")

    between = b"\n"
    over = False
    is_last = True

    def __init__(self, max_bytes: int) -> None:
        self.fault: LinkError | None = None
        self._max_bytes = max_bytes
        self._rest: bytes | bytearray = b""
        """The beginning of a line; a bytearray once it grows."""

    @property
    def held(self) -> int:
        """The length of a line's beginning."""
        return len(self._rest)

    def receive(self, data: bytes) -> list[bytes]:
        """Lines, all in one piece, without the last one's end."""
        end = data.rfind(b"\n")
        if end < 0:
            self._grow(data)
            return []
        lines = bytes(self._rest) + data[:end] if self._rest else data[:end]
        self._rest = data[end + 1 :]
        self._check()
        return [lines]

    def _grow(self, more: bytes) -> None:
        if self._rest:
            grown = self._rest if isinstance(self._rest, bytearray) else bytearray(self._rest)
            grown += more
            self._rest = grown
        else:
            self._rest = more
        self._check()

    def _check(self) -> None:
        if len(self._rest) > self._max_bytes:
            why = f"a line has more than {self._max_bytes} bytes"
            self.fault = LinkError(Code.TOO_LARGE, "read the message", why, remedy="shorter ones")

    def finish(self) -> list[bytes]:
        """A shell's printf leaves out the last line's end."""
        last, self._rest = bytes(self._rest), b""
        return [last] if last else []

    def forget(self) -> None:
        """Nothing more is read from it."""
        self._rest = b""

    def replies(self, *, newest_only: bool = False) -> bytes:  # noqa: ARG002  # there are none
        """Lines need none."""
        return b""

    def frame(self, lines: bytes) -> bytes:
        """As they are."""
        return lines

    def goodbye(self, code: Code | None) -> bytes:  # noqa: ARG002  # the hub's own last line has said it
        """The end of the stream says it."""
        return b""

    def ping(self) -> bytes:
        """A process that hangs is seen by those who ask it something."""
        return b""

    def state(self) -> Framed:
        """The beginning of a line."""
        return Framed(rest=bytes(self._rest))

    def resume(self, framed: Framed) -> None:
        """The rest of that line comes next."""
        self._rest = framed.rest
