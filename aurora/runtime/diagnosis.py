"""Why a start failed, in words: systemd's result, the exit status, the last log lines and the denials."""

from __future__ import annotations

import time

from aurora.errors import Problem
from aurora.host.journal import denials, read_lines
from aurora.host.systemd import JobResult, Systemd
from aurora.plan import Plan
from aurora.runtime.results import REMEDY, result_words
from aurora.text import visible

__all__ = ["diagnose", "now_usec"]

LOG_LINES = 8


def diagnose(systemd: Systemd, plan: Plan, job: JobResult, *, since_usec: int) -> Problem:
    """The problem to report for a start whose job did not end well.

    Reads the unit, so it comes before the unit is released. `since_usec` is when the start began (epoch).
    """
    what = f"start the module {plan.module}"
    if job.message:
        return Problem(what, f"systemd refused it: {job.message}", plan.unit)
    result = str(systemd.get(plan.unit, "Service", "Result", "s"))
    code = _number(systemd.get(plan.unit, "Service", "ExecMainCode", "i"))
    status = _number(systemd.get(plan.unit, "Service", "ExecMainStatus", "i"))
    if job.result == "dependency":
        why = _dependency_words(systemd, plan)
    else:
        why = result_words(result, code, status) if result != "success" else f"its start job ended with {job.result}"
    lines = read_lines([f"_SYSTEMD_UNIT={plan.unit}"], last=LOG_LINES, since_usec=since_usec)
    if lines:
        why += "\n  its last lines were:" + "".join(f"\n    {visible(line.message)}" for line in lines)
    refused = denials(plan.profile, since_usec=since_usec) if plan.profile is not None else []
    if refused:
        why += "\n  AppArmor refused it:" + "".join(f"\n    {visible(message)}" for message in refused[-LOG_LINES:])
    remedy = REMEDY.get(result, f"journalctl -u {plan.unit}")
    return Problem(what, why, plan.unit, remedy)


def _dependency_words(systemd: Systemd, plan: Plan) -> str:
    """Which of the units that it cannot do without is not up."""
    for volume in plan.volumes:
        if systemd.get(volume.unit, "Unit", "ActiveState", "s") != "active":
            said = read_lines([f"_SYSTEMD_UNIT={volume.unit}"], last=1)
            words = f": {said[0].message}" if said else f" (journalctl -u '{volume.unit}')"
            return f"its {volume.directory} directory cannot be mounted{words}"
    return f"a module that it requires is not up ({', '.join(plan.requires)})"


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def now_usec() -> int:
    """Now, in microseconds since the epoch."""
    return time.time_ns() // 1000
