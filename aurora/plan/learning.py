"""Plan -> the plan of a learning run: what the sandbox would refuse is let through and logged.

AppArmor logs files, programs, sockets and capabilities once its profile is in complain mode; seccomp logs calls
outside the allow-list. What would hide a wish from them is opened: a path in an emptied tree is not found, a socket
of a refused family is not made, and neither leaves a trace. What the kernel refuses silently and no grant opens
(memory that is writable and executable, namespaces, privileges) stays refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from aurora.directives import Value
from aurora.identity import Identity
from aurora.names import ports_unit
from aurora.plan.model import Plan

__all__ = ["LEARNED_CAPABILITIES", "learning_plan"]

LEARNED_CAPABILITIES = ("CAP_NET_BIND_SERVICE",)
"""Given while learning, as AppArmor only sees the use of a capability that is there."""
_OPENED: dict[str, Value] = {
    "PrivateNetwork": False,
    "PrivateDevices": False,
    "PrivateUsers": False,  # in a user namespace of its own no capability counts for the machine's network
    "DevicePolicy": "auto",
    "ProtectProc": "default",
    "ProcSubset": "all",
    "ProtectHome": "read-only",
}
_WRITABLE = ("-/var", "-/run", "-/srv", "-/opt", "-/mnt", "-/media")
"""Where file permissions alone decide: a read-only tree refuses a write before AppArmor sees it. Not so the system
itself, which a module could not write anyway."""
_REMOVED = (
    "TemporaryFileSystem",
    "BindReadOnlyPaths",
    "BindPaths",
    "SocketBindAllow",
    "SocketBindDeny",
    "RestrictAddressFamilies",
    "IPAddressDeny",
    "IPAddressAllow",
    "DeviceAllow",
    "SystemCallFilter",
    "SystemCallErrorNumber",
    "RestartSec",
    "RestartSteps",
    "RestartMaxDelaySec",
    "StartLimitBurst",
    "RemainAfterExit",
)


def learning_plan(
    plan: Plan, bare: Plan, identity: Identity, *, box_usec: int, restore: bool, groups: Iterable[str] = ()
) -> Plan:
    """The plan for a learning run of at most `box_usec`, under `identity`.

    `plan` is the module's, `bare` the same without its grants: what only a grant lets through is logged too.

    systemd itself stops the module first and ends the run, and with `restore` starts the module again then, however
    the run ended: nobody has to be there for it. `groups` own devices; the run is given them.
    """
    settings: dict[str, Value] = {name: value for name, value in plan.settings.items() if name not in _REMOVED}
    settings |= {name: value for name, value in _OPENED.items() if name in plan.settings or name == "DevicePolicy"}
    for name in ("CapabilityBoundingSet", "AmbientCapabilities"):
        settings[name] = tuple(dict.fromkeys((*LEARNED_CAPABILITIES, *_words(plan.settings, name))))
    allowed = bare.settings.get("SystemCallFilter")
    if isinstance(allowed, tuple) and allowed:
        # systemd adds @default to what a filter allows, but not to what is not logged.
        settings["SystemCallLog"] = ("@default", *allowed)
    # What holds the module itself to its ports has nothing to do with this run, and a failure of it is no incident.
    for name in ("After", "Requires"):
        others = tuple(word for word in _words(settings, name) if word != ports_unit(plan.module))
        settings |= {name: others} if name in settings else {}
    settings.pop("OnFailure", None)
    members = (*_words(settings, "SupplementaryGroups"), *groups)
    if members:
        settings["SupplementaryGroups"] = tuple(dict.fromkeys(members))
    if settings.get("Type") == "oneshot":
        settings["Type"] = "exec"  # RuntimeMaxSec= does not bound a oneshot, which counts as starting while it runs
    settings |= {
        "Description": f"Learning what {plan.module} does",
        "AppArmorProfile": identity.profile,
        "Restart": "no",
        "StartLimitIntervalSec": 0,
        "RuntimeMaxSec": box_usec,
        # The one stops the other, and in that order: both have the same user and directories.
        "Conflicts": (plan.unit,),
        "After": (*_words(settings, "After"), plan.unit),
    }
    if restore:
        settings |= {"OnSuccess": (plan.unit,), "OnFailure": (plan.unit,)}
    settings |= {"Slice": identity.slice, "ReadWritePaths": _WRITABLE}
    return replace(
        plan,
        unit=identity.unit,
        slice=identity.slice,
        profile=identity.profile,
        settings=settings,
        apparmor=bare.apparmor,
    )


def _words(settings: Mapping[str, Value], name: str) -> tuple[str, ...]:
    value = settings.get(name, ())
    return value if isinstance(value, tuple) else ()
