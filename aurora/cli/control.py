"""start, stop, restart, enable, disable."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

from aurora.cli import render
from aurora.host.dbus import connect
from aurora.paths import Paths
from aurora.runtime import control
from aurora.runtime.reconcile import Outcome, raise_failures

__all__ = ["disable", "enable", "report", "restart", "start", "stop"]


def report(outcomes: Sequence[Outcome], verb: str) -> None:
    """Say what was done; StartFailed when something was not."""
    for outcome in outcomes:
        if outcome.problem is None:
            plan = outcome.step.plan
            lacking = f" (not enforced here: {', '.join(plan.unenforced)})" if plan and plan.unenforced else ""
            render.tell(f"{outcome.step.module} {verb}{lacking}")
        elif outcome.taken_back:
            render.tell(f"{outcome.step.module} runs as it was before")
    raise_failures(outcomes)


def start(arguments: SimpleNamespace) -> int:
    """`auroractl start NAME…`."""
    outcomes = control.start(Paths(), connect(), arguments.names)
    up_already = [name for name in arguments.names if name not in {one.step.module for one in outcomes}]
    for name in up_already:
        render.tell(f"{name} is up already")
    report(outcomes, "started")
    return 0


def restart(arguments: SimpleNamespace) -> int:
    """`auroractl restart NAME…`."""
    report(control.restart(Paths(), connect(), arguments.names), "restarted")
    return 0


def stop(arguments: SimpleNamespace) -> int:
    """`auroractl stop NAME…`."""
    control.stop(Paths(), connect(), arguments.names)
    for name in arguments.names:
        render.tell(f"{name} stopped")
    return 0


def enable(arguments: SimpleNamespace) -> int:
    """`auroractl enable NAME…`."""
    _record(arguments.names, enabled=True)
    return start(arguments) if arguments.now else 0


def disable(arguments: SimpleNamespace) -> int:
    """`auroractl disable NAME…`."""
    _record(arguments.names, enabled=False)
    return stop(arguments) if arguments.now else 0


def _record(names: Sequence[str], *, enabled: bool) -> None:
    changed = control.enable(Paths(), names, enabled=enabled)
    word = "starts" if enabled else "does not start"
    for name in dict.fromkeys(names):
        render.tell(f"{name} {word} at boot" + ("" if name in changed else ", as before"))
