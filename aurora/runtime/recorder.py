"""What is done when a module has failed: its safe state first, then the record. Light: a storm of failures runs it."""

from __future__ import annotations

from aurora.errors import AuroraError
from aurora.host.show import show_units
from aurora.names import unit_name
from aurora.paths import Paths
from aurora.runtime.given import read_given
from aurora.runtime.incidents import hold_back, read_incidents, remember_incident
from aurora.runtime.records import read_record
from aurora.runtime.safe_request import request_safe_state
from aurora.runtime.witness import Failure, witness

__all__ = ["record_incident"]


def record_incident(paths: Paths, instance: str, failure: Failure) -> str:
    """What units/aurora-incident@.service does when a module, or the safe state NAME.safe, has failed.

    Nothing that goes wrong with the record keeps the safe state from being started. What was done, for the journal.
    """
    name, dot, _ = instance.partition(".")
    record = read_record(paths, name)
    if record is None or not record.installed:
        return f"{name} is not installed"
    done = []
    if not dot:
        try:
            if (reason := request_safe_state(paths, name, failure)) is not None:
                done.append(f"its safe state is started ({reason})")
        except AuroraError as error:
            done.append(f"its safe state could not be started: {error}")
    try:
        if not failure.result and not dot and _recorded(paths, name):
            return "; ".join(done)
        evidence = witness(paths, record, failure, safe_state=bool(dot))
        written = remember_incident(paths, evidence)
        if written:
            done.append(f"recorded; auroractl why {name} explains it")
        repeated = not written or read_incidents(paths, name)[-1].times > 1
        if repeated and not (dot or evidence.gave_up or _needs_each_failure(paths, name)):
            hold_back(paths, evidence)
    except AuroraError as error:
        done.append(f"the incident could not be recorded: {error}")
    return "; ".join(done)


def _needs_each_failure(paths: Paths, name: str) -> bool:
    """Whether each failure must be looked at, as it may call for a safe state."""
    given = read_given(paths, name)
    return given is None or given.has_safe_state


def _recorded(paths: Paths, name: str) -> bool:
    """Whether the run at which systemd gave the module up has its record: the hook looks twice."""
    kept = read_incidents(paths, name)
    if not kept or not kept[-1].gave_up:
        return False
    unit = show_units([unit_name(name)], ("InvocationID",)).get(unit_name(name), {})
    return kept[-1].invocation == unit.get("InvocationID")
