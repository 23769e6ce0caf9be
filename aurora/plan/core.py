"""A trial of the core's own code as it stands on disk: what whoever finds it does. Pure.

    none ──▶ trying ──▶ confirmed ──▶ none           the new version stays
                ├──▶ rolling back ──▶ none           the version before is active again, the new one is refused
                └───────────────────▶ none           it was given up: it was never active, or another one has come

A slot is staged whole before there is a trial of it, and a trial is written down before the pointer to the active slot
is swapped. So at every moment the pointer leads to one whole version, and to no unconfirmed one without a trial that
names the version before. What ends a trial badly is debian/rollback, which needs nothing of this code, as this code is
what is tried: it writes the same few fields, and tests/unit/plan/test_core.py holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

__all__ = [
    "ENDED_MAX",
    "SLOTS",
    "TRIAL_MAX_BYTES",
    "TRIES_MAX",
    "WHY_MAX_CHARS",
    "CoreEnd",
    "Found",
    "Trial",
    "ended",
    "found",
    "idle_slot",
    "next_trial_id",
    "refused_digests",
]

SLOTS = ("a", "b")
TRIES_MAX = 2
"""In so many boots a version is tried that the machine goes down with: one power cut is nobody's fault."""
ENDED_MAX = 20
"""Trials that have ended and are kept; a version whose trial is forgotten is refused no more."""
TRIAL_MAX_BYTES = 64 * 1024
"""A longer file is taken for damaged."""
WHY_MAX_CHARS = 2000


class CoreEnd(StrEnum):
    """How a trial ended; it stands in its file."""

    OPEN = ""
    """It has not."""
    ROLLING_BACK = "rolling back"
    """It has not, and it is known that its version does not stay."""
    CONFIRMED = "confirmed"
    ROLLED_BACK = "rolled back"
    GIVEN_UP = "given up"
    """Nothing is known against its version."""


class Found(StrEnum):
    """What whoever comes upon a trial does."""

    GO_ON = "go on"
    """It is this boot's, and somebody is at it, or about to be."""
    TRY_AGAIN = "try again"
    """In this boot, once more."""
    GIVE_UP = "give up"
    ROLL_BACK = "roll back"
    PUT_AWAY = "put away"
    """It has ended."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One version of the core, tried."""

    id: str
    slot: str
    """Where it is."""
    before: str
    """The slot that is gone back to; empty: there was none, and dpkg's own copy is what is left."""
    version: str
    """As dpkg calls it."""
    version_before: str
    digest: str
    boot: str
    """The kernel's id of the boot in which it was tried last."""
    tries: int
    """In how many boots it has been."""
    up: tuple[str, ...]
    """Modules that were up before, in this boot, and are to be up after."""
    begun_sec: int
    """Since the epoch, as the next one."""
    ended_sec: int = 0
    end: CoreEnd = CoreEnd.OPEN
    why: str = ""
    """Why it did not stay."""

    def to_json(self) -> dict[str, object]:
        """The trial as JSON can hold it; `Trial.from_json` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, object]) -> Trial:
        """What `to_json` wrote, or debian/rollback; KeyError, TypeError or ValueError when it is something else.

        Fields that are not known are left out: the version that comes after this one may write more.
        """
        fields = {name: document[name] for name in cls.__dataclass_fields__ if name in document}
        up = fields["up"]
        if not isinstance(up, list | tuple):
            raise TypeError("up is not a list")
        fields |= {"up": tuple(map(str, up)), "end": CoreEnd(str(fields["end"]))}
        one = cls(**fields)  # type: ignore[arg-type]  # a field that is missing raises TypeError
        if one.slot not in SLOTS or one.before not in ("", *SLOTS) or one.slot == one.before or not one.id.isdecimal():
            raise ValueError("it names no slots")
        return one


def idle_slot(active: str) -> str:
    """The slot that may be written, of which `active` is not one."""
    return SLOTS[1] if active == SLOTS[0] else SLOTS[0]


def found(one: Trial, *, active: str, boot: str) -> Found:
    """What is to be done with a trial, given what the pointer says and which boot this is."""
    if one.end not in (CoreEnd.OPEN, CoreEnd.ROLLING_BACK):
        return Found.PUT_AWAY
    if one.end is CoreEnd.ROLLING_BACK:
        return Found.ROLL_BACK
    if one.slot != active:
        return Found.GIVE_UP
    if one.boot == boot:
        return Found.GO_ON
    return Found.TRY_AGAIN if one.tries < TRIES_MAX else Found.ROLL_BACK


def ended(one: Trial, end: CoreEnd, *, now_sec: int, why: str = "") -> Trial:
    """The trial, ended; ValueError where it has ended already, or is being rolled back and ends otherwise."""
    if one.end not in (CoreEnd.OPEN, CoreEnd.ROLLING_BACK) or end in (CoreEnd.OPEN, CoreEnd.ROLLING_BACK):
        raise ValueError(f"no way leads from {one.end!r} to {end!r}")
    if one.end is CoreEnd.ROLLING_BACK and end is not CoreEnd.ROLLED_BACK:
        raise ValueError("it is being rolled back")
    return replace(one, end=end, ended_sec=now_sec, why=(one.why or why)[:WHY_MAX_CHARS])


def refused_digests(trials: Iterable[Trial]) -> frozenset[str]:
    """Of versions that are not tried by themselves: those that did not stay, and were not confirmed since."""
    refused: set[str] = set()
    for one in trials:
        if one.end in (CoreEnd.ROLLED_BACK, CoreEnd.ROLLING_BACK):
            refused.add(one.digest)
        elif one.end is CoreEnd.CONFIRMED:
            refused.discard(one.digest)
    return frozenset(refused)


def next_trial_id(names: Iterable[str]) -> str:
    """A name that is behind all of these, whatever the clock says."""
    return f"{max((int(name) for name in names if name.isdecimal()), default=0) + 1:08d}"
