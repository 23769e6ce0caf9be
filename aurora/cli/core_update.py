"""What `auroractl update status` and `history` say of the core's own code."""

from __future__ import annotations

from typing import NamedTuple

from aurora.cli import render
from aurora.errors import AuroraError, Problem
from aurora.paths import Paths
from aurora.plan.core import CoreEnd, Trial, refused_digests
from aurora.runtime.core import ended_trials, open_trial
from aurora.runtime.slots import active_slot, slot_version, wanted_version

__all__ = ["Core", "document", "history_document", "history_row", "lines", "read_core"]

_ENDS = {CoreEnd.CONFIRMED: "updated", CoreEnd.ROLLED_BACK: "rolled back", CoreEnd.GIVEN_UP: "given up"}
"""As those of modules are called."""


class Core(NamedTuple):
    """How the core's own code stands."""

    slot: str
    """Empty: dpkg's own copy is what runs."""
    version: str
    """What dpkg calls what is in the slot."""
    wanted: str
    """What dpkg has, where that is not active and confirmed."""
    trial: Trial | None
    ended: list[Trial]
    problems: tuple[Problem, ...]


def read_core(paths: Paths) -> Core:
    """How it stands; what cannot be read is among its problems."""
    problems: tuple[Problem, ...] = ()
    trial = None
    try:
        trial = open_trial(paths)
    except AuroraError as error:
        problems = error.problems
    slot = active_slot(paths)
    return Core(slot, slot_version(paths, slot), wanted_version(paths), trial, ended_trials(paths), problems)


def _did_not_stay(core: Core) -> list[Trial]:
    """The last trial of each version that is refused."""
    refused = refused_digests(core.ended)
    return list({one.digest: one for one in core.ended if one.digest in refused}.values())


def lines(core: Core) -> list[str]:
    """One for the version that is tried, and one for the version that dpkg has and that is not active; mostly none."""
    if core.trial is not None:
        return [f"aurora-core: {core.trial.version} is tried since {render.moment(core.trial.begun_sec)}"]
    if not core.wanted:
        return []
    now = f"{core.version} is active" if core.slot else "what dpkg has runs from no slot"
    last = core.ended[-1] if core.ended else None
    known = last is not None and last.version == core.wanted and last.end is not CoreEnd.CONFIRMED
    ended = (
        f": it was {last.end}, {last.why}"
        if known and last is not None
        else ", which was not tried yet (journalctl -u aurora-core-trial)"
    )
    return [f"aurora-core: {now}, and dpkg has {core.wanted}{ended}"]


def document(core: Core) -> dict[str, object]:
    """The same as data."""
    return {
        "active": core.version or None,
        "slot": core.slot or None,
        "package": core.wanted or None,
        "trying": core.trial.version if core.trial is not None else None,
        "refused": [
            {"version": one.version, "why": one.why, "when_usec": one.ended_sec * 1_000_000, "digest": one.digest}
            for one in _did_not_stay(core)
        ],
    }


def history_row(one: Trial) -> tuple[str, ...]:
    """A row of the history; no module has a name with a space."""
    end = _ENDS.get(one.end, one.end) + (f": {one.why.splitlines()[0]}" if one.why else "")
    return (render.moment(one.begun_sec), "the core", one.version_before or "-", one.version, "-", "-", "-", "-", end)


def history_document(one: Trial) -> dict[str, object]:
    """A row of the history as data, with the keys of the others."""
    return {
        "id": one.id,
        "kind": "core",
        "state": "none",
        "end": _ENDS.get(one.end, one.end),
        "why": one.why or None,
        "begun_usec": one.begun_sec * 1_000_000,
        "ended_usec": one.ended_sec * 1_000_000,
        "window_usec": 0,
        "downtime_ms": 0,
        "modules": [],
        "from": one.version_before or None,
        "to": one.version,
    }
