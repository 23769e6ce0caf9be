"""start, stop, restart, enable and disable, for installed modules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from aurora.errors import AuroraError, HostError, InputError, NotFound, Problem
from aurora.host.files import locked, write_atomic
from aurora.host.systemd import Systemd
from aurora.identity import installed
from aurora.manifest import MANIFEST_FILE, OLDER_FILE, Manifest
from aurora.names import timer_name
from aurora.paths import Paths
from aurora.plan import Action, Plan, Running, Step, find_cycle
from aurora.runtime.applied import applied_plan, read_running
from aurora.runtime.damage import active_slot, check, check_files, damage_problem, programs_of
from aurora.runtime.folders import Planner, owner_file, read_module
from aurora.runtime.inventory import known_inventory
from aurora.runtime.reconcile import Outcome, take_steps
from aurora.runtime.records import Record, read_record, require

__all__ = [
    "check_order",
    "cycle_problem",
    "enable",
    "missing_module",
    "plan_of",
    "restart",
    "start",
    "stop",
    "stop_units",
    "with_required",
]

STOP_DEADLINE_SEC = 60.0


def plan_of(paths: Paths, planner: Planner, record: Record) -> Plan:
    """The plan of an installed module as it stands on disk now; HostError where its manifest or program is damaged."""
    folder = record.folder(paths)
    manifest = _whole_manifest(paths, record)
    if manifest.name != record.name:
        raise HostError("plan the module", f"its staged manifest names {manifest.name}", where=folder)
    return planner.plan(manifest, identity=installed(record.name), folder=folder, file=f"{folder}/module.toml")


def _whole_manifest(paths: Paths, record: Record) -> Manifest:
    inventory = known_inventory(paths, record.name, record.slot, record.source_digest)
    check_files(paths, record, inventory, (MANIFEST_FILE, OLDER_FILE))
    try:
        manifest = read_module(Path(record.folder(paths)), owner=owner_file(paths, record.name))
    except (InputError, NotFound) as error:
        checked = check(paths, active_slot(record), read=())
        if checked.damages:  # which is why
            raise HostError.of([damage_problem(paths, checked, "start")]) from error
        raise
    check_files(paths, record, inventory, programs_of(manifest))
    return manifest


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


def with_required(
    paths: Paths, plans: Mapping[str, Plan], *, known: Mapping[str, Plan] | None = None
) -> dict[str, Plan]:
    """The plans, and those of all modules that they require, and these in turn, taken from `known` where it has them.

    NotFound, naming each, when one of them is not installed; InputError when they are after one another in a circle.
    """
    found = dict(plans)
    problems = []
    pending = list(plans.values())
    while pending:
        plan = pending.pop()
        for name in plan.requires:
            record = read_record(paths, name)
            if record is None or not record.installed:
                problems.append(missing_module(plan.module, name))
            elif name not in found:
                found |= {name: known[name]} if known and name in known else plans_of(paths, [record])
                pending.append(found[name])
    if problems:
        raise NotFound.of(problems)
    check_order({name: plan.after for name, plan in found.items()})
    return found


def missing_module(module: str, other: str) -> Problem:
    """The problem of a module that requires one which is not installed."""
    why = f"it requires the module {other}, which is not installed"
    return Problem(f"run the module {module}", why, "key order.requires", f"installing {other} first")


def check_order(after: Mapping[str, Iterable[str]]) -> None:
    """InputError when modules are after one another in a circle, which it names."""
    if cycle := find_cycle(after):
        raise InputError.of([cycle_problem(cycle)])


def cycle_problem(cycle: Sequence[str]) -> Problem:
    """The problem of modules that are after one another in a circle."""
    why = "each of these starts after the next: " + " -> ".join((*cycle, cycle[0]))
    return Problem("order the modules", why, "[order] of their manifests", f"taking {cycle[-1]} out of {cycle[-2]}'s")


def start(paths: Paths, systemd: Systemd, names: Sequence[str]) -> list[Outcome]:
    """Start modules from their current plans, with all that they require; one that is up is left alone."""
    records = [require(paths, name) for name in dict.fromkeys(names)]
    with locked(paths.lock):
        plans = with_required(paths, plans_of(paths, records))
        running = read_running(paths, systemd, plans)
        down = [name for name in plans if name not in running or not running[name].active]
        same = frozenset(_same(plans, running)) & frozenset(down)
        systemd.reset_failed(
            [unit for name in sorted(same) for unit in {plans[name].unit, plans[name].started}]
        )  # a start limit does not bind its owner
        steps = [Step(action=Action.START, module=name, plan=plans[name], before=None) for name in down]
        return take_steps(paths, systemd, steps, keep_failed=False, loaded=same)


def restart(paths: Paths, systemd: Systemd, names: Sequence[str]) -> list[Outcome]:
    """Stop modules and start them from their current plans; one that does not come up gets its old plan back."""
    records = [require(paths, name) for name in dict.fromkeys(names)]
    with locked(paths.lock):
        plans = plans_of(paths, records)
        same = frozenset(_same(plans, read_running(paths, systemd, plans)))
        steps = [
            Step(action=Action.REPLACE, module=name, plan=plan, before=_other(applied_plan(paths, name), plan))
            for name, plan in plans.items()
        ]
        return take_steps(paths, systemd, steps, keep_failed=False, loaded=same)


def _same(plans: Mapping[str, Plan], running: Mapping[str, Running]) -> list[str]:
    """The modules whose unit systemd has from this very plan."""
    return [
        name
        for name, plan in plans.items()
        if name in running and running[name].pinned and running[name].loaded and running[name].plan == plan
    ]


def _other(before: Plan | None, plan: Plan) -> Plan | None:
    """What there is to go back to: the same plan again would fail again."""
    return None if before == plan else before


def stop(paths: Paths, systemd: Systemd, names: Sequence[str]) -> None:
    """Stop modules; like systemctl stop, the unit stays loaded, so that systemctl start works on it."""
    known = [require(paths, name).name for name in dict.fromkeys(names)]
    with locked(paths.lock):
        stop_units(systemd, [unit for name in known for unit in (timer_name(name), installed(name).unit)])


def stop_units(systemd: Systemd, units: Sequence[str]) -> None:
    """Stop units, which stay loaded; HostError with the problems of all that are not stopped."""
    jobs = systemd.stop(units, deadline_sec=STOP_DEADLINE_SEC) if units else {}
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
