"""The machine, made equal to what is installed and enabled: at boot, on reload, after dpkg."""

from __future__ import annotations

from typing import NamedTuple

from aurora.errors import AuroraError, Problem
from aurora.host.files import locked
from aurora.host.systemd import Systemd
from aurora.paths import Paths
from aurora.plan import Plan, changes, find_cycle
from aurora.runtime.applied import read_running
from aurora.runtime.control import cycle_problem, plan_of, with_required
from aurora.runtime.folders import Planner
from aurora.runtime.install import finish_removals, sweep
from aurora.runtime.packages import take_in_packages
from aurora.runtime.reconcile import Outcome, take_steps
from aurora.runtime.records import read_records

__all__ = ["Applied", "apply"]


class Applied(NamedTuple):
    """What `apply` did."""

    removed: list[str]
    staged: list[str]
    """Modules that a package brought or changed."""
    outcomes: list[Outcome]
    problems: list[Problem]
    """Modules that could not be taken in, removed or planned; they were left as they are."""


def apply(paths: Paths, systemd: Systemd) -> Applied:
    """Finish removals, take in packages, start what is enabled and not up, restart what changed and only that.

    A module that cannot be removed or planned or does not come up does not keep the others from theirs.
    """
    with locked(paths.lock):
        staged, problems = take_in_packages(paths)
        removed, left = finish_removals(paths, systemd)
        problems += left
        running = read_running(paths, systemd)
        wanted: dict[str, Plan] = {}
        planner = Planner(paths)
        for record in read_records(paths):
            if not record.installed or not (record.enabled or record.name in running):
                continue
            try:
                wanted[record.name] = plan_of(paths, planner, record)
            except AuroraError as error:
                problems += error.problems
                running.pop(record.name, None)  # what cannot be planned is left as it is
        wanted, faulty = _startable(paths, wanted)
        for name, faults in faulty.items():
            problems += [fault for fault in faults if fault not in problems]
            running.pop(name, None)
        outcomes = take_steps(paths, systemd, changes(wanted, running), keep_failed=True)
        try:
            sweep(paths)  # last: what was replaced has just been let go
        except AuroraError as error:
            problems += [problem for problem in error.problems if problem not in problems]
        return Applied(removed, staged, outcomes, problems)


def _startable(paths: Paths, wanted: dict[str, Plan]) -> tuple[dict[str, Plan], dict[str, list[Problem]]]:
    """The plans that can be started, with those that they require; and the problems of each module that cannot."""
    problems: dict[str, list[Problem]] = {}
    found: dict[str, Plan] = {}
    for name, plan in wanted.items():
        try:
            found |= with_required(paths, {name: plan}, known={**wanted, **found})
        except AuroraError as error:
            problems[name] = list(error.problems)
    while cycle := find_cycle({name: plan.after for name, plan in found.items()}):
        problem = cycle_problem(cycle)
        for name in cycle:
            problems[name] = [problem]
            del found[name]
    return found, problems
