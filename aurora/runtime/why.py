"""Why a module stands as it does: from its unit, and from its incidents."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from aurora.errors import AuroraError
from aurora.host.journal import STOPPED_MESSAGE_ID, read_entries
from aurora.host.show import show_units
from aurora.names import unit_name
from aurora.paths import Paths
from aurora.quantity import format_duration
from aurora.runtime.cause import Cause, CauseKind, explain
from aurora.runtime.damage import Checked, active_slot, check
from aurora.runtime.evidence import Evidence
from aurora.runtime.folders import known_grants, read_module
from aurora.runtime.incidents import read_incidents
from aurora.runtime.records import Record
from aurora.runtime.status import age_sec
from aurora.runtime.witness import Failure, witness

__all__ = ["Told", "Why", "explain_module"]

_PROPERTIES = ("ActiveState", "SubState", "Result", "NRestarts", "InvocationID", "StateChangeTimestamp")


class Told(NamedTuple):
    """An incident and its cause."""

    evidence: Evidence
    cause: Cause


class Why(NamedTuple):
    """The answer for one module."""

    cause: Cause
    """Why it stands as it does."""
    failure: Told | None
    """The failure that this comes from; None when it comes from none."""
    past: tuple[Told, ...]
    """All incidents that are kept, oldest first."""


_WITH_DAMAGE = {CauseKind.NEVER_STARTED: "is not started", CauseKind.ENDED: "ended by itself"}
"""Where nothing failed, and damaged files are the reason all the same: an empty program ends without an error."""


def explain_module(paths: Paths, record: Record) -> Why:
    """Why the module stands as it does now. Denied for a caller who may not read its incidents."""
    known, granted = known_grants(paths), _granted(paths, record)
    past = tuple(Told(one, explain(one, known=known, granted=granted)) for one in read_incidents(paths, record.name))
    fields = show_units([unit_name(record.name)], _PROPERTIES).get(unit_name(record.name), {})
    own = [one for one in past if not one.evidence.safe_state]
    standing = _standing(record, fields, own)
    if standing is not None and standing.kind not in _WITH_DAMAGE:
        return Why(standing, None, past)
    damaged = check(paths, active_slot(record))  # every byte of it: not read for one that is well
    if standing is not None:
        told = _damaged(damaged, _WITH_DAMAGE[standing.kind]) if damaged.damages else standing
        return Why(told, None, past)
    latest = own[-1] if own else None
    # What was recorded may be of an earlier run: failures that come in quick succession are not all written down.
    if latest is None or (fields.get("ActiveState") == "failed" and not _same(latest.evidence, fields)):
        evidence = witness(paths, record, Failure())
        latest = Told(evidence, explain(evidence, known=known, granted=granted))
    if damaged.damages:  # whatever it did, it did with other bytes than its author's
        return Why(_damaged(damaged, "fails"), latest, past)
    return Why(latest.cause, latest, past)


def _damaged(checked: Checked, verb: str) -> Cause:
    name = checked.slot.module
    return Cause(
        kind=CauseKind.DAMAGED,
        sentence=f"{name} {verb} while its files are damaged on disk: {checked.words}",
        remedy=f"auroractl update repair {name}, then auroractl restart {name}",
        patch=(),
    )


def _same(evidence: Evidence, fields: Mapping[str, str]) -> bool:
    return evidence.invocation == fields.get("InvocationID") and evidence.gave_up


def _standing(record: Record, fields: Mapping[str, str], past: list[Told]) -> Cause | None:
    """The cause where nothing failed; None where a failure is to be explained."""
    name, active = record.name, fields.get("ActiveState", "inactive")
    since = int(fields.get("StateChangeTimestamp", "").removeprefix("@") or 0)
    ago = f" for {format_duration(age_sec(since) * 1_000_000)}" if since else ""
    restarted = fields.get("NRestarts", "0") not in ("0", "")
    if active in ("active", "reloading", "refreshing") and not restarted:
        sentence = f"{name} is up{ago}, and has not failed since its start"
        return Cause(kind=CauseKind.HEALTHY, sentence=sentence, remedy="", patch=())
    if active == "activating" and fields.get("SubState") != "auto-restart" and not restarted:
        return Cause(kind=CauseKind.STARTING, sentence=f"{name} is being started{ago}", remedy="", patch=())
    if active in ("inactive", "deactivating") and fields.get("Result", "success") == "success":
        return _down(record, fields, since, past)
    return None


def _down(record: Record, fields: Mapping[str, str], since_sec: int, past: list[Told]) -> Cause | None:
    """Of one that is down and whose unit did not fail; None where a failure is known that explains it."""
    name = record.name
    remedy = f"auroractl start {name}" + ("" if record.enabled else f", or auroractl enable --now {name}")
    if since_sec:
        ago = f"{format_duration(age_sec(since_sec) * 1_000_000)} ago"
        about = [f"UNIT={unit_name(name)}", f"INVOCATION_ID={fields.get('InvocationID', '')}"]
        if read_entries([*about, f"MESSAGE_ID={STOPPED_MESSAGE_ID}"], last=1):
            sentence = f"{name} was stopped by its owner {ago}"
            return Cause(kind=CauseKind.STOPPED, sentence=sentence, remedy=remedy, patch=())
        sentence = f"{name} ended by itself and without an error {ago}, and is not to be started again then"
        return Cause(kind=CauseKind.ENDED, sentence=sentence, remedy=remedy, patch=())
    if past:
        return None  # its last start failed and was taken back, or it failed before the machine was booted
    sentence = f"{name} was never started since boot"
    if not record.enabled:
        sentence += ", and does not start at boot"
    return Cause(kind=CauseKind.NEVER_STARTED, sentence=sentence, remedy=remedy, patch=())


def _granted(paths: Paths, record: Record) -> tuple[str, ...]:
    try:
        return read_module(Path(record.folder(paths))).sandbox.grants
    except AuroraError:
        return ()
