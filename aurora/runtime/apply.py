"""The machine, made equal to what is installed and enabled: at boot, on reload, after dpkg."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from aurora.errors import AuroraError, Problem
from aurora.host.apparmor import loaded_profiles, unload_profiles
from aurora.host.files import locked
from aurora.host.systemd import Systemd
from aurora.identity import LEARNING_PROFILES
from aurora.paths import Paths
from aurora.plan import Plan, changes, find_cycle
from aurora.plan.update import Transaction
from aurora.runtime.applied import UP, read_running
from aurora.runtime.control import cycle_problem, plan_of, with_required
from aurora.runtime.folders import Planner
from aurora.runtime.install import finish_removals, sweep
from aurora.runtime.packages import take_in_packages
from aurora.runtime.reconcile import Outcome, take_steps
from aurora.runtime.records import Removal, read_records
from aurora.runtime.repair import Mended, mend_for_start
from aurora.runtime.update import finish_interrupted
from aurora.runtime.updates import read_transactions
from aurora.runtime.windows import opening_sec, wake

__all__ = ["Applied", "apply"]


class Applied(NamedTuple):
    """What `apply` did."""

    removed: list[str]
    staged: list[str]
    """Modules that a package brought or changed."""
    outcomes: list[Outcome]
    problems: list[Problem]
    """Modules that could not be taken in, removed or planned; they were left as they are."""
    warnings: Sequence[Problem] = ()
    """What the owner wants only to be warned of."""
    withheld: Sequence[str] = ()
    """Modules whose package has a version that is refused, or that their owner holds."""
    resumed: Transaction | None = None
    """An update that was interrupted, as it ended."""
    waiting: Sequence[str] = ()
    """Modules whose package has a version that waits for a window of their owner's."""
    opens_sec: int | None = None
    """When that opens, in seconds since the epoch."""
    purged: Sequence[str] = ()
    """Of those removed the modules whose state is gone, too."""
    mended: Sequence[tuple[str, Mended]] = ()
    """Modules and slots in which damaged files were found, and mended."""


def apply(paths: Paths, systemd: Systemd, *, at_once: Collection[str] = ()) -> Applied:
    """Finish removals, take in packages, start what is enabled and not up, restart what changed and only that.

    First of all an update that was interrupted is ended. Outside the owner's windows new versions wait, but for those
    of the modules `at_once`, and this is run again when one opens. Before anything is started, files of slots that are
    damaged are mended (`repair.mend_for_start`). A module that cannot be removed or planned or does not come up does
    not keep the others from theirs.
    """
    resumed, unfinished = _finish_update(paths, systemd)
    with locked(paths.lock):
        opens_sec = _opening(paths)
        taken = take_in_packages(paths, closed=opens_sec is not None, at_once=at_once)
        problems = [*taken.problems, *unfinished]
        removed, left = finish_removals(paths, systemd)
        problems += left
        running = read_running(paths, systemd)
        up = [one for one in read_records(paths) if one.installed and (one.enabled or one.name in running)]
        mended, damaged = mend_for_start(paths, up)
        problems += damaged.values()
        wanted: dict[str, Plan] = {}
        planner = Planner(paths)
        for record in up:
            try:
                wanted[record.name] = plan_of(paths, planner, record)
            except AuroraError as error:
                problems += [] if record.name in damaged else error.problems
                running.pop(record.name, None)  # what cannot be planned is left as it is
        wanted, faulty = _startable(paths, wanted)
        for name, faults in faulty.items():
            problems += [fault for fault in faults if fault not in problems]
            running.pop(name, None)
        outcomes = take_steps(paths, systemd, changes(wanted, running), keep_failed=True)
        problems += _wake(systemd, opens_sec if taken.waiting else None)
        _forget_learning(paths, systemd)
        try:
            sweep(paths)  # last: what was replaced has just been let go
        except AuroraError as error:
            problems += [problem for problem in error.problems if problem not in problems]
        warnings, withheld = tuple(taken.warnings), tuple(taken.withheld)
        purged = tuple(record.name for record in removed if record.removal == Removal.PURGING)
        names = [record.name for record in removed]
        done = Applied(names, taken.staged, outcomes, problems, warnings, withheld, resumed)
        return done._replace(waiting=tuple(taken.waiting), opens_sec=opens_sec, purged=purged, mended=tuple(mended))


def _opening(paths: Paths) -> int | None:
    """When a window opens; None while one is open, and where the settings cannot be read, which lets nothing in."""
    try:
        return opening_sec(paths)
    except AuroraError:
        return None  # whoever asks whether a package is accepted says what is wrong with them


def _wake(systemd: Systemd, at_sec: int | None) -> Sequence[Problem]:
    try:
        wake(systemd, at_sec)
    except AuroraError as error:
        return error.problems
    return ()


def _finish_update(paths: Paths, systemd: Systemd) -> tuple[Transaction | None, list[Problem]]:
    """End an update that was interrupted; what keeps it from that, and what cannot be read, keeps nothing else."""
    found, problems = read_transactions(paths)
    if not any(one.open for one in found):
        return None, problems
    try:
        return finish_interrupted(paths, systemd, lambda _words: None), problems
    except AuroraError as error:
        return None, [*problems, *error.problems]


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


def _forget_learning(paths: Paths, systemd: Systemd) -> None:
    """Take away the profiles of learning runs that are over and whose command was killed, and their failed units."""
    left = {one for one in loaded_profiles(paths) if one.startswith(LEARNING_PROFILES) and "//" not in one}
    if not left:
        return
    units = systemd.list_units(["aurora-learn-*.service"])
    if not any(row.active in UP for row in units):
        unload_profiles(paths, frozenset(left))
        systemd.reset_failed([row.name for row in units])
