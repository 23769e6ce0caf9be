"""Who talks, and how much: what the hub counts for each module and user, and the rates between two looks at it.

`$sys/clients` answers operators with a `Look`; `auroractl link top` makes `Row`s of two of them.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

__all__ = ["Counts", "Look", "Row", "Traffic", "read_look", "rows_between"]


class Traffic:
    """What went through all connections of one peer, since it had none. Counted once for each run of messages and each
    read or write.
    """

    __slots__ = ("delivered", "delivered_bytes", "received", "received_bytes")

    def __init__(self) -> None:
        self.received = 0
        """Messages taken from it."""
        self.received_bytes = 0
        """All that was read of it."""
        self.delivered = 0
        """Lines given to it."""
        self.delivered_bytes = 0


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """One module or user with all its connections; what is counted is since it had none."""

    name: str
    connections: int
    received: int
    received_bytes: int
    delivered: int
    delivered_bytes: int
    waiting: int
    """Messages that wait to be read by it."""
    waiting_bytes: int
    """All that is charged to it."""
    holding_up: int
    """Messages of others that wait for room in its queues, and their senders with them."""
    dropped: int
    """Messages that were for it, and lost at the bounds of its queues."""
    denied: int
    """What it was refused by the rules, since the hub's start."""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """All of them at one time, those that most waits for first."""

    at_ms: int
    """On a clock that only goes forward."""
    clients: tuple[Counts, ...]
    left_out: int
    """How many more there are."""


class Row(NamedTuple):
    """One of them between two looks; what is per second is None where there was no look before."""

    now: Counts
    received_per_sec: float | None = None
    received_bytes_per_sec: float | None = None
    delivered_per_sec: float | None = None
    delivered_bytes_per_sec: float | None = None
    dropped_per_sec: float | None = None

    @property
    def is_slow(self) -> bool:
        """Whether it loses messages, or holds others up, by what it does not read."""
        return bool(self.dropped_per_sec or self.now.holding_up)

    def to_json(self) -> dict[str, object]:
        """Counts and rates under their names."""
        rates = {name: getattr(self, name) for name in self._fields if name != "now"}
        rounded = {name: None if one is None else round(one, 1) for name, one in rates.items()}
        return {**msgspec.structs.asdict(self.now), **rounded}


def read_look(said: object) -> Look | None:
    """The hub's answer; None when it is not understood."""
    try:
        return msgspec.convert(said, Look)
    except msgspec.ValidationError:
        return None


def rows_between(before: Look | None, now: Look) -> list[Row]:
    """A row for each that is there now.

    Those that lose messages or hold others up come first, then those that most waits for, then the busiest.
    """
    past = {} if before is None else {one.name: one for one in before.clients}
    passed_sec = 0.0 if before is None else (now.at_ms - before.at_ms) / 1000
    rows = [_row(past.get(one.name), one, passed_sec) for one in now.clients]
    return sorted(rows, key=_place)


def _row(was: Counts | None, now: Counts, passed_sec: float) -> Row:
    if passed_sec <= 0:
        return Row(now)

    def rate(name: str) -> float:
        past, count = 0 if was is None else getattr(was, name), getattr(now, name)
        # Less than before: it was gone, and all that is counted is new.
        return float((count - past if count >= past else count) / passed_sec)

    return Row(now, *(rate(name.removesuffix("_per_sec")) for name in Row._fields[1:]))


def _place(row: Row) -> tuple[bool, float, int, float, str]:
    busy = (row.received_per_sec or 0) + (row.delivered_per_sec or 0)
    return (not row.is_slow, -(row.dropped_per_sec or 0), -row.now.waiting_bytes, -busy, row.now.name)
