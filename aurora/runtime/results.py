"""What systemd's results and exit statuses mean, in words, and what to do about them: one table. Pure."""

from __future__ import annotations

import signal

__all__ = ["REMEDY", "SETUP_STATUS", "result_words", "signal_name"]

# Exit statuses that systemd itself gives before the program runs (systemd.exec(5), "Process exit codes").
SETUP_STATUS = {
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
REMEDY = {
    "timeout": "a longer start.timeout, or aurora.sdk.ready() when it is up",
    "protocol": "aurora.sdk.ready() in the program, or readiness exec in the manifest",
    "oom-kill": "a higher limits.memory_max",
}
_CLD_EXITED = 1


def result_words(result: str, code: int = 0, status: int = 0) -> str:
    """Systemd's Result= of a service, with the exit status, as a clause."""
    if result == "exit-code" and status in SETUP_STATUS:
        return SETUP_STATUS[status]
    if result in ("exit-code", "protocol") and code == _CLD_EXITED and status:
        return f"its program ended with status {status}"
    if result in ("signal", "core-dump") and status:
        return f"its program was killed by {signal_name(status)}"
    return _RESULT.get(result, f"its result is {result}")


def signal_name(number: int) -> str:
    """SIGKILL for 9; a plain number where there is no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
