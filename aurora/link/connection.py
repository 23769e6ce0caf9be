"""One connection of the hub: what is read to messages for the router, and what the router has for it to bytes.

Nothing here waits and nothing has a task of its own. What is read and not yet a message, what waits for the router to
take it, and what the kernel does not take are each bounded by one read or one write and the longest message, and
charged to the peer's budget like all that waits for it.
"""

from __future__ import annotations

import asyncio
import os
from typing import cast

from aurora.link.framing import Framing
from aurora.link.handover import Wire
from aurora.link.house import House
from aurora.link.intake import Intake
from aurora.link.refusal import Code, LinkError
from aurora.link.session import Client
from aurora.link.share import Share
from aurora.link.width import NARROW

__all__ = ["Connection"]

LAST_WORDS_SEC = 5.0
"""A connection that is to end and does not read is cut then."""
ORPHAN_SEC = 0.5
"""From the end of the process that connected to that of the connection: what it sent last is read meanwhile."""
PING_SEC = 20.0
"""A connection that can be pinged, and from which nothing came for so long, is."""
PONG_SEC = 60.0
"""One that has not even answered pings is ended."""


class Connection(asyncio.BufferedProtocol):
    """A client at its socket. Its peer's budget is charged with what it has sent (`Intake`), and with `_unsent`."""

    __slots__ = (
        "_ending", "_eof", "_framing", "_full", "_heard_at", "_house", "_intake", "_parted", "_pidfd", "_share",
        "_timer", "_transport", "_unsent", "_why", "_width", "_width_used", "client",
    )  # fmt: skip

    def __init__(self, house: House[Connection], client: Client, pidfd: int, framing: Framing, share: Share) -> None:
        self._house = house
        self.client = client
        self._share = share
        """Of its peer."""
        self._pidfd = pidfd
        """Of the process that connected; -1 where there is none."""
        self._framing = framing
        self._transport: asyncio.Transport | None = None
        self._intake = Intake(house, client, framing, share, self, self._refuse)
        self._unsent = b""
        """What was written last, when the kernel has not taken all of it; the transport has the same bytes."""
        self._full = False
        """The kernel takes no more for now."""
        self._eof = False  # it sends nothing more
        self._ending = False
        self._parted = False
        """The last bytes are written."""
        self._why: Code | None = None
        self._heard_at = house.clock()
        self._timer: asyncio.TimerHandle | None = None
        self._width = NARROW
        self._width_used = False
        """Since the house looked last, much was written to it at once, which it has read."""

    # --- from the event loop ------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """There is a transport."""
        self._transport = cast("asyncio.Transport", transport)
        # What the kernel does not take at once is all that ever waits here; more stays in the router's queues.
        self._transport.set_write_buffer_limits(high=0)
        if self._pidfd >= 0:
            self._house.loop.add_reader(self._pidfd, self._orphaned)
        if unsent := self._unsent:
            self._unsent = b""
            self._intake.charge(-len(unsent))
            self._write(unsent)
        if self._ending:  # it was given up before there was a transport
            self._cut_later(self._transport)
        elif self._intake.held:
            self._transport.pause_reading()
        self._house.turn()
        self._house.write_later(self)

    def get_buffer(self, sizehint: int) -> bytearray | memoryview:  # noqa: ARG002  # the loop's idea of a size
        """Where to read into."""
        house, share = self._house, self._share
        return house.buffer if share.is_open(house.turns) and not share.waiting else house.sip

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes were read."""
        house = self._house
        house.turn()
        data = bytes(memoryview(house.buffer)[:nbytes])
        now_sec = house.clock()
        self._share.enter(now_sec)
        if self._ending:
            self._read_at_the_end(data)
        else:
            self._heard_at = now_sec
            self.client.traffic.received_bytes += nbytes
            self._read(data)
        self._share.leave(house.clock())

    def _read(self, data: bytes) -> None:
        framing, intake = self._framing, self._intake
        intake.read(data)
        if intake.held and self._transport is not None:
            self._transport.pause_reading()
        if replies := framing.replies(newest_only=self._full):
            self._write(replies)
        if framing.over:
            self._end_unless_held()

    def eof_received(self) -> bool:
        """It will send nothing more: it is answered what it has asked, and ended."""
        self._house.turn()
        self._eof = True
        if not self._ending:
            self._end_unless_held()
        elif self._parted and self._transport is not None:
            self._transport.close()
        return True

    def pause_writing(self) -> None:
        """The kernel has not taken all."""
        self._full = True

    def resume_writing(self) -> None:
        """It has, now: there was more than it takes, and the other end reads."""
        self._full = False
        if self._width is NARROW and self._transport is not None:
            self._width = self._house.widths.widen(self, self._transport.get_extra_info("socket"))
            self._width_used = True
        self._intake.charge(-len(self._unsent))
        self._unsent = b""
        self._house.turn()
        self._house.write_later(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the client is gone either way
        """The socket is closed."""
        self.let_go()
        self._house.lost(self)

    def let_go(self) -> None:
        """Free what it holds beside its socket."""
        self._width = self._house.widths.narrow(self, None)
        self._ending = True
        self._intake.let_go()
        if self._timer is not None:
            self._timer.cancel()
        if self._pidfd >= 0:
            self._house.loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    # --- from the server ----------------------------------------------------------------------------------

    def write_out(self) -> None:
        """Write what the router has for it, as far as the kernel takes it."""
        transport = self._transport
        if transport is None or self._full or self._parted or transport.is_closing():
            return
        take, frame = self._house.router.take, self._framing.frame
        while data := take(self.client, self._width.write_bytes):
            self._write(frame(data))
            if self._full:
                return
            self._width_used |= len(data) > NARROW.write_bytes
        if replies := self._framing.replies():
            self._write(replies)
        if self._ending and not self._full:
            self._part()

    def freed(self) -> None:
        """It no longer waits for a full queue. Those of its peer that wait for their turn go before."""
        if self._share.waiting:
            self._intake.wait()
        else:
            self.go_on()

    def go_on(self) -> None:
        """Take what is held, until its share is spent."""
        if not self._intake.go_on():
            return
        if self._ending or self._transport is None:
            return
        if self._eof or self._framing.over:
            self._end_unless_held()
        else:
            self._heard_at = self._house.clock()
            self._transport.resume_reading()

    def end(self, why: Code | None = None) -> None:
        """Take nothing more from it, write what there is for it, and close."""
        if not self._ending:
            self._ending = True
            self._why = self._why or why
            self._intake.forget()
            if self._transport is not None:
                self._cut_later(self._transport)
        self._house.write_later(self)

    def pause(self) -> None:
        """Read nothing more, until the next hub does."""
        if self._transport:
            self._transport.pause_reading()

    def wire(self) -> tuple[Wire, int] | None:
        """Where it is in its bytes, and its socket, for the next hub; None when nothing is left but its end."""
        transport = self._transport
        if transport is None or self._parted or transport.is_closing():
            return None
        sent = len(self._unsent) - transport.get_write_buffer_size()
        wire = Wire(
            framed=self._framing.state(),
            held=self._intake.rest,
            unsent=self._unsent[sent:],
            ending=self._ending,
            why=self._why,
        )
        return wire, transport.get_extra_info("socket").fileno()

    def resume(self, wire: Wire) -> None:
        """Go on where the hub before was, before there is a transport."""
        self._framing.resume(wire.framed)
        self._unsent = wire.unsent
        self._intake.charge(len(wire.unsent))
        self._intake.resume(wire.held)
        if wire.ending:
            self.end(wire.why)

    def orphan(self) -> None:
        """The process that connected has ended."""
        self._timer = self._timer or self._house.loop.call_later(ORPHAN_SEC, self._disown)

    def abandon(self) -> None:
        """Leave its socket to the next hub, at once and without a word."""
        if self._transport is not None:
            self._transport.abort()

    def look(self, now: float) -> bool:
        """Ping it when nothing came for a while, and give up what it has no use for; False when it does not even answer
        that.
        """
        if self._full or not self._width_used:
            handle = None if self._transport is None else self._transport.get_extra_info("socket")
            self._width = self._house.widths.narrow(self, handle)
        self._width_used = False
        silent_sec = now - self._heard_at
        if silent_sec < PING_SEC or self._ending or self._intake.held:
            return True
        ping = self._framing.ping()
        if ping and not self._full:
            self._write(ping)
        return not ping or silent_sec < PONG_SEC

    # --- its own ------------------------------------------------------------------------------------------

    def _write(self, data: bytes) -> None:
        if self._transport is not None and data:
            self._transport.write(data)
            if self._full:
                self._unsent += data  # no copy: nothing else is written before all of it is gone
                self._intake.charge(len(data))

    def _refuse(self, error: LinkError) -> None:
        """Give it up, and at once what it has begun to say."""
        self._why = self._why or error.code
        self._framing.forget()
        self._house.router.end(self.client, error)

    def _part(self) -> None:
        """Everything is written: say goodbye, and close once the other end has said it too, where it does."""
        self._parted = True
        self._write(self._framing.goodbye(self._why))
        if self._transport is not None:
            if self._eof or self._framing.is_last:
                self._transport.close()
            elif self._framing.over:  # closed with something unread, the kernel would take back what was written
                self._transport.write_eof()

    def _read_at_the_end(self, data: bytes) -> None:
        """Nothing of it counts any more but a goodbye. What comes before one is charged all the same."""
        if not (self._framing.is_last or self._eof):
            self._framing.receive(data)
            self._intake.account()
            self._framing.replies(newest_only=True)
            if self._framing.is_last and self._parted and self._transport is not None:
                self._transport.close()

    def _end_unless_held(self) -> None:
        """Nothing more comes: take the last of it, and end, once nothing is held any more."""
        if not self._intake.held and self._eof:
            self._intake.finish()
        if not self._intake.held:
            self.end()

    def _cut_later(self, transport: asyncio.Transport) -> None:
        """Read no more but a goodbye, and close it even when it does not take what there is for it."""
        if self._framing.is_last:
            transport.pause_reading()
        elif not transport.is_reading():
            transport.resume_reading()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._house.loop.call_later(LAST_WORDS_SEC, transport.abort)

    def _orphaned(self) -> None:
        """The process that connected has ended; who holds its socket now is not known. Its unit's end is one."""
        self._house.loop.remove_reader(self._pidfd)
        self.orphan()

    def _disown(self) -> None:
        self._timer = None
        if not (self._eof or self._ending):
            if self._transport is not None:
                self._transport.pause_reading()
            self.eof_received()
