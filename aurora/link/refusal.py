"""What the hub refuses, and how it says so."""

from __future__ import annotations

from enum import StrEnum

from aurora.errors import AuroraError, InputError

__all__ = ["Code", "LinkError"]


class Code(StrEnum):
    """The `code` of an error message; programs branch on it, people read its `text`."""

    NOT_JSON = "not-json"
    """The line is no JSON object."""
    NOT_UTF8 = "not-utf8"
    """Its bytes are no UTF-8; encoded surrogates are none."""
    NUL = "nul"
    """It has a NUL byte."""
    LINE_BREAK = "line-break"
    """It has a line break within: one message is one line."""
    TOO_LARGE = "too-large"
    TOO_DEEP = "too-deep"
    DUPLICATE_KEY = "duplicate-key"
    """An object has a key twice, anywhere: readers would differ about what it says."""
    LONE_SURROGATE = "lone-surrogate"
    """A string escapes half of a UTF-16 pair: many readers could not hold it."""
    HUGE_NUMBER = "huge-number"
    """A number is beyond what a double can hold (RFC 8259, section 6)."""
    UNKNOWN_TYPE = "unknown-type"
    UNKNOWN_MEMBER = "unknown-member"
    """A member that this type of message does not have; `from` and `ts` are set by the hub alone."""
    MISSING_MEMBER = "missing-member"
    BAD_MEMBER = "bad-member"
    """A member's value is of another type or out of its bounds."""
    BAD_TOPIC = "bad-topic"
    DENIED = "denied"
    """The rules, or an operator, do not allow it."""
    UNANSWERED = "unanswered"
    """It waited for an approval, and nobody answered."""
    TOO_MANY = "too-many"
    FULL = "full"
    """No room is left on disk for what is kept of its durable messages."""
    DISK = "disk"
    """What has to be on disk could not be written there, or read."""
    NO_SUCH = "no-such"
    """There is no such subscription, request or approval."""
    IN_USE = "in-use"
    """Another request with this id waits."""
    NO_SERVER = "no-server"
    """Nobody serves the topic, or who did is gone."""
    BUSY = "busy"
    """All who serve the topic have full queues."""
    DEADLINE = "deadline"
    CANCELLED = "cancelled"
    FAILED = "failed"
    """Whoever serves the topic answered with an error of its own; the text is theirs."""
    SLOW = "slow"
    """It does not read what it asked for."""
    SILENT = "silent"
    """It said nothing after connecting, or does not answer pings."""
    ENDED = "ended"
    """The unit's run that it belonged to is over."""


class LinkError(AuroraError):
    """A message or a connection that the hub refuses: cannot `what`, because `why`; try `remedy`."""

    exit_status = InputError.exit_status

    def __init__(self, code: Code, what: str, why: str, *, remedy: str = "") -> None:
        super().__init__(what, why, remedy=remedy)
        self.code = code
