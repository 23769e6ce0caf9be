"""One line <-> one message. What a client sends is taken apart here, and what it gets is put together.

A delivery is written from pieces: its beginning is made of what the hub knows (`opening`), then come the hub's clock
and the sender's `data`, byte for byte. `data` was found to be one whole JSON value without line breaks, so nothing in
it can end the message, or add to it.
"""

from __future__ import annotations

import msgspec

from aurora.link.bounds import Bounds
from aurora.link.refusal import Code, LinkError
from aurora.link.strict import check_json
from aurora.link.vocabulary import FROM_CLIENT, MEMBERS, Member, Value

__all__ = [
    "Message", "Will", "decode", "decode_object", "deliver", "opening", "quoted", "say", "stamp", "wrap_object",
    "wrap_text",
]  # fmt: skip

_WHAT = "read the message"


class Will(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is published when a client's connection ends."""

    topic: str
    data: msgspec.Raw
    retain: bool = False


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a client sent; a member that it did not send has its default."""

    type: str = "pub"
    topic: str = ""
    data: msgspec.Raw = msgspec.Raw()
    id: str = ""
    version: int = 0
    will: Will | None = None
    retain: bool = False
    group: str = ""
    serve: bool = False
    bound: str = ""
    cursor: str = ""
    start: str = ""
    queue_messages: int = 0
    queue_bytes: int = 0
    deadline_ms: int = 0
    code: str = ""
    text: str = ""
    ts: int | float = 0


_decode_message = msgspec.json.Decoder(Message).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode


def decode(line: bytes, bounds: Bounds) -> Message:
    """The message in a line; LinkError, and never another error, when it is none that a client may send."""
    members = decode_object(line, bounds)
    kind = _kind(members)
    shape = FROM_CLIENT.get(kind)
    if shape is None:
        known = ", ".join(FROM_CLIENT)
        raise LinkError(Code.UNKNOWN_TYPE, _WHAT, f"there is no type {kind[:40]!r}", remedy=f"one of {known}")
    for name in members:
        if name not in shape.members:
            raise _unknown(kind, name)
    for name in shape.required:
        if name not in members:
            raise LinkError(Code.MISSING_MEMBER, _WHAT, f"{kind} needs the member {name}")
    try:
        message = _decode_message(line)
    except msgspec.MsgspecError as error:
        raise LinkError(Code.BAD_MEMBER, _WHAT, f"{error}") from None
    for name in members:
        _check_member(MEMBERS[name], getattr(message, name))
    return message


def decode_object(line: bytes, bounds: Bounds) -> dict[str, msgspec.Raw]:
    """The members of a line that is a JSON object, unread; LinkError when it is none.

    The code is NOT_JSON when it is text, but no JSON object.
    """
    if len(line) > bounds.message_max_bytes:
        remedy = f"at most {bounds.message_max_bytes}"
        raise LinkError(Code.TOO_LARGE, _WHAT, f"it has {len(line)} bytes", remedy=remedy)
    check_json(line, bounds.depth_max)
    if line.lstrip()[:1] != b"{":
        raise LinkError(Code.NOT_JSON, _WHAT, "it is no JSON object", remedy='a line like {"topic":"a/b","data":1}')
    return _decode_members(line)


def _kind(members: dict[str, msgspec.Raw]) -> str:
    if "type" not in members:
        if "topic" in members:
            return "pub"
        raise LinkError(Code.MISSING_MEMBER, _WHAT, "it has neither a type nor a topic")
    try:
        return _decode_text(members["type"])
    except msgspec.MsgspecError:
        raise LinkError(Code.BAD_MEMBER, _WHAT, "its type is no text") from None


def _unknown(kind: str, name: str) -> LinkError:
    if name in ("from", "ts"):
        return LinkError(Code.UNKNOWN_MEMBER, _WHAT, f"{name} is set by the hub alone", remedy="to leave it out")
    known = ", ".join(sorted(FROM_CLIENT[kind].members))
    return LinkError(Code.UNKNOWN_MEMBER, _WHAT, f"{kind} has no member {name[:40]!r}", remedy=f"one of {known}")


def _check_member(row: Member, value: object) -> None:
    """The bounds of the table; types are right already."""
    if value is None:
        raise LinkError(Code.BAD_MEMBER, _WHAT, f"{row.name} is null", remedy="to leave it out")
    if row.words and value not in row.words:
        why = f"{row.name} is {str(value)[:40]!r}"
        raise LinkError(Code.BAD_MEMBER, _WHAT, why, remedy=f"one of {', '.join(row.words)}")
    size = len(value) if row.value is Value.TEXT and isinstance(value, str) else value
    if row.value is Value.FLAG or not isinstance(size, int | float):
        return
    if not row.least <= size <= row.most:
        unit = " characters" if row.value is Value.TEXT else ""
        why = f"{row.name} has {size}{unit}" if unit else f"{row.name} is {size}"
        raise LinkError(Code.BAD_MEMBER, _WHAT, why, remedy=f"{row.least} to {row.most}{unit}")


# --- what is sent -----------------------------------------------------------------------------------------

quoted = msgspec.json.encode
"""A text as JSON."""


def opening(kind: str, sender: str, *, topic: str = "", message_id: str = "", more: str = "") -> bytes:
    """The beginning of a delivery, up to its clock; `more` is JSON of the hub's own, with a comma behind."""
    text = b'{"type":%b,' % quoted(kind)
    text += b'"topic":%b,' % quoted(topic) if topic else b""
    text += b'"id":%b,' % quoted(message_id) if message_id else b""
    return text + more.encode() + b'"from":%b,"ts":' % quoted(sender)


def stamp(wall_msec: int) -> bytes:
    """What stands between `opening` and data: the hub's clock."""
    return b'%d,"data":' % wall_msec


def deliver(begun: bytes, stamped: bytes, data: bytes) -> bytes:
    """A whole line: what `opening` and `stamp` gave, and a checked JSON value, byte for byte."""
    return b"".join((begun, stamped, data, b"}\n"))


def say(kind: str, **members: str | int) -> bytes:
    """A line of the hub's own; empty texts are left out."""
    return quoted({"type": kind, **{name: value for name, value in members.items() if value != ""}}) + b"\n"


def wrap_object(line: bytes, sender: str) -> bytes:
    """A checked JSON object as an older client gets it: its own bytes, and before them who sent it."""
    rest = line.strip()[1:].lstrip()
    return b'{"from":%b%b%b\n' % (quoted(sender), b"" if rest[:1] == b"}" else b",", rest)


def wrap_text(line: bytes, sender: str) -> bytes:
    """Text that is no JSON object, as an older client gets it; LinkError when it is no text."""
    if b"\0" in line:
        raise LinkError(Code.NUL, _WHAT, "it has a NUL byte", remedy="text without it")
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise LinkError(Code.NOT_UTF8, _WHAT, f"byte {error.start} is no UTF-8", remedy="text in UTF-8") from None
    return quoted({"from": sender, "raw": text}) + b"\n"
