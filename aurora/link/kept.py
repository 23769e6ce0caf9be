"""What the ledger gives: durable messages, and what there is of them. Cheap to import, as most hubs keep nothing."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["COST_BYTES", "CursorState", "Found", "Kept", "LogState", "cost_bytes"]

COST_BYTES = 64
"""What a message is charged with beside its topic and data: about what SQLite takes for its row."""


class Kept(NamedTuple):
    """A durable message."""

    seq: int
    publisher: str
    topic: str
    wall_msec: int
    data: bytes


class Found(NamedTuple):
    """What a search gave."""

    messages: list[Kept]
    scanned: int
    """Everything up to this number was looked at."""
    more: bool
    """There may be more behind that."""


class LogState(NamedTuple):
    """The messages of one publisher."""

    publisher: str
    messages: int
    bytes: int
    dropped: int
    """Messages that made room for newer ones, since the hub was started."""


class CursorState(NamedTuple):
    """How far a cursor is."""

    owner: str
    name: str
    pattern: str
    acked: int
    left: int
    """Messages that it has not acknowledged, of those that are counted."""


def cost_bytes(topic: str, data: bytes) -> int:
    """What a message is charged with."""
    return len(topic.encode()) + len(data) + COST_BYTES
