"""What an operator asks of the hub itself.

$sys/approvals, about messages that wait for an approval. Data is null, which lists them, or says what is to become of
one: `{"approve":"a3","grant_ms":60000}`, `{"deny":"a3"}`. $sys/durable, about what is on disk: null lists whose it is
and by which cursors it is read, `{"forget":"weather"}` removes all that a module has there. $sys/subscriptions, about
who reads what, and what waits for them, and $sys/clients, about who talks, and how much: data is null.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from aurora.link.approvals import Answer, Approval, Approvals
from aurora.link.durable import Keeping
from aurora.link.envelope import quoted
from aurora.link.peer import Peer, Role
from aurora.link.refusal import Code, LinkError
from aurora.link.session import Client, Core, Subscription
from aurora.link.traffic import Counts, Look
from aurora.topics import APPROVALS, CLIENTS, DURABLE, SUBSCRIPTIONS

TYPE_CHECKING = False  # to type checkers it is true; the database is loaded where something is kept
if TYPE_CHECKING:
    from aurora.link.ledger import Ledger

__all__ = ["answer", "answer_of_clients", "answer_of_disk", "answer_of_subscriptions"]

DATA_SHOWN_MAX_BYTES = 512
"""More of a message is not listed, so that the list of all that may wait has room in an answer."""
_WHAT = f"ask {APPROVALS!r}"


class _Wanted(msgspec.Struct, forbid_unknown_fields=True):
    approve: str = ""
    deny: str = ""
    grant_ms: int = 0


class _OfDisk(msgspec.Struct, forbid_unknown_fields=True):
    forget: str


_of_disk = msgspec.json.Decoder(_OfDisk | None).decode
_wanted = msgspec.json.Decoder(_Wanted | None).decode


def answer(core: Core, approvals: Approvals, by: Peer, data: bytes) -> bytes:
    """What the hub answers, as JSON; LinkError when `by` is no operator, and when it is not understood."""
    _require_operator(core, by, "approve", _WHAT)
    try:
        wanted = _wanted(data)
    except msgspec.MsgspecError as error:
        remedy = 'null, {"approve":"a1","grant_ms":60000} or {"deny":"a1"}'
        raise LinkError(Code.BAD_MEMBER, _WHAT, f"its data is not understood: {error}", remedy=remedy) from None
    if wanted is None:
        return quoted(
            {
                "waiting": [_waiting(core, one) for one in approvals.waiting()],
                "answered": [_answered(one) for one in approvals.answers],
            }
        )
    if bool(wanted.approve) == bool(wanted.deny) or (wanted.deny and wanted.grant_ms):
        raise LinkError(Code.BAD_MEMBER, _WHAT, "it wants neither one thing nor the other", remedy="approve, or deny")
    if wanted.approve:
        return quoted(_answered(approvals.approve(wanted.approve, by, grant_msec=wanted.grant_ms)))
    return quoted(_answered(approvals.deny(wanted.deny, by)))


def answer_of_disk(
    core: Core, keeping: Keeping, client: Client, data: bytes, done: Callable[[bytes | LinkError], None]
) -> None:
    """`done` gets what the hub answers, as JSON; LinkError at once as of `answer`."""
    what = f"ask {DURABLE!r}"
    _require_operator(core, client.peer, "durable", what)
    try:
        wanted = _of_disk(data)
    except msgspec.MsgspecError as error:
        why = f"its data is not understood: {error}"
        raise LinkError(Code.BAD_MEMBER, what, why, remedy='null or {"forget":"weather"}') from None
    if wanted is not None:
        keeping.forget_all(client, wanted.forget, lambda error: done(b"null" if error is None else error))
        return

    def listed(ledger: Ledger) -> bytes:
        logs, cursors = ledger.logs(), ledger.cursors()
        return quoted({"logs": [one._asdict() for one in logs], "cursors": [one._asdict() for one in cursors]})

    keeping.ask(client, listed, done)


def answer_of_subscriptions(core: Core, by: Peer, data: bytes) -> bytes:
    """What the hub answers, as JSON: those that most waits for come first, and some are left out where there are many.

    LinkError as of `answer`.
    """
    _require_plain(core, by, data, SUBSCRIPTIONS)
    found = [one for client in core.clients for one in client.subscriptions.values()]
    found.sort(key=lambda one: (-one.queue.dropped, -one.queue.bytes, one.pattern, one.client.peer.name))
    shown = found[: core.bounds.subscriptions_listed_max]
    return quoted({"subscriptions": [_subscription(one) for one in shown], "left_out": len(found) - len(shown)})


def answer_of_clients(core: Core, by: Peer, data: bytes) -> bytes:
    """The same about modules and users with all their connections; LinkError as of `answer`."""
    _require_plain(core, by, data, CLIENTS)
    of_peer: dict[str, list[Client]] = {}
    for client in core.clients:
        of_peer.setdefault(client.peer.name, []).append(client)
    denied: dict[str, int] = {}
    for (name, _), count in core.gatekeeper.denials.items():
        denied[name] = denied.get(name, 0) + count
    found = [_counts(name, clients, denied.get(name, 0)) for name, clients in of_peer.items()]
    found.sort(key=lambda one: (-one.waiting_bytes, -one.dropped, -one.received - one.delivered, one.name))
    shown = tuple(found[: core.bounds.peers_listed_max])
    return msgspec.json.encode(Look(at_ms=core.now_msec, clients=shown, left_out=len(found) - len(shown)))


def _counts(name: str, clients: list[Client], denied: int) -> Counts:
    traffic, budget = clients[0].traffic, clients[0].budget  # all connections of a peer share them
    return Counts(
        name=name,
        connections=len(clients),
        received=traffic.received,
        received_bytes=traffic.received_bytes,
        delivered=traffic.delivered,
        delivered_bytes=traffic.delivered_bytes,
        waiting=sum(len(one.queue) for client in clients for one in client.subscriptions.values()),
        waiting_bytes=budget.used,
        holding_up=sum(len(one.waiting) for client in clients for one in client.subscriptions.values()),
        dropped=budget.dropped,
        denied=denied,
    )


def _subscription(one: Subscription) -> dict[str, object]:
    return {
        "topic": one.pattern,
        "reader": one.client.peer.name,
        "group": one.group,
        "serve": one.serve,
        "cursor": one.cursor.name if one.cursor is not None else "",
        "bound": str(one.queue.at_bound),
        "waiting": len(one.queue),
        "waiting_bytes": one.queue.bytes,
        "dropped": one.queue.dropped,
    }


def _require_plain(core: Core, by: Peer, data: bytes, topic: str) -> None:
    what = f"ask {topic!r}"
    _require_operator(core, by, topic.removeprefix("$sys/"), what)
    if data.strip() != b"null":
        raise LinkError(Code.BAD_MEMBER, what, "it takes no data", remedy="null")


def _require_operator(core: Core, by: Peer, action: str, what: str) -> None:
    if by.role not in (Role.ADMIN, Role.OPERATOR):
        core.gatekeeper.count(by, action)
        raise LinkError(Code.DENIED, what, f"{by.name} is no member of the group aurora")


def _waiting(core: Core, one: Approval) -> dict[str, object]:
    found: dict[str, object] = {
        "id": one.id,
        "from": one.sender,
        "type": one.type,
        "topic": one.topic,
        "ts": one.wall_msec,
        "left_ms": max(0, one.deadline_msec - core.now_msec),
        "data_bytes": len(one.data),
    }
    if len(one.data) <= DATA_SHOWN_MAX_BYTES:
        found["data"] = msgspec.Raw(one.data)
    return found


def _answered(one: Answer) -> dict[str, object]:
    return {
        "id": one.approval.id,
        "from": one.approval.sender,
        "type": one.approval.type,
        "topic": one.approval.topic,
        "approved": one.approved,
        "by": one.by,
        "ts": one.wall_msec,
        "grant_ms": one.grant_msec,
    }
