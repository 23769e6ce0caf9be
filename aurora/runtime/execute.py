"""A command of the owner's beside a running module, in a scope of the module's slice.

What limits a module is set on its service, where an owner's drop-in can change it. Two processes can only share
a limit through a cgroup above both: the module's slice. So, while a command runs there, the slice is held to what
the service is held to at that moment, and afterwards to what it was held to before (usually nothing). A limit that
were always on the slice would bind a drop-in that raises the service's. (systemd keeps a note of such a change, that
there is no limit, beside the transient slice until that is stopped.)

When memory runs out the kernel ends the command first: its oom_score_adj is the highest there is. The command ends
with the module whose user and files it has; the scope is bound to the service in case nobody waits for it any more.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from aurora.errors import HostError, Refused, StartFailed
from aurora.host.cgroup import read_usage
from aurora.host.files import locked, write_atomic
from aurora.host.inside import Held, View, hold, open_process, read_environment, view_of
from aurora.host.systemd import Systemd, Transient
from aurora.identity import Identity, installed
from aurora.paths import Paths
from aurora.quantity import INFINITY
from aurora.runtime.applied import applied_plan
from aurora.runtime.records import require

__all__ = ["Ended", "Sight", "execute"]

DEADLINE_SEC = 60.0
STOP_TIMEOUT_USEC = 3_000_000
"""After SIGTERM and SIGHUP a command has this long before SIGKILL; a module that stops waits for it."""
SPARE_BYTES = 1 << 20
"""What there is for a command where the module itself has used up its memory."""

_LIMITS = ("MemoryMax", "MemorySwapMax", "CPUQuotaPerSecUSec", "TasksMax")
# What systemd tells the module's main process alone.
_OWN_VARIABLES = frozenset(
    {"INVOCATION_ID", "JOURNAL_STREAM", "LISTEN_FDNAMES", "LISTEN_FDS", "LISTEN_PID", "MAINPID", "NOTIFY_SOCKET",
     "SYSTEMD_EXEC_PID", "WATCHDOG_PID", "WATCHDOG_USEC", "MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE"}
)  # fmt: skip
_CALLERS_VARIABLES = ("TERM", "COLORTERM", "LANG", "LC_ALL", "NO_COLOR")
_ROOTS_ENVIRONMENT = {
    "HOME": "/root",
    "LOGNAME": "root",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "USER": "root",
}


class Sight(StrEnum):
    """What a command sees, and as whom."""

    MODULE = "module"
    """The module's namespaces, user, environment, folder and AppArmor profile."""
    ROOT = "root"
    """The module's namespaces and folder, as root and under no profile."""
    OUTSIDE = "outside"
    """The machine, as the caller."""


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    """Its exit status; 128 + N for a signal N."""
    with_module: bool
    """Whether the module had ended before it, which ends it."""


def execute(paths: Paths, systemd: Systemd, name: str, argv: Sequence[str], *, sight: Sight) -> Ended:
    """Run a command on this process's own terminal, counted against the module's limits, to its end.

    Refused when the module does not run; NotFound or HostError when the command cannot be executed. Nothing of it
    is left afterwards, what it started in the background included.
    """
    identity = installed(require(paths, name).name)
    pid = systemd.get(identity.unit, "Service", "MainPID", "u")
    if not isinstance(pid, int) or pid <= 0:
        raise Refused(
            f"run a command in {name}", "the module does not run", where=identity.unit, remedy=f"auroractl start {name}"
        )
    process = open_process(pid)
    try:
        held = hold(argv, _view(paths, systemd, identity, pid, process, sight))
        try:
            first = _run(paths, systemd, identity, held, process, argv)
            return Ended(held.status(), with_module=not first)
        finally:
            held.drop()
    finally:
        os.close(process)


def _view(paths: Paths, systemd: Systemd, identity: Identity, pid: int, process: int, sight: Sight) -> View:
    callers = {key: os.environ[key] for key in _CALLERS_VARIABLES if key in os.environ}
    if sight is Sight.OUTSIDE:
        return View(environment=dict(os.environ))
    environment: Mapping[str, str]
    if sight is Sight.MODULE:
        environment = {
            **callers, **{k: v for k, v in read_environment(pid).items() if k not in _OWN_VARIABLES}
        }  # fmt: skip
    else:
        # Nothing of the module's: a variable of its making (LD_PRELOAD) would run its code as root.
        environment = {**_ROOTS_ENVIRONMENT, **callers}
    plan = applied_plan(paths, identity.module)
    profile = identity.profile if plan is None else plan.profile
    view = view_of(
        pid,
        process=process,
        as_its_user=sight is Sight.MODULE,
        folder=str(systemd.get(identity.unit, "Service", "WorkingDirectory", "s")),
        profile=profile if sight is Sight.MODULE else None,
        environment=environment,
    )
    if systemd.get(identity.unit, "Service", "MainPID", "u") != pid:  # then what was looked at was someone else
        raise Refused(f"run a command in {identity.module}", "the module is just ending", where=identity.unit)
    return view


