"""A plan -> the plan of another program in the same sandbox and limits, once: its safe state, or a check of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from aurora.directives import Value
from aurora.names import check_unit, incident_unit, safe_unit
from aurora.plan.model import Plan
from aurora.plan.volume import DIRECTIVE

__all__ = ["SAFE_TIMEOUT_USEC", "check_plan", "safe_plan", "without_volumes"]

SAFE_TIMEOUT_USEC = 90_000_000
"""A safe state, or a check, that takes longer is ended, and has failed."""

_KEPT_OUT = frozenset(
    {
        # It is not started again, says nothing to systemd, and waits for no other module.
        "RestartSec", "RestartSteps", "RestartMaxDelaySec", "StartLimitBurst", "WatchdogSec", "NotifyAccess",
        "After", "Before", "Requires", "Wants", "BindsTo", "RemainAfterExit", "OnFailure",
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
    failing = (incident_unit(f"{plan.module}.safe"),)
    what = f"Safe state of the module {plan.module}"
    return _once(plan, plan.safe_command, safe_unit(plan.module), what, {"OnFailure": failing})


def check_plan(plan: Plan, command: Sequence[str]) -> Plan:
    """What runs a check of the module, an argument vector as `build.argv_of` makes it, beside it while it is up."""
    return _once(plan, command, check_unit(plan.module), f"Check of the module {plan.module}", {})


def _once(plan: Plan, command: Sequence[str], unit: str, what: str, more: Mapping[str, Value]) -> Plan:
    settings: dict[str, Value] = {name: value for name, value in plan.settings.items() if name not in _KEPT_OUT}
    volumes = tuple(volume for volume in plan.volumes if volume.image)
    if volumes:  # without them it would write to the machine's own disk, held back by nothing
        mounts = tuple(volume.unit for volume in volumes)
        settings |= {"After": mounts, "BindsTo": mounts}
    settings |= {
        "Description": what,
        "Type": "oneshot",
        "ExecStart": tuple(command),
        "Restart": "no",
        "StartLimitIntervalSec": 0,
        "TimeoutStartSec": SAFE_TIMEOUT_USEC,
        "Slice": "aurora.slice",
        "CollectMode": "inactive-or-failed",
        **more,
    }
    return replace(
        plan,
        unit=unit,
        slice="aurora.slice",
        settings=settings,
        volumes=volumes,
        start_timeout_usec=SAFE_TIMEOUT_USEC,
        timer={},
        after=(),
        requires=(),
        safe_command=(),
        safe_module="",
    )


def without_volumes(safe: Plan) -> Plan:
    """The same without the directories that have a budget: for where they cannot be mounted."""
    left_out = {"After", "BindsTo"}
    for volume in safe.volumes:
        left_out |= {DIRECTIVE[volume.directory], f"{DIRECTIVE[volume.directory]}Mode"}
    settings = {name: value for name, value in safe.settings.items() if name not in left_out}
    return replace(safe, settings=settings, volumes=())
