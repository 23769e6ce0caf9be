"""Messages that wait until a human lets them pass. Nothing passes because nobody answers.

A module's message to a gated topic is answered by an ack with `approval`, and waits. It passes when an operator
approves it, and is refused when one denies it (denied) or nobody answers in time (unanswered).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from aurora.link.envelope import Message
from aurora.link.peer import Peer, Role
from aurora.link.refusal import Code, LinkError
from aurora.link.rules import Action
from aurora.link.session import Client, Core

__all__ = ["Answer", "Approval", "Approvals", "HeldMessage"]

_ACTIONS = {"pub": Action.PUBLISH, "req": Action.REQUEST}


@dataclass(frozen=True, kw_only=True)
class Approval:
    """One message that waits: who wants what."""

    id: str
    sender: str
    type: str
    """pub or req."""
    topic: str
    data: bytes
    wall_msec: int
    """Since when."""
    deadline_msec: int
    """On the clock that only goes forward."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of one, for the record."""

    approval: Approval
    approved: bool
    by: str
    """The operator's name; empty when nobody answered in time, or the sender is gone."""
    wall_msec: int
    grant_msec: int = 0
    """For how long such messages pass from then on."""

    def __str__(self) -> str:
        """For the journal."""
        one = self.approval
        message = f"{one.id}, {one.type} {one.topic!r} of {one.sender}"
        if not self.by:
            return f"nobody answered {message}: it does not pass"
        more = f", and others like it for {self.grant_msec / 1000:g} s" if self.grant_msec else ""
        return f"{self.by} {'approved' if self.approved else 'denied'} {message}{more}"


class HeldMessage:
    """A message that waits, with what is needed to let it pass."""

    __slots__ = ("approval", "client", "message", "timer")

    def __init__(self, approval: Approval, client: Client, message: Message) -> None:
        self.approval = approval
        self.client = client
        self.message = message
        self.timer = 0


