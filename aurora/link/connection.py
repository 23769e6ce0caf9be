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
from aurora.link.refusal import Code, LinkError
from aurora.link.session import Client
from aurora.link.share import Share

__all__ = ["WRITE_BYTES", "Connection"]

MESSAGES_AT_ONCE = 16
"""After so many messages, or runs of them, the house is told, and the peer's time is looked at."""
WRITE_BYTES = 24 * 1024
"""Asked of the router at once, about: as much as an empty socket takes whole (`server.SEND_BYTES`)."""
LAST_WORDS_SEC = 5.0
"""A connection that is to end and does not read is cut then."""
ORPHAN_SEC = 0.5
"""From the end of the process that connected to that of the connection: what it sent last is read meanwhile."""
PING_SEC = 20.0
"""A connection that can be pinged, and from which nothing came for so long, is."""
PONG_SEC = 60.0
"""One that has not even answered pings is ended."""


class Connection(asyncio.BufferedProtocol):
    """A client at its socket.

    Invariant: `_charged` is what `_held`, `_unsent` and, as of the last read, the framing hold of the peer's budget.
    """

    __slots__ = (
        "_charged", "_ending", "_eof", "_framing", "_full", "_heard_at", "_held", "_held_at", "_house", "_kept",
        "_parted", "_pidfd", "_share", "_timer", "_transport", "_unsent", "_why", "client",
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
        self._held = b""
        """Messages not taken yet: the client waits for a full queue, or its peer has had its share. One string with
        `between` between them, as each message of its own costs far more than its bytes."""
        self._held_at = 0
        """Where in it the next message begins."""
        self._charged = 0
        self._kept = 0
        """What of it is the framing's."""
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
            self._charge(-len(unsent))
            self._write(unsent)
        if self._ending:  # it was given up before there was a transport
            self._cut_later(self._transport)
        elif self._held:
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
        framing = self._framing
        self._take(framing.receive(data))
        if framing.fault is not None:
            self._refuse(framing.fault)
        if self._kept or framing.held:
            self._account()
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
        """It has, now."""
        self._full = False
        self._charge(-len(self._unsent))
        self._unsent = b""
        self._house.turn()
        self._house.write_later(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the client is gone either way
        """The socket is closed."""
        self.let_go()
        self._house.lost(self)

    def let_go(self) -> None:
        """Free what it holds beside its socket."""
        self._ending = True
        self._held = b""
        self._charge(-self._charged)
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
        while data := take(self.client, WRITE_BYTES):
            self._write(frame(data))
            if self._full:
                return
        if replies := self._framing.replies():
            self._write(replies)
        if self._ending and not self._full:
            self._part()

    def freed(self) -> None:
        """It no longer waits for a full queue. Those of its peer that wait for their turn go before."""
        if self._share.waiting:
            self._wait()
        else:
            self.go_on()

    def go_on(self) -> None:
        """Take what is held, until its share is spent."""
        house, share = self._house, self._share
        share.is_open(house.turns)
        share.enter(house.clock())
        self._held_at = self._feed(self._held, self._held_at)
        share.leave(house.clock())
        if self._held_at < len(self._held):
            return
        self._forget_held()
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
            self._forget_held()
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
            held=self._held[self._held_at :],
            unsent=self._unsent[sent:],
            ending=self._ending,
            why=self._why,
        )
        return wire, transport.get_extra_info("socket").fileno()

    def resume(self, wire: Wire) -> None:
        """Go on where the hub before was, before there is a transport."""
        self._framing.resume(wire.framed)
        self._held, self._unsent = wire.held, wire.unsent
        self._kept = self._framing.held
        self._charge(len(wire.held) + len(wire.unsent) + self._kept)
        if wire.held and not self.client.waits:
            self._wait()
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
        """Ping it when nothing came for a while; False when it does not even answer that."""
        silent_sec = now - self._heard_at
        if silent_sec < PING_SEC or self._ending or self._held:
            return True
        ping = self._framing.ping()
        if ping and not self._full:
            self._write(ping)
        return not ping or silent_sec < PONG_SEC

    # --- its own ------------------------------------------------------------------------------------------

    def _take(self, pieces: list[bytes]) -> None:
        if not pieces:
            return
        text, share, taken = self._framing.between.join(pieces), self._share, 0
        # What cannot be kept is taken at once.
        if (share.is_open(self._house.turns) and not share.waiting) or not self.client.budget.has_room(len(text)):
            taken = self._feed(text, 0)
        else:
            self._wait()
        if taken < len(text):
            self._hold(text[taken:])

    def _feed(self, text: bytes, at: int) -> int:
        """Give the router messages from `at` on, as many as it takes and there is time for; where the next begins."""
        house, receive, client = self._house, self._house.router.receive_next, self.client
        between, size, count = self._framing.between, len(text), 0
        while at < size:
            if not count % MESSAGES_AT_ONCE:
                house.turn()
                if self._share.is_spent(house.clock()) and (text is self._held or client.budget.has_room(size - at)):
                    self._wait()
                    break
            count += 1
            began, at = at, receive(client, text, at, between)
            if at == began:
                break
        return at

    def _wait(self) -> None:
        """For the next turn, behind those of its peer that wait already."""
        self._share.waiting[self] = None
        self._house.wait(self._share)

    def _hold(self, held: bytes) -> None:
        """Read no more, and keep messages until they can be taken; without room for them it is ended."""
        if self._has_room(len(held), "to publish less at once"):
            self._held, self._held_at = held, 0
            self._charge(len(held))
        if self._transport is not None:
            self._transport.pause_reading()

    def _forget_held(self) -> None:
        self._charge(-len(self._held))
        self._held = b""

    def _account(self) -> None:
        """Charge what the framing holds; end the connection when there is no room for it."""
        more = self._framing.held - self._kept
        if more > 0 and not self._has_room(more, "to read, or send whole messages"):
            more = self._framing.held - self._kept
        self._kept += more
        self._charge(more)

    def _has_room(self, size: int, remedy: str) -> bool:
        if self.client.budget.has_room(size):
            return True
        why = f"too much waits already for {self.client.peer.name}"
        self._refuse(LinkError(Code.TOO_LARGE, "read the message", why, remedy=remedy))
        return False

    def _charge(self, size: int) -> None:
        budget = self.client.budget
        self._charged += size
        if size < 0:
            budget.give_back(-size)
        elif size:
            budget.charge(size)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and data:
            self._transport.write(data)
            if self._full:
                self._unsent += data  # no copy: nothing else is written before all of it is gone
                self._charge(len(data))

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
            self._account()
            self._framing.replies(newest_only=True)
            if self._framing.is_last and self._parted and self._transport is not None:
                self._transport.close()

    def _end_unless_held(self) -> None:
        """Nothing more comes: take the last of it, and end, once nothing is held any more."""
        if not self._held and self._eof:
            self._take(self._framing.finish())
            self._account()
        if not self._held:
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
