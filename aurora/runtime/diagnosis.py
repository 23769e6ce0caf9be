"""Why a start failed, in words: systemd's result, the exit status, the last log lines and the denials."""

from __future__ import annotations

import signal
import time

from aurora.errors import Problem
from aurora.host.journal import denials, read_lines
from aurora.host.systemd import JobResult, Systemd
from aurora.plan import Plan

__all__ = ["diagnose", "now_usec", "result_words"]

LOG_LINES = 8
# Exit statuses that systemd itself gives before the program runs (systemd.exec(5), "Process exit codes").
_SETUP_STATUS = {
    200: "its working directory is not there (CHDIR)",
    203: "the program cannot be executed: it is missing, or its interpreter is (EXEC)",
    217: "its user cannot be made (USER)",
    218: "its capabilities cannot be set (CAPABILITIES)",
    226: "its view of the file system cannot be set up (NAMESPACE)",
    228: "its system call filter cannot be set up (SECCOMP)",
    231: "its AppArmor profile is not loaded (APPARMOR)",
    243: "one of its credentials cannot be read (CREDENTIALS)",
    238: "its state directory cannot be made (STATE_DIRECTORY)",
}
_RESULT = {
    "oom-kill": "it was killed for using more memory than memory_max",
    "timeout": "it was not ready in time",
    "watchdog": "it missed its watchdog",
    "protocol": "it ended before it said that it is ready",
    "start-limit-hit": "it was started too often",
    "resources": "the machine lacks the resources",
    "core-dump": "it crashed",
}
_REMEDY = {
    "timeout": "a longer start.timeout, or aurora.sdk.ready() when it is up",
    "protocol": "aurora.sdk.ready() in the program, or readiness exec in the manifest",
    "oom-kill": "a higher limits.memory_max",
}
_CLD_EXITED = 1


def result_words(result: str, code: int = 0, status: int = 0) -> str:
    """Systemd's Result= of a service, with the exit status, as a clause."""
    if result == "exit-code" and status in _SETUP_STATUS:
        return _SETUP_STATUS[status]
    if result in ("exit-code", "protocol") and code == _CLD_EXITED and status:
        return f"its program ended with status {status}"
    if result in ("signal", "core-dump") and status:
        try:
            return f"its program was killed by {signal.Signals(status).name}"
        except ValueError:
            return f"its program was killed by signal {status}"
    return _RESULT.get(result, f"its result is {result}")


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
        why = f"a module that it requires is not up ({', '.join(plan.requires)})"
    else:
        why = result_words(result, code, status) if result != "success" else f"its start job ended with {job.result}"
    lines = read_lines([f"_SYSTEMD_UNIT={plan.unit}"], last=LOG_LINES, since_usec=since_usec)
    if lines:
        why += "\n  its last lines were:" + "".join(f"\n    {line.message}" for line in lines)
    refused = denials(plan.profile, since_usec=since_usec) if plan.profile is not None else []
    if refused:
        why += "\n  AppArmor refused it:" + "".join(f"\n    {message}" for message in refused[-LOG_LINES:])
    remedy = _REMEDY.get(result, f"journalctl -u {plan.unit}")
    return Problem(what, why, plan.unit, remedy)


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def now_usec() -> int:
    """Now, in microseconds since the epoch."""
    return time.time_ns() // 1000
