"""What a connection has sent, on its way to the router: taken at once, held until it can be, or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aurora.link.framing import Framing
from aurora.link.house import SIP_BYTES, House
from aurora.link.refusal import Code, LinkError
from aurora.link.session import Client
from aurora.link.share import Share, Waiter

__all__ = ["MESSAGES_AT_ONCE", "Intake"]

MESSAGES_AT_ONCE = 16
"""After so many messages, or runs of them, the house is told, and the peer's time is looked at."""


class Intake:
    """Messages of one connection that the router has not taken yet, and the beginning of one.

    Whose peer has had its share of a turn waits for the next one, whether its peer has room left for that or not: it is
    one read, and a small one where others of its peer wait already. Who waits for a full queue, or is amid a message of
    more than SIP_BYTES, has to have room in its peer's budget.

    Invariant: `charged` is what the peer's budget has of this connection: what is held, what the framing keeps beyond
    SIP_BYTES as of the last read, and what was charged by hand.
    """

    __slots__ = (
        "_at", "_client", "_framing", "_house", "_kept", "_refuse", "_share", "_waiter", "charged", "held",
    )  # fmt: skip

    def __init__(
        self,
        house: House[Any],
        client: Client,
        framing: Framing,
        share: Share,
        waiter: Waiter,
        refuse: Callable[[LinkError], None],
    ) -> None:
        """`waiter` goes on when it is its turn; `refuse` is told why the connection cannot."""
        self._house = house
        self._client = client
        self._framing = framing
        self._share = share
        self._waiter = waiter
        self._refuse = refuse
        self.held = b""
        """Messages not taken yet. One string with `between` between them, as each message of its own costs far more
        than its bytes."""
        self._at = 0
        """Where in it the next message begins."""
        self._kept = 0
        """What is charged for the framing."""
        self.charged = 0

    @property
    def rest(self) -> bytes:
        """Of what is held, what is not taken yet."""
        return self.held[self._at :]

    def read(self, data: bytes) -> None:
        """Take what was read."""
        self._take(self._framing.receive(data))
        if self._framing.fault is not None:
            self._refuse(self._framing.fault)
        self.account()

    def finish(self) -> None:
        """Nothing more comes: what the framing has left is the last message."""
        self._take(self._framing.finish())
        self.account()

    def resume(self, held: bytes) -> None:
        """Begin with what another hub has held; the framing has resumed before."""
        self.held = held
        self._kept = max(0, self._framing.held - SIP_BYTES)
        self.charge(len(held) + self._kept)
        if held and not self._client.waits:
            self.wait()

    def go_on(self) -> bool:
        """Take what is held, until the share is spent; whether all of it is taken."""
        house, share = self._house, self._share
        share.is_open(house.turns)
        share.enter(house.clock())
        self._at = self._feed(self.held, self._at)
        share.leave(house.clock())
        if self._at < len(self.held):
            if self._client.waits:  # for a full queue, now: what was held for a turn has no room of its own
                self._has_room(0, "to publish less at once")
            return False
        self.forget()
        return True

    def wait(self) -> None:
        """For the next turn, behind those of its peer that wait already."""
        self._share.waiting[self._waiter] = None
        self._house.wait(self._share)

    def forget(self) -> None:
        """Hold nothing."""
        self.charge(-len(self.held))
        self.held = b""

    def account(self) -> None:
        """Charge what the framing keeps; the connection is refused when there is no room for it."""
        if not (self._kept or self._framing.held > SIP_BYTES):
            return
        more = max(0, self._framing.held - SIP_BYTES) - self._kept
        if more > 0 and not self._has_room(more, "to read, or send whole messages"):
            more = max(0, self._framing.held - SIP_BYTES) - self._kept
        self._kept += more
        self.charge(more)

    def charge(self, size: int) -> None:
        """Have the budget charged with so much more, or less."""
        budget = self._client.budget
        self.charged += size
        if size < 0:
            budget.give_back(-size)
        elif size:
            budget.charge(size)

    def let_go(self) -> None:
        """Give everything back."""
        self.held = b""
        self.charge(-self.charged)

    def _take(self, pieces: list[bytes]) -> None:
        if not pieces:
            return
        text, share, taken = self._framing.between.join(pieces), self._share, 0
        if share.is_open(self._house.turns) and not share.waiting:
            taken = self._feed(text, 0)
        else:
            self.wait()
        if taken < len(text):
            self._hold(text[taken:])

    def _feed(self, text: bytes, at: int) -> int:
        """Give the router messages from `at` on, as many as it takes and there is time for; where the next begins."""
        house, receive, client = self._house, self._house.router.receive_next, self._client
        between, size, count = self._framing.between, len(text), 0
        while at < size:
            if not count % MESSAGES_AT_ONCE:
                house.turn()
                if self._share.is_spent(house.clock()):
                    self.wait()
                    break
            count += 1
            began, at = at, receive(client, text, at, between)
            if at == began:
                break
        return at

    def _hold(self, held: bytes) -> None:
        if self._client.waits and not self._has_room(len(held), "to publish less at once"):
            return
        self.held, self._at = held, 0
        self.charge(len(held))

    def _has_room(self, size: int, remedy: str) -> bool:
        if self._client.budget.has_room(size):
            return True
        why = f"too much waits already for {self._client.peer.name}"
        self._refuse(LinkError(Code.TOO_LARGE, "read the message", why, remedy=remedy))
        return False
