"""Bringing a module into its safe state: its command, boxed as the module itself, or another module."""

from __future__ import annotations

import time
from collections.abc import Callable

from aurora.emit import apparmor_text, service_properties
from aurora.errors import AuroraError, StartFailed
from aurora.host.apparmor import load_profiles
from aurora.host.files import locked, write_atomic
from aurora.host.systemd import JobResult, Systemd, Transient
from aurora.paths import Paths
from aurora.plan import SAFE_TIMEOUT_USEC, Plan, safe_plan, without_volumes
from aurora.runtime.applied import applied_plan
from aurora.runtime.control import plan_of, start
from aurora.runtime.diagnosis import diagnose, now_usec
from aurora.runtime.folders import Planner
from aurora.runtime.reconcile import raise_failures, safe_lock
from aurora.runtime.records import Record
from aurora.runtime.saferuns import SafeRun, read_safe_run
from aurora.runtime.volumes import mount_units

__all__ = ["enter_safe_state"]

DEADLINE_SEC = SAFE_TIMEOUT_USEC / 1_000_000 + 60


def enter_safe_state(paths: Paths, systemd: Systemd, record: Record) -> str:
    """Run the safe state of a module to its end; what was done. StartFailed when it failed."""
    plan = applied_plan(paths, record.name)
    if plan is None:
        # It was let go after its failure: what is installed counts. A start that was taken back is not for good where
        # systemd would have gone on trying.
        plan = plan_of(paths, Planner(paths), record)
        if plan.settings.get("Restart") != "no":
            return "its start was taken back"
    if plan.safe_module:
        other = plan.safe_module
        _noted(paths, record.name, lambda: raise_failures(start(paths, systemd, [other])))
        return f"{other} is up"
    if plan.safe_command:
        with locked(safe_lock(paths, record.name)):
            _noted(paths, record.name, lambda: _run_command(paths, systemd, plan))
        return "its command ended well"
    return "it has none"


def _run_command(paths: Paths, systemd: Systemd, plan: Plan) -> None:
    safe = safe_plan(plan)
    if safe.profile is not None:
        load_profiles(paths, {safe.profile: apparmor_text(plan)})
    since_usec = now_usec()
    job = _start(systemd, safe)
    if job.result == "dependency" and safe.volumes:
        # That it can't be given what the module has stored must not keep it from being done.
        job = _start(systemd, without_volumes(safe))
    if not job.ok:
        problem = diagnose(systemd, safe, job, since_usec=since_usec)
        raise StartFailed.of([problem._replace(what=f"run the safe state of {plan.module}")])


def _start(systemd: Systemd, safe: Plan) -> JobResult:
    wanted = Transient(safe.unit, service_properties(safe), beside=mount_units(systemd, safe))
    return systemd.start_transient([wanted], deadline_sec=DEADLINE_SEC)[safe.unit]


def _noted(paths: Paths, module: str, act: Callable[[], None]) -> None:
    """Do it, and note for `status` how it ended."""
    try:
        act()
    except AuroraError:
        _note(paths, module, "badly")
        raise
    _note(paths, module, "well")


def _note(paths: Paths, module: str, ended: str) -> None:
    before = read_safe_run(paths, module)
    asked = before is not None and before.ended == "not yet"
    because = before.because if before is not None and asked else "failed"
    try:
        note = SafeRun(when_sec=int(time.time()), because=because, ended=ended)
        write_atomic(paths.safe_runs / module, note.to_bytes())
    except AuroraError:
        pass  # it has run, and that is what counts