class Approvals:
    """What waits, what was answered, and which grants hold.

    A grant lets the messages of one sender with one topic pass for a time. What its sender's connection leaves behind
    is not let through: its order to other messages could no longer be kept.
    """

    def __init__(self, core: Core, pass_on: Callable[[Client, Message], None]) -> None:
        """`pass_on` does what the message asks, as if it came now; LinkError when it cannot."""
        self._core = core
        self._pass_on = pass_on
        self._held: dict[str, HeldMessage] = {}
        self._held_bytes = 0
        self.grants: dict[tuple[str, str], int] = {}
        """(sender, topic) -> until when such messages pass."""
        self.number = 0
        """Of the last one; none has the same twice."""
        self.answers: deque[Answer] = deque(maxlen=core.bounds.decisions_kept_max)
        self.record: Callable[[Answer], None] = lambda _answer: None
        """Called with each answer."""

    def waiting(self) -> list[Approval]:
        """All that wait, the oldest first."""
        return [held.approval for held in self._held.values()]

    def granted(self, peer: Peer, topic: str) -> bool:
        """Whether such a message passes now."""
        return self.grants.get((peer.name, topic), -1) > self._core.now_msec

    def hold(self, client: Client, message: Message) -> str:
        """Let it wait; the approval's id. LinkError when too many do."""
        bounds = self._core.bounds
        data = bytes(message.data)
        own = sum(held.approval.sender == client.peer.name for held in self._held.values())
        if (
            own >= bounds.approvals_of_one_max
            or len(self._held) >= bounds.approvals_max
            or self._held_bytes + len(data) > bounds.approvals_max_bytes
        ):
            why = "as many messages as may wait for an approval do so already"
            raise LinkError(Code.TOO_MANY, f"{message.type} {message.topic!r}", why, remedy="auroractl link approvals")
        self.number += 1
        approval = Approval(
            id=f"a{self.number}",
            sender=client.peer.name,
            type=message.type,
            topic=message.topic,
            data=data,
            wall_msec=self._core.wall_msec,
            deadline_msec=self._core.now_msec + bounds.approval_max_msec,
        )
        self.wait(HeldMessage(approval, client, message))
        return approval.id

    def held(self) -> list[HeldMessage]:
        """All that wait, with what is needed to let them pass, the oldest first."""
        return list(self._held.values())

    def wait(self, held: HeldMessage) -> None:
        """Have it wait until its deadline."""
        self._held[held.approval.id] = held
        self._held_bytes += len(held.approval.data)
        held.timer = self._core.timers.at(held.approval.deadline_msec, lambda: self._expire(held))

    def approve(self, approval_id: str, by: Peer, *, grant_msec: int = 0) -> Answer:
        """Let it pass; with a grant those of its sender and topic that wait, too, and later ones for that time.

        LinkError when nothing of that id waits, when `by` is no operator, or when the time is too long.
        """
        held = self._find(approval_id, by)
        if not 0 <= grant_msec <= self._core.bounds.grant_max_msec:
            remedy = f"0 to {self._core.bounds.grant_max_msec} ms"
            raise LinkError(Code.BAD_MEMBER, f"approve {approval_id}", "its time is out of bounds", remedy=remedy)
        answer = self._close(held, approved=True, by=by.name, grant_msec=grant_msec)
        self._let_pass(held)
        if grant_msec:
            key = (held.approval.sender, held.approval.topic)
            self._grant(key, self._core.now_msec + grant_msec)
            for other in [one for one in self._held.values() if (one.approval.sender, one.approval.topic) == key]:
                self._close(other, approved=True, by=by.name)
                self._let_pass(other)
        return answer

    def deny(self, approval_id: str, by: Peer) -> Answer:
        """Do not let it pass, and tell its sender; LinkError as of `approve`."""
        held = self._find(approval_id, by)
        answer = self._close(held, approved=False, by=by.name)
        self._core.gatekeeper.count(held.client.peer, _ACTIONS[held.approval.type])
        self._tell(held, Code.DENIED, f"{by.name} denied it")
        return answer

    def forget(self, gone: Client) -> None:
        """Drop what waits of a connection that ended."""
        for held in [one for one in self._held.values() if one.client is gone]:
            self._close(held, approved=False, by="")

    def _find(self, approval_id: str, by: Peer) -> HeldMessage:
        if by.role not in (Role.ADMIN, Role.OPERATOR):
            self._core.gatekeeper.count(by, "approve")
            raise LinkError(Code.DENIED, f"answer {approval_id}", f"{by.name} is no member of the group aurora")
        held = self._held.get(approval_id)
        if held is None:
            remedy = "auroractl link approvals, which lists what does"
            raise LinkError(Code.NO_SUCH, f"answer {approval_id}", "nothing of that id waits", remedy=remedy)
        return held

    def _grant(self, key: tuple[str, str], until_msec: int) -> None:
        now = self._core.now_msec
        self.grants = {one: until for one, until in self.grants.items() if until > now}
        if key not in self.grants and len(self.grants) >= self._core.bounds.grants_max:
            del self.grants[min(self.grants, key=self.grants.__getitem__)]
        self.grants[key] = until_msec

    def _expire(self, held: HeldMessage) -> None:
        self._close(held, approved=False, by="")
        self._core.gatekeeper.count(held.client.peer, _ACTIONS[held.approval.type])
        self._tell(held, Code.UNANSWERED, "nobody approved it in time")

    def _close(self, held: HeldMessage, *, approved: bool, by: str, grant_msec: int = 0) -> Answer:
        self._core.timers.cancel(held.timer)
        del self._held[held.approval.id]
        self._held_bytes -= len(held.approval.data)
        wall = self._core.wall_msec
        answer = Answer(approval=held.approval, approved=approved, by=by, wall_msec=wall, grant_msec=grant_msec)
        self.answers.append(answer)
        self.record(answer)
        return answer

    def _let_pass(self, held: HeldMessage) -> None:
        try:
            self._pass_on(held.client, held.message)
        except LinkError as error:
            self._core.refuse(held.client, error, message_id=held.message.id, topic=held.message.topic)

    def _tell(self, held: HeldMessage, code: Code, why: str) -> None:
        error = LinkError(code, f"{held.approval.type} {held.approval.topic!r}", why)
        self._core.refuse(held.client, error, message_id=held.message.id, topic=held.message.topic)