def _run(paths: Paths, systemd: Systemd, identity: Identity, held: Held, process: int, argv: Sequence[str]) -> bool:
    """Whether the command has ended before the module did; when this returns, it has ended."""
    scope = f"aurora-exec-{identity.module}.{held.pid}.scope"
    try:
        with locked(paths.runtime / "exec.lock"):
            _share_limits(paths, systemd, identity)
            _start_scope(systemd, identity, scope, held.pid, argv)
        # systemd stops what is bound to a service when that stops, but not when it restarts.
        return held.run(beside=process)
    finally:
        systemd.stop([scope], deadline_sec=DEADLINE_SEC)
        systemd.reset_failed([scope])
        with locked(paths.runtime / "exec.lock"):
            _part_limits(paths, systemd, identity)


def _start_scope(systemd: Systemd, identity: Identity, scope: str, pid: int, argv: Sequence[str]) -> None:
    words = " ".join(shlex.quote(word) for word in argv)
    properties = [
        ("Description", "s", f"auroractl exec {identity.module}: {words.encode('unicode_escape').decode():.120} "),
        ("Slice", "s", identity.slice),
        ("BindsTo", "as", [identity.unit]),
        ("After", "as", [identity.unit]),
        ("CollectMode", "s", "inactive-or-failed"),
        ("SendSIGHUP", "b", True),  # a shell at a terminal ignores SIGTERM
        ("TimeoutStopUSec", "t", STOP_TIMEOUT_USEC),
        ("PIDs", "au", [pid]),
    ]
    job = systemd.start_transient([Transient(scope, properties)], deadline_sec=DEADLINE_SEC)[scope]
    if not job.ok:
        raise StartFailed(
            f"run a command in {identity.module}",
            f"systemd ended the job of its scope with {job.result} {job.message}".rstrip(),
            where=scope,
        )


# The limits of the slice. `paths.shared_limits` remembers what they were before the first of several commands.


def _share_limits(paths: Paths, systemd: Systemd, identity: Identity) -> None:
    before = _before(paths, systemd, identity)
    if before is None:
        before = _limits(systemd, identity.slice, "Slice")
        document = {"since": _since(systemd, identity), "limits": before}
        write_atomic(paths.shared_limits / f"{identity.module}.json", json.dumps(document).encode(), durable=False)
    service = _limits(systemd, identity.unit, "Service")
    shared = {name: min(before[name], service[name]) for name in _LIMITS}
    used = read_usage(f"/aurora.slice/{identity.slice}", root=paths.prefix).memory_bytes
    if used is not None and shared["MemoryMax"] < INFINITY:
        # A limit below what is in use would have the kernel end something at once. Beside the module's own memory
        # the slice holds what the kernel itself needs for the cgroups in it.
        shared["MemoryMax"] = max(shared["MemoryMax"], used + SPARE_BYTES)
    systemd.set_properties(identity.slice, [(name, "t", shared[name]) for name in _LIMITS])


def _part_limits(paths: Paths, systemd: Systemd, identity: Identity) -> None:
    others = systemd.list_units([f"aurora-exec-{identity.module}.*.scope"])
    if any(row.active in ("active", "activating", "deactivating") for row in others):
        return
    before = _before(paths, systemd, identity)
    if before is not None:
        systemd.set_properties(identity.slice, [(name, "t", before[name]) for name in _LIMITS])
    (paths.shared_limits / f"{identity.module}.json").unlink(missing_ok=True)


def _before(paths: Paths, systemd: Systemd, identity: Identity) -> dict[str, int] | None:
    """The limits that the slice has when no command runs; None when it is not known to be held to others.

    A command that was killed outright leaves its note: the next one finds it, and puts right what it left.
    """
    try:
        document = json.loads((paths.shared_limits / f"{identity.module}.json").read_text())
        limits = {name: int(document["limits"][name]) for name in _LIMITS}
        return limits if document["since"] == _since(systemd, identity) else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _since(systemd: Systemd, identity: Identity) -> object:
    """Which slice it is: one that was stopped and started again has lost what it was told."""
    return systemd.get(identity.slice, "Unit", "StateChangeTimestamp", "t")


def _limits(systemd: Systemd, unit: str, interface: str) -> dict[str, int]:
    found = {}
    for name in _LIMITS:
        value = systemd.get(unit, interface, name, "t")
        if not isinstance(value, int):
            raise HostError(f"read {name} of {unit}", f"systemd says {value!r}")
        found[name] = value
    return found
