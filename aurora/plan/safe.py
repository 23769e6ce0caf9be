"""A plan -> the plan of its safe state: the same sandbox and limits around another program, once."""

from __future__ import annotations

from dataclasses import replace

from aurora.directives import Value
from aurora.names import incident_unit, safe_unit
from aurora.plan.model import Plan

__all__ = ["SAFE_TIMEOUT_USEC", "safe_plan"]

SAFE_TIMEOUT_USEC = 90_000_000
"""A safe state that takes longer is ended, and has failed."""

_KEPT_OUT = frozenset(
    {
        # It is not started again, says nothing to systemd, and waits for no other module.
        "RestartSec", "RestartSteps", "RestartMaxDelaySec", "StartLimitBurst", "WatchdogSec", "NotifyAccess",
        "After", "Before", "Requires", "Wants", "BindsTo", "RemainAfterExit",
        # It would be removed when this ends, and the module may have been started again by then.
        "RuntimeDirectory", "RuntimeDirectoryMode",
    }
)  # fmt: skip


def safe_plan(plan: Plan) -> Plan:
    """What runs `safe_command`, as a oneshot unit of its own; ValueError for a plan that has none.

    It stands in aurora.slice: the module's own slice comes and goes with the module.
    """
    if not plan.safe_command:
        raise ValueError(f"the plan of {plan.module} has no command for its safe state")
    settings: dict[str, Value] = {name: value for name, value in plan.settings.items() if name not in _KEPT_OUT}
    settings |= {
        "Description": f"Safe state of the module {plan.module}",
        "Type": "oneshot",
        "ExecStart": plan.safe_command,
        "Restart": "no",
        "StartLimitIntervalSec": 0,
        "TimeoutStartSec": SAFE_TIMEOUT_USEC,
        "Slice": "aurora.slice",
        "CollectMode": "inactive-or-failed",
        "OnFailure": (incident_unit(f"{plan.module}.safe"),),
    }
    return replace(
        plan,
        unit=safe_unit(plan.module),
        slice="aurora.slice",
        settings=settings,
        start_timeout_usec=SAFE_TIMEOUT_USEC,
        timer={},
        after=(),
        requires=(),
        safe_command=(),
        safe_module="",
    )
