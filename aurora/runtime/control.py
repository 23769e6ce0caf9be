"""start, stop, restart, enable and disable, for installed modules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aurora.errors import AuroraError, HostError, Problem
from aurora.host.files import locked, write_atomic
from aurora.host.systemd import Systemd
from aurora.identity import installed
from aurora.paths import Paths
from aurora.plan import Action, Plan, Step
from aurora.runtime.applied import applied_plan, read_running
from aurora.runtime.folders import Planner, read_module
from aurora.runtime.reconcile import Outcome, release, take_steps
from aurora.runtime.records import Record, require

__all__ = ["enable", "plan_of", "restart", "start", "stop"]

STOP_DEADLINE_SEC = 60.0


def plan_of(paths: Paths, planner: Planner, record: Record) -> Plan:
    """The plan of an installed module as it stands on disk now."""
    folder = record.folder(paths)
    manifest = read_module(Path(folder))
    if manifest.name != record.name:
        raise HostError("plan the module", f"its staged manifest names {manifest.name}", where=folder)
    return planner.plan(manifest, identity=installed(record.name), folder=folder, file=f"{folder}/module.toml")


def plans_of(paths: Paths, records: Sequence[Record]) -> dict[str, Plan]:
    """The plans of several modules; the error holds the problems of all that have none."""
    planner = Planner(paths)
    plans: dict[str, Plan] = {}
    problems: list[Problem] = []
    kind: type[AuroraError] = AuroraError
    for record in records:
        try:
            plans[record.name] = plan_of(paths, planner, record)
        except AuroraError as error:
            problems += error.problems
            kind = type(error)
    if problems:
        raise kind.of(problems)
    return plans


def start(paths: Paths, systemd: Systemd, names: Sequence[str]) -> list[Outcome]:
    """Start modules from their current plans; one that is up from any plan is left alone."""
    records = [require(paths, name) for name in dict.fromkeys(names)]
    with locked(paths.lock):
        plans = plans_of(paths, records)
        running = read_running(paths, systemd, plans)
        down = [name for name in plans if name not in running or not running[name].active]
        known = [name for name in down if name in running]
        same = frozenset(name for name in known if running[name].pinned and running[name].plan == plans[name])
        # A unit that is loaded from another plan holds its name: let it go first.
        release(paths, systemd, [name for name in known if name not in same], keep_profiles=down)
        systemd.reset_failed([plans[name].unit for name in sorted(same)])  # a start limit does not bind its owner
        steps = [Step(action=Action.START, module=name, plan=plans[name], before=None) for name in down]
        return take_steps(paths, systemd, steps, keep_failed=False, loaded=same)


def restart(paths: Paths, systemd: Systemd, names: Sequence[str]) -> list[Outcome]:
    """Stop modules and start them from their current plans; one that does not come up gets its old plan back."""
    records = [require(paths, name) for name in dict.fromkeys(names)]
    with locked(paths.lock):
        plans = plans_of(paths, records)
        steps = [
            Step(action=Action.REPLACE, module=name, plan=plan, before=_other(applied_plan(paths, name), plan))
            for name, plan in plans.items()
        ]
        return take_steps(paths, systemd, steps, keep_failed=False)


def _other(before: Plan | None, plan: Plan) -> Plan | None:
    """What there is to go back to: the same plan again would fail again."""
    return None if before == plan else before


def stop(paths: Paths, systemd: Systemd, names: Sequence[str]) -> None:
    """Stop modules; like systemctl stop, the unit stays loaded, so that systemctl start works on it."""
    units = [installed(require(paths, name).name).unit for name in dict.fromkeys(names)]
    with locked(paths.lock):
        jobs = systemd.stop(units, deadline_sec=STOP_DEADLINE_SEC)
    problems = [
        Problem("stop a module", f"systemd ended the job with {job.result} {job.message}".rstrip(), job.unit)
        for job in jobs.values()
        if not job.ok
    ]
    if problems:
        raise HostError.of(problems)


def enable(paths: Paths, names: Sequence[str], *, enabled: bool) -> list[str]:
    """Record whether modules start at boot; the names of those for which that is a change."""
    with locked(paths.lock):
        records = [require(paths, name) for name in dict.fromkeys(names)]
        changed = [record for record in records if record.enabled != enabled]
        for record in changed:
            new = record._replace(enabled=enabled)
            write_atomic(paths.records / record.name, new.to_bytes())
    return [record.name for record in changed]
