"""What one hub leaves to the next when it is restarted, and its bytes.

A first line with the version, then chunks, each behind its length and checksum: the hub's own record, one record for
each connection, and an empty chunk at the end. A hub reads what a hub of the same VERSION wrote, whole and undamaged,
or nothing of it. VERSION is raised with any change of a record's shape or meaning, of the values in them as well (Peer,
Retained, Approval, Answer, Message, Will).

Times are those of the clock that only goes forward: it is the machine's, and goes on over a restart of the hub.
"""

from __future__ import annotations

from binascii import crc32
from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from aurora.link.approvals import Answer, Approval
from aurora.link.peer import Peer
from aurora.link.queue import AtBound
from aurora.link.refusal import Code
from aurora.link.retained import Retained

__all__ = [
    "VERSION", "Asked", "Connected", "Framed", "HandoverError", "Held", "Hub", "Reading", "State", "Subscribed",
    "Waits", "Wire", "decode", "encode", "fitting",
]  # fmt: skip

VERSION = 1
_TITLE = b"AuroraLink handover %d\n"
_SIZE_BYTES = 4
_SUBSCRIPTION_BYTES = 256
"""What a subscription takes beside the lines that wait for it, about."""


class HandoverError(ValueError):
    """What was left cannot be taken over: it is of another version, or damaged."""


