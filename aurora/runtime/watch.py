"""Looking at modules for a time after an update, against what they were before it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from aurora.emit import apparmor_text, service_properties
from aurora.errors import AuroraError
from aurora.host.apparmor import load_profiles
from aurora.host.cgroup import read_held_memory
from aurora.host.files import locked
from aurora.host.journal import FAILED_MESSAGE_ID, read_lines, settle
from aurora.host.screen import pause
from aurora.host.systemd import Systemd, Transient
from aurora.manifest import Update
from aurora.names import check_unit
from aurora.paths import Paths
from aurora.plan import SAFE_TIMEOUT_USEC, Plan, argv_of, check_plan
from aurora.plan.watch import Seen, regressions
from aurora.runtime.applied import UP
from aurora.runtime.diagnosis import diagnose, now_usec
from aurora.runtime.reconcile import check_lock
from aurora.runtime.volumes import mount_units

__all__ = ["Watched", "held_memory", "observe"]

LOOK_EVERY_SEC = 1.0
CHECK_MARGIN_SEC = 60.0
"""Beyond a check's own time: for systemd and a slow machine."""
MISSES_MAX = 50
"""Notes of systemd that are read of one module."""


class Watched(NamedTuple):
    """A module that is looked at."""

    plan: Plan
    rules: Update
    memory_before_bytes: int | None


def held_memory(paths: Paths, plan: Plan) -> int | None:
    """What the module holds of memory; None when it has no process, or the kernel does not say."""
    return read_held_memory(f"/aurora.slice/{plan.slice}/{plan.unit}", root=paths.prefix)


def observe(
    paths: Paths, systemd: Systemd, watched: Sequence[Watched], *, window_usec: int, decided: Callable[[], bool]
) -> Mapping[str, tuple[str, ...]]:
    """Look at modules until the window is over, one of them is worse, or it was `decided` otherwise; then check them.

    In what each is worse; empty when none is, or it was decided.
    """
    since_usec = now_usec()
    if not window_usec:  # only that they came up: what they hold at that moment says nothing
        watched = [one._replace(memory_before_bytes=None) for one in watched]
    until_sec = time.monotonic() + window_usec / 1_000_000
    looks: dict[str, list[Seen]] = {one.plan.module: [] for one in watched}
    while True:
        left_sec = until_sec - time.monotonic()
        if decided():
            return {}
        if found := _worse(paths, systemd, watched, looks, over=left_sec <= 0, since_usec=since_usec):
            return found
        if left_sec <= 0:
            break
        pause(min(LOOK_EVERY_SEC, left_sec))
    return {one.plan.module: (why,) for one in watched if (why := _checked(paths, systemd, one))}


def _worse(
    paths: Paths,
    systemd: Systemd,
    watched: Sequence[Watched],
    looks: Mapping[str, list[Seen]],
    *,
    over: bool,
    since_usec: int,
) -> dict[str, tuple[str, ...]]:
    found = {}
    if over and any("WatchdogSec" in one.plan.settings for one in watched):
        settle()
    for plan, rules, memory_before_bytes in watched:
        seen = looks[plan.module]
        seen.append(_look(paths, systemd, plan))
        del seen[:-10]  # no more are ever asked for
        why = regressions(
            seen,
            restarts_max=rules.restarts_max,
            memory_before_bytes=memory_before_bytes,
            memory_growth_bytes=rules.memory_growth_bytes,
            over=over,
            watchdog_misses=_watchdog_misses(plan, since_usec) if over else 0,
        )
        if why:
            found[plan.module] = why
    return found


def _look(paths: Paths, systemd: Systemd, plan: Plan) -> Seen:
    up = {row.name for row in systemd.list_units([plan.started, plan.unit]) if row.active in UP}
    result = systemd.get(plan.unit, "Service", "Result", "s")
    restarts = systemd.get(plan.unit, "Service", "NRestarts", "u")
    return Seen(
        # A run of a schedule that failed leaves its timer waiting.
        up=plan.started in up and not (plan.timer and result != "success"),
        result=str(result),
        restarts=restarts if isinstance(restarts, int) else 0,
        memory_bytes=held_memory(paths, plan),
    )


def _watchdog_misses(plan: Plan, since_usec: int) -> int:
    """How often systemd noted one: the next start takes the result away before it is looked at."""
    if "WatchdogSec" not in plan.settings:
        return 0
    matches = [f"MESSAGE_ID={FAILED_MESSAGE_ID}", f"UNIT={plan.unit}"]
    lines = read_lines(matches, last=MISSES_MAX, since_usec=since_usec)
    return sum(line.unit_result == "watchdog" and line.realtime_usec >= since_usec for line in lines)


def _checked(paths: Paths, systemd: Systemd, one: Watched) -> str:
    """Run the module's own check; why it did not end well, or nothing."""
    if one.rules.check is None:
        return ""
    check = check_plan(one.plan, argv_of(one.rules.check, one.plan.folder))
    unit = check_unit(one.plan.module)
    since_usec = now_usec()
    try:
        systemd.stop([unit], deadline_sec=CHECK_MARGIN_SEC)  # of a command that was killed
        systemd.reset_failed([unit])
        with locked(check_lock(paths, one.plan.module)):  # its profile is not taken away meanwhile
            if check.profile is not None:
                load_profiles(paths, {check.profile: apparmor_text(one.plan)})
            wanted = Transient(unit, service_properties(check), beside=mount_units(systemd, check))
            job = systemd.start_transient([wanted], deadline_sec=SAFE_TIMEOUT_USEC / 1_000_000 + CHECK_MARGIN_SEC)[unit]
        return "" if job.ok else f"its check failed: {diagnose(systemd, check, job, since_usec=since_usec).why}"
    except AuroraError as error:
        return f"its check cannot be run: {error.problems[0].why}"
