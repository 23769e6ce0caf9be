"""What a client says to the hub, and what its caller is told; for the blocking client and the asyncio one."""

from __future__ import annotations

import json

from aurora.errors import AuroraError, DeadlineExceeded, Denied, HostError, InputError, NotFound

__all__ = [
    "DELIVERED",
    "HELLO",
    "LINE_MAX_BYTES",
    "UNREAD_MAX",
    "Delivered",
    "Gone",
    "Message",
    "acknowledgement",
    "ask",
    "decoded",
    "encoded",
    "failure",
    "gone",
    "is_over",
    "pub",
    "refused",
    "rep",
    "serving",
    "sub",
    "sub_all",
    "too_late",
    "unreachable",
    "unread",
    "unsub",
    "withdrawal",
]

LINE_MAX_BYTES = 1024 * 1024
"""A longer line does not come from the hub."""
UNREAD_MAX = 16_384
"""How many messages may come before one answer."""
DELIVERED = ("pub", "req")
"""Types of what comes unasked."""
_SERVED = "r"
"""What the ids begin with that the hub gives to requests; ours are numbers."""

type Message = dict[str, object]

HELLO: Message = {"type": "hello", "version": 1}


class Delivered(dict[str, object]):
    """A message that knows by which connection it came: its request cannot be answered by another one."""

    __slots__ = ("by",)

    def __init__(self, message: Message, by: object) -> None:
        super().__init__(message)
        self.by = by


class Gone(HostError):
    """The connection is no more, and what was sent last may or may not have been taken; connect again."""


def gone(why: str, *, remedy: str = "") -> Gone:
    """That the connection is no more, and why."""
    return Gone("talk with AuroraLink", why, remedy=remedy)


def pub(topic: str, data: object, *, retain: bool) -> Message:
    """A value for a topic's subscribers."""
    return {"type": "pub", "topic": topic, **({"retain": True} if retain else {}), "data": data}


def sub(pattern: str, cursor: str) -> Message:
    """What one wants to read."""
    return {"type": "sub", "topic": pattern, **({"cursor": cursor} if cursor else {})}


def sub_all(pattern: str, messages: int, size_bytes: int) -> Message:
    """The same, where to be cut off is better than to miss one and not know; so much may wait to be read."""
    most: Message = {"queue_messages": messages, "queue_bytes": size_bytes}
    return {"type": "sub", "topic": pattern, "bound": "disconnect", **most}


def unsub(pattern: str, cursor: str) -> Message:
    """The cursor is wanted no longer."""
    return {"type": "unsub", "topic": pattern, "cursor": cursor}


def serving(pattern: str) -> Message:
    """What one answers."""
    return {"type": "sub", "topic": pattern, "serve": True}


def ask(topic: str, data: object, deadline_sec: float) -> Message:
    """A request."""
    return {"type": "req", "topic": topic, "deadline_ms": int(deadline_sec * 1000), "data": data}


def rep(request: Message, data: object) -> Message:
    """The answer to it."""
    return {"type": "rep", "id": request["id"], "data": data}


def failure(request: Message, why: str) -> Message:
    """That there will be no answer to it."""
    return {"type": "error", "id": request["id"], "code": "failed", "text": why}


def withdrawal(number: str) -> Message:
    """That the answer to one's own request is wanted no longer."""
    return {"type": "error", "id": number, "code": "cancelled"}


def acknowledgement(message: Message) -> Message:
    """That a durable message, and all before it, need not come again."""
    return {"type": "ack", "id": message["id"], "cursor": message["cursor"]}


def encoded(message: Message) -> bytes:
    """Its line; InputError when no JSON can hold it."""
    try:
        return json.dumps(message, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n"
    except (TypeError, ValueError, RecursionError) as error:  # UnicodeEncodeError is a ValueError
        raise InputError("send the message", f"JSON cannot hold it: {error}") from None


def decoded(line: bytes) -> Message:
    """A message of the hub; Gone when the line is none, as then another one listens there."""
    try:
        message = json.loads(line)
    except ValueError:
        raise gone("it sent a line that is no JSON") from None
    return message if isinstance(message, dict) else {}


def unreachable(error: OSError, place: str) -> AuroraError:
    """Why nobody can be talked with at `place`."""
    what = "reach AuroraLink"
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        remedy = "systemctl start aurora-link.socket; a module needs a [link] table"
        return NotFound(what, "nothing listens there", where=place, remedy=remedy)
    if isinstance(error, PermissionError):
        return Denied(what, str(error), where=place, remedy="a [link] table in the module's manifest")
    return HostError(what, str(error), where=place)


def too_late(timeout_sec: float) -> Gone:
    """The hub did not answer."""
    return gone(f"it did not answer within {timeout_sec:g} s", remedy="journalctl -u aurora-link")


def unread() -> Gone:
    """UNREAD_MAX was passed."""
    return gone(f"{UNREAD_MAX} messages came before its answer")


_BY_CODE: dict[str, type[AuroraError]] = {
    "denied": Denied,
    "unanswered": Denied,
    "no-server": NotFound,
    "deadline": DeadlineExceeded,
    **dict.fromkeys(("busy", "cancelled", "failed", "slow", "silent", "too-many", "full", "disk", "ended"), HostError),
}
"""What the hub's codes are for a caller; all others are faults of what was asked."""


def refused(message: Message) -> AuroraError:
    """The hub's error message, as an error: its text says what cannot be done, and why."""
    text = str(message.get("text", ""))
    what, because, why = text.removeprefix("cannot ").partition(", because ")
    kind = _BY_CODE.get(str(message.get("code", "")), InputError)
    return kind(what, why) if because else kind("have it done by AuroraLink", text or "it gave no reason")


def is_over(error: Message) -> bool:
    """Whether it is of a request that nobody waits for any more: its time is over, or who asked is gone."""
    name = str(error.get("id", ""))
    return name.startswith(_SERVED) or (name.isdigit() and error.get("code") == "no-such")
