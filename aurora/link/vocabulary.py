"""The table of the envelope: decoder, JSON Schema and documents read these rows.

To add a member, add a row here and a field in `envelope.Message`; a test fails until both agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from aurora.link.bounds import Bounds

__all__ = ["FROM_CLIENT", "FROM_HUB", "MEMBERS", "VERSION", "Member", "Shape", "Value"]

VERSION = 1
"""Of the protocol; `hello` tells it both ways."""
_SAFE = 2**53
"""Integers that every JSON reader holds exactly (RFC 7493)."""
_LIMITS = Bounds()


class Value(StrEnum):
    """What a member holds, in the words of JSON Schema."""

    TEXT = "string"
    INTEGER = "integer"
    NUMBER = "number"
    FLAG = "boolean"
    OBJECT = "object"
    ANYTHING = "anything"


@dataclass(frozen=True, kw_only=True)
class Member:
    """One member of a message."""

    name: str
    value: Value
    doc: str
    least: int = 0
    """The smallest number; the fewest characters of a text."""
    most: int = _SAFE
    """The largest number; the most characters of a text."""
    words: tuple[str, ...] = ()
    """All values, where they are few."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One type of message in one direction."""

    type: str
    doc: str
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()

    @property
    def members(self) -> frozenset[str]:
        """All that it may have, `type` among them."""
        return frozenset({"type", *self.required, *self.optional})


def _text(name: str, doc: str, most: int, *, least: int = 1, words: tuple[str, ...] = ()) -> Member:
    return Member(name=name, value=Value.TEXT, doc=doc, least=least, most=most, words=words)


def _count(name: str, doc: str, most: int, *, least: int = 1) -> Member:
    return Member(name=name, value=Value.INTEGER, doc=doc, least=least, most=most)


_ROWS = (
    _text("type", "What the message is; left out where there is a topic, it is pub.", 16),
    _text("topic", "A topic; with sub and unsub a pattern, with + and #.", _LIMITS.topic_max_bytes),
    Member(name="data", value=Value.ANYTHING, doc="Any JSON value; carried byte for byte."),
    _text("id", "What answers name; chosen by whoever asks. With hello: the client's own name, for people.", 64),
    _text("from", "Who published or answered, as the kernel knows them. Set by the hub.", 64),
    Member(name="ts", value=Value.NUMBER, doc="When, in milliseconds since 1970. Set by the hub.", least=-_SAFE),
    _count("version", "Of the protocol. A hello without it is an older client's.", 1000),
    Member(name="will", value=Value.OBJECT, doc="What is published when the connection ends: topic, data, retain."),
    Member(name="retain", value=Value.FLAG, doc="Keep it for later subscribers; null as data removes what is kept."),
    Member(name="retained", value=Value.FLAG, doc="It was kept: published before the subscription."),
    _text("group", "Of those who subscribe with the same pattern and group, one gets each message.", 64),
    Member(name="serve", value=Value.FLAG, doc="Take requests of these topics instead of what is published."),
    _text("cursor", "By which durable messages are read; a name of the client's own.", 64),
    _text(
        "start", "Where a cursor begins that there was not yet: with what is kept, or behind it.", 16,
        words=("oldest", "newest"),
    ),
    _text(
        "bound", "What happens when the subscription's queue is full: see auroralink(7).", 16,
        words=("latest", "drop-oldest", "block", "disconnect"),
    ),
    _count("queue_messages", "How many messages may wait to be read.", _LIMITS.queue_max_messages),
    _count("queue_bytes", "How many bytes may wait to be read.", _LIMITS.queue_max_bytes, least=1024),
    _count("deadline_ms", "How long an answer is waited for.", _LIMITS.request_max_msec),
    _text("code", "Which error it is, for programs.", 32),
    _text("text", "The same for people: cannot X, because Y; try Z.", 4096, least=0),
    _text("approval", "The message waits for an operator to approve it, under this id.", 32),
)  # fmt: skip
MEMBERS = {row.name: row for row in _ROWS}

FROM_CLIENT = {
    row.type: row
    for row in (
        Shape(type="hello", doc="Who I am and which protocol I speak.", optional=("version", "id", "will")),
        Shape(
            type="sub",
            doc="Send me what is published.",
            required=("topic",),
            optional=("id", "group", "serve", "bound", "queue_messages", "queue_bytes", "cursor", "start"),
        ),
        Shape(type="unsub", doc="No longer.", required=("topic",), optional=("id", "group", "serve", "cursor")),
        Shape(type="pub", doc="Publish.", required=("topic", "data"), optional=("id", "retain")),
        Shape(type="req", doc="Ask who serves the topic.", required=("topic", "id", "data"), optional=("deadline_ms",)),
        Shape(type="rep", doc="The answer to a request.", required=("id", "data")),
        Shape(type="ack", doc="I have it, and what came before.", required=("id", "cursor")),
        Shape(type="ping", doc="Are you there?", optional=("id",)),
        Shape(type="pong", doc="I am.", optional=("id", "ts")),
        Shape(type="error", doc="Cancels my request, or fails yours.", required=("id", "code"), optional=("text",)),
    )
}
"""What a client may send."""

FROM_HUB = {
    row.type: row
    for row in (
        Shape(type="hello", doc="Your name, and the protocol.", required=("version", "id", "ts")),
        Shape(type="ack", doc="It is done, or waits for an approval.", optional=("id", "approval")),
        Shape(
            type="pub",
            doc="What was published.",
            required=("topic", "from", "ts", "data"),
            optional=("retained", "id", "cursor"),
        ),
        Shape(type="req", doc="Answer this.", required=("topic", "id", "from", "ts", "deadline_ms", "data")),
        Shape(type="rep", doc="The answer.", required=("id", "from", "ts", "data")),
        Shape(type="pong", doc="I am here.", required=("ts",), optional=("id",)),
        Shape(type="error", doc="What is refused.", required=("code", "text"), optional=("id", "topic", "from")),
    )
}
"""What the hub may send."""