class _Record(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Written as its values alone, in the order of its fields."""


class Waits(_Record, frozen=True, kw_only=True):
    """A message that waits for room in a full queue."""

    line: bytes
    topic: str
    publisher: int
    """The number of its connection; 0 when that has ended."""
    due_msec: int


class Reading(_Record, frozen=True, kw_only=True):
    """How far a cursor has come."""

    name: str
    acked: int
    saved: int
    after: int
    sent: list[tuple[int, int]]
    """Number and size of what it has not acknowledged."""
    behind: bool


class Subscribed(_Record, frozen=True, kw_only=True):
    """A subscription, and what waits in its queue."""

    pattern: str
    group: str
    serve: bool
    at_bound: AtBound
    max_messages: int
    max_bytes: int
    dropped: int
    lines: list[tuple[str, bytes]]
    """Topic and line; without the topic where the queue has no use for it."""
    waiting: list[Waits]
    reading: Reading | None = None
    is_older: bool = False
    """Where an older client gets its broadcasts."""
    closed: bool = False
    """It has ended, and what it holds may still be read."""


class Framed(_Record, frozen=True, kw_only=True):
    """What stands between a connection's bytes and its messages."""

    rest: bytes
    """The beginning of a line, of a frame or of a handshake."""
    is_open: bool = True
    """The handshake is done."""
    parts: bytes | None = None
    """What came of a fragmented message; None while none is under way."""
    replies: bytes = b""
    last: bytes = b""
    over: bool = False
    is_last: bool = False


class Wire(_Record, frozen=True, kw_only=True):
    """Where a connection is in its bytes. That it sends nothing more, the kernel tells the next hub, too."""

    framed: Framed
    held: bytes
    """Messages that were read and not taken, as the client waits for a full queue."""
    unsent: bytes
    """What the kernel has not taken yet; the first of it may be the middle of a message."""
    ending: bool
    why: Code | None


class Connected(_Record, frozen=True, kw_only=True):
    """One connection."""

    number: int
    peer: Peer
    """As the kernel said when it connected; nobody but systemd and the hub has had this in hand since."""
    name: str
    malformed: int
    first_line_due_msec: int | None
    """None once its first line has come."""
    control: list[bytes]
    will: bytes
    """As JSON; empty without one."""
    waiting_bytes: int
    subscriptions: list[Subscribed]
    ready: list[int]
    """Which of them have something to read, in the order of their turns."""
    wire: Wire | None
    """None when its socket is not handed over: it ends, and all that comes of that is the next hub's to do."""


class Asked(_Record, frozen=True, kw_only=True):
    """A request that waits for its answer."""

    client: int
    client_id: str
    server: int
    hub_id: str
    topic: str
    due_msec: int


class Held(_Record, frozen=True, kw_only=True):
    """A message that waits for an approval."""

    approval: Approval
    client: int
    message: bytes
    """As JSON."""


class Hub(_Record, frozen=True, kw_only=True):
    """What is not one connection's."""

    connections: int
    """The number of the last one."""
    requests: int
    """The same of requests, whose ids must not come again."""
    approvals: int
    """The same of approvals."""
    received: int
    delivered: int
    dropped: int
    dropped_by_queues: int
    denials: list[tuple[str, str, int]]
    retained: list[Retained]
    asked: list[Asked]
    held: list[Held]
    grants: list[tuple[str, str, int]]
    """Sender, topic, until when."""
    answers: list[Answer]


class State(_Record, frozen=True, kw_only=True):
    """All of it."""

    hub: Hub
    clients: list[Connected]


_encode = msgspec.msgpack.encode
_decode_hub = msgspec.msgpack.Decoder(Hub).decode
_decode_client = msgspec.msgpack.Decoder(Connected).decode


def fitting(state: State, max_bytes: int) -> State:
    """The same with at most about `max_bytes` of messages: connections for which no room is left are not handed over.

    Those of a peer for which most waits have room last. Of a connection that is left out the next hub is told all the
    same what ends with it.
    """
    weights = {one.number: _weight(one) for one in state.clients}
    of_peer: Counter[str] = Counter()
    for one in state.clients:
        of_peer[one.peer.name] += weights[one.number]
    left = max_bytes - sum(value.cost_bytes for value in state.hub.retained)
    left -= sum(len(held.message) for held in state.hub.held)
    clients = []
    for one in sorted(state.clients, key=lambda one: of_peer[one.peer.name]):
        weight = weights[one.number]
        clients.append(one if weight <= left else _bare(one))
        left -= weight if weight <= left else 0
    return State(hub=state.hub, clients=clients)


def _weight(one: Connected) -> int:
    queues = sum(
        _SUBSCRIPTION_BYTES + sum(len(line) for _, line in sub.lines) + sum(len(other.line) for other in sub.waiting)
        for sub in one.subscriptions
    )
    wire = one.wire
    read = () if wire is None else (wire.held, wire.unsent, wire.framed.rest, wire.framed.parts or b"")
    return queues + sum(map(len, (*read, one.will, *one.control)))


def _bare(one: Connected) -> Connected:
    emptied = [msgspec.structs.replace(sub, lines=[], waiting=[]) for sub in one.subscriptions]
    return msgspec.structs.replace(one, wire=None, control=[], subscriptions=emptied, ready=[])


def encode(state: State) -> Iterator[bytes]:
    """Its bytes, in pieces, so that no more than one connection's are there twice."""
    yield _TITLE % VERSION
    yield from _chunk(_encode(state.hub))
    for one in state.clients:
        yield from _chunk(_encode(one))
    yield from _chunk(b"")


def _chunk(data: bytes) -> Iterable[bytes]:
    return len(data).to_bytes(_SIZE_BYTES) + crc32(data).to_bytes(_SIZE_BYTES), data


def decode(data: bytes | memoryview) -> State:
    """The state; HandoverError when it is of another version, or anything in it is not as `encode` writes it."""
    title = _TITLE % VERSION
    if bytes(data[: len(title)]) != title:
        said = bytes(data[:64]).partition(b"\n")[0].decode("ascii", "replace")
        raise HandoverError(f"it is {said!r}, and this hub reads version {VERSION}")
    try:
        first, *others = _chunks(memoryview(data)[len(title) :])
        state = State(hub=_decode_hub(first), clients=[_decode_client(one) for one in others])
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
        raise HandoverError(f"it is damaged: {error}") from None
    if (why := _inconsistent(state)) is not None:
        raise HandoverError(f"it is damaged: {why}")
    return state


def _chunks(data: memoryview) -> Iterator[memoryview]:
    at = 0
    while True:
        size = int.from_bytes(data[at : at + _SIZE_BYTES])
        start = at + 2 * _SIZE_BYTES
        chunk = data[start : start + size]
        if len(data) < start or len(chunk) != size or crc32(chunk) != int.from_bytes(data[at + _SIZE_BYTES : start]):
            raise HandoverError(f"{len(data)} bytes, and no whole chunk at {at}")
        if not size:
            return
        yield chunk
        at = start + size


def _inconsistent(state: State) -> str | None:
    """What in it points to nothing, or is there twice."""
    numbers = {one.number for one in state.clients}
    if len(numbers) != len(state.clients) or 0 in numbers:
        return "a connection is there twice"
    pointed = {one.client for one in state.hub.held}
    pointed |= {one.client for one in state.hub.asked} | {one.server for one in state.hub.asked}
    for client in state.clients:
        subscriptions = client.subscriptions
        pointed |= {waits.publisher for one in subscriptions for waits in one.waiting} - {0}
        if not set(client.ready) <= set(range(len(subscriptions))):
            return f"connection {client.number} has no such subscription"
    return None if pointed <= numbers else f"there are no connections {sorted(pointed - numbers)[:8]}"
