"""Declared, and what is: one row for each declared thing, and how the two are compared. Nothing is read here."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

__all__ = ["SYSTEMD", "Held", "Row", "Seen", "Verdict", "assigned", "judge", "setter"]

SYSTEMD = "systemd holds it"
"""The source of a row that the kernel cannot be asked about."""


class Verdict(StrEnum):
    """What came of the comparison."""

    ENFORCED = "enforced"
    NOT_ENFORCED = "not enforced"
    OVERRIDDEN = "overridden"
    """By a drop-in of the unit."""
    NOT_RUNNING = "not running"
    """There is no process to hold to it; what systemd would give to the next one is as declared."""
    NOT_READ = "not read"


class Seen(NamedTuple):
    """What the kernel shows of one declared thing."""

    ok: bool | None
    """Whether it is as declared; None when it could not be read."""
    shown: str
    """What is, for a reader."""
    source: str
    """The file, or the call, that says so."""
    why: str = ""
    """Why it is not as declared, or was not read."""
    whole: bool = True
    """False where the kernel shows that something holds, and not what: only systemd can say that."""


class Held(NamedTuple):
    """What systemd holds of it, which the next start gets."""

    ok: bool | None
    shown: str


class Row(NamedTuple):
    """One declared thing of one module."""

    name: str
    """The directive."""
    declared: str
    effective: str
    verdict: Verdict
    why: str
    """Empty where all is as declared."""
    source: str
    """Where the effective value was read."""
    drop_in: str = ""
    """The file that overrides it."""

    @property
    def good(self) -> bool:
        """Whether nothing speaks against it."""
        return self.verdict in (Verdict.ENFORCED, Verdict.NOT_RUNNING)


def judge(
    name: str, declared: str, seen: Seen | None, held: Held, *, running: bool, lacking: str = "", drop_in: str = ""
) -> Row:
    """The row of one directive.

    `seen` is None where the kernel has nothing to show: then what systemd holds counts, and the row says so. `lacking`
    is the feature that the machine has not and the owner goes without; `drop_in` the file that sets the directive.
    """
    effective = seen.shown if seen is not None and running else held.shown
    source = seen.source if seen is not None and running else SYSTEMD

    def row(verdict: Verdict, why: str = "", *, by: str = "") -> Row:
        return Row(name, declared, effective, verdict, why, source, by)

    if lacking:
        return row(Verdict.NOT_ENFORCED, f"this machine lacks {lacking}, which its owner accepts")
    if running and seen is not None and seen.ok is False:
        if drop_in and held.ok is False:
            return row(Verdict.OVERRIDDEN, f"by {drop_in}", by=drop_in)
        if held.ok is False:
            return row(Verdict.NOT_ENFORCED, f"{seen.why}; systemd holds {held.shown}")
        return row(
            Verdict.NOT_ENFORCED, f"{seen.why}, though systemd holds {held.shown}; auroractl restart sets it again"
        )
    if held.ok is False:
        when = " from the next start on" if running and seen is not None and seen.ok and seen.whole else ""
        if drop_in:
            return row(Verdict.OVERRIDDEN, f"by {drop_in}, with {held.shown}{when}", by=drop_in)
        return row(Verdict.NOT_ENFORCED, f"systemd holds {held.shown}{when}; auroractl restart sets it again")
    if held.ok is None or (running and seen is not None and seen.ok is None):
        unread = seen is not None and seen.ok is None and running
        return row(Verdict.NOT_READ, seen.why if seen is not None and unread else "systemd did not say")
    return row(Verdict.ENFORCED if running else Verdict.NOT_RUNNING)


def assigned(text: str) -> dict[str, str]:
    """What the text of a unit file sets: directive -> its last value (systemd.syntax(7))."""
    found: dict[str, str] = {}
    for line in text.replace("\\\n", " ").splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and name and name[0] not in "#;[":
            found[name.strip()] = value.strip()
    return found


def setter(drop_ins: Mapping[str, Mapping[str, str]], name: str) -> str:
    """The last drop-in that sets the directive; empty when none does."""
    return next((file for file in reversed(list(drop_ins)) if name in drop_ins[file]), "")
