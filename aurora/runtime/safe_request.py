"""When a module is brought into its safe state; `safe_state` does it. Light: it must come quickly.

When: it failed for good (systemd does not start it again), it missed its watchdog, or it was stopped by force. Not at a
crash that systemd answers with a restart, and not at a stop that it obeyed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from aurora.errors import AuroraError
from aurora.host.files import write_atomic
from aurora.host.process import run
from aurora.host.show import show_units
from aurora.names import safe_hook_unit, unit_name
from aurora.paths import Paths
from aurora.runtime.given import read_given
from aurora.runtime.saferuns import SafeRun
from aurora.runtime.witness import Failure, failures_since

__all__ = ["reason_for_safe_state", "request_safe_state"]

_PROPERTIES = ("ActiveState", "Result", "InvocationID", "NRestarts")


def reason_for_safe_state(failure: Failure, unit: Mapping[str, str], *, restarts: bool) -> str | None:
    """Why a failure calls for the safe state, in a word; None when it does not. Pure.

    `unit` holds the properties of the module's unit now: it may have been started again since, or be gone. `restarts`
    is whether systemd starts the module again by itself.
    """
    if "watchdog" in (failure.result, unit.get("Result")):
        return "watchdog"
    if unit.get("ActiveState") == "failed":
        return "failed"
    another = unit.get("InvocationID", "") != failure.invocation
    if failure.result not in ("", "success") and another and not restarts:
        return "failed"  # its owner's command has let it go, or started it again, before we came to look
    if failure.result == "timeout" and another and unit.get("ActiveState") == "active" and unit["NRestarts"] == "0":
        return "forced"  # it did not obey, was killed, and its owner's command has started it again
    return None


def request_safe_state(paths: Paths, module: str, failure: Failure) -> str | None:
    """Decide, and have systemd start the module's safe state without waiting for it; the reason when it does.

    Once for each run of the module that failed. Nothing that cannot be written keeps it from being started. Where the
    plan was let go already, what starts looks at what is installed, and whether this was for good.
    """
    given = read_given(paths, module)
    if given is not None and not given.has_safe_state:
        return None
    unit = show_units([unit_name(module)], _PROPERTIES).get(unit_name(module), {})
    decided = _decided(paths, module)
    restarts = given is not None and given.settings.get("restart") != "no"
    reason = reason_for_safe_state(failure, unit, restarts=restarts)
    if reason is None:
        # A hang that systemd answered before we came to look: the journal has it.
        missed = [one for one in failures_since(unit_name(module), decided) if one.result == "watchdog"]
        if not missed:
            return None
        reason, failure = "watchdog", missed[-1]
    invocation = failure.invocation or unit.get("InvocationID", "")
    if invocation and decided == invocation:
        return None
    run(["systemctl", "--no-block", "start", safe_hook_unit(module)], timeout_sec=60)
    try:
        write_atomic(paths.safe_decisions / module, invocation.encode(), durable=False)
        if given is not None:
            note = SafeRun(when_sec=int(time.time()), because=reason, ended="not yet")
            write_atomic(paths.safe_runs / module, note.to_bytes())
    except AuroraError:
        pass  # it is started, and that is what counts
    return reason


def _decided(paths: Paths, module: str) -> str:
    """The run of the module for which its safe state was started last."""
    try:
        return (paths.safe_decisions / module).read_text()
    except OSError:
        return ""
