"""A module from a folder, in the foreground: the same sandbox and limits, the caller's own terminal.

It runs as a transient service, not as a scope: a scope takes limits but no sandbox, and what a module's author
tries out must be what will be enforced.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from aurora.directives import Value
from aurora.emit import apparmor_text, service_properties
from aurora.errors import StartFailed
from aurora.host.apparmor import load_profiles, unload_profiles
from aurora.host.files import locked, remove_tree
from aurora.host.staging import copy_folder
from aurora.host.systemd import Systemd, Transient
from aurora.host.terminal import wait_for_exit
from aurora.identity import Identity, foreground
from aurora.paths import Paths
from aurora.plan import Plan
from aurora.runtime.diagnosis import diagnose, now_usec
from aurora.runtime.folders import Planner, read_module
from aurora.runtime.ports import hold_unit
from aurora.runtime.volumes import make_ready, mount_units, remove_directories

__all__ = ["run_foreground"]

STOP_DEADLINE_SEC = 60.0
SUBMIT_MARGIN_SEC = 60.0
EXIT_INTERRUPTED = 130
EXIT_READS_MAX = 1000
_CLD_EXITED = 1
# What hands the program this terminal's descriptors; the profile lets it use a terminal it inherits.
_TERMINAL_RULES = ("/dev/pts/[0-9]* rw,", "/dev/tty[0-9]* rw,", "/dev/ttyS[0-9]* rw,", "/[0-9]* rw,")


def run_foreground(paths: Paths, systemd: Systemd, folder: Path, streams: tuple[int, int, int]) -> int:
    """Run the module in `folder` until it ends or KeyboardInterrupt; its exit status, 128 + N for a signal N.

    `streams` are the descriptors for its stdin, stdout and stderr. Refused when the same module is already run in
    the foreground; StartFailed when it does not come up. Nothing is left behind.
    """
    manifest = read_module(folder)
    identity = foreground(manifest.name)
    with locked(paths.runtime / f"{identity.unit}.lock", wait=False):
        return _run(paths, systemd, folder, identity, streams)


def _run(paths: Paths, systemd: Systemd, folder: Path, identity: Identity, streams: tuple[int, int, int]) -> int:
    staged = paths.state / "foreground" / identity.module
    try:
        _forget_unit(systemd, identity)  # one whose command was killed outright: the lock says that nobody has it
        remove_directories(paths, systemd, identity)
        copy_folder(folder, staged, check=lambda copy: read_module(copy, shown=str(folder)))
        manifest = read_module(staged, shown=str(folder))
        planner = Planner(paths)
        plan = _in_foreground(planner.plan(manifest, identity=identity, folder=str(staged), file=str(folder)))
        if plan.profile is not None:
            load_profiles(paths, {plan.profile: apparmor_text(plan)})
        make_ready(paths, systemd, plan, identity.directory)
        return _attached(paths, systemd, plan, streams)
    finally:
        _forget_unit(systemd, identity)
        unload_profiles(paths, frozenset({identity.profile}))
        remove_tree(staged)
        remove_directories(paths, systemd, identity)


def _forget_unit(systemd: Systemd, identity: Identity) -> None:
    systemd.stop([identity.unit], deadline_sec=STOP_DEADLINE_SEC)
    systemd.reset_failed([identity.unit])


def _in_foreground(plan: Plan) -> Plan:
    """The plan without what is for installed modules: restarts, a schedule, an order among others."""
    left_out = {
        "RestartSec", "RestartSteps", "RestartMaxDelaySec", "StartLimitBurst", "RemainAfterExit", "After", "Requires",
        "OnFailure",
    }  # fmt: skip
    settings: dict[str, Value] = {name: value for name, value in plan.settings.items() if name not in left_out}
    settings |= {"Restart": "no", "StartLimitIntervalSec": 0}
    if "BindsTo" in settings:
        settings["After"] = settings["BindsTo"]  # its volumes are its own, and come first
    if settings["Type"] == "oneshot":
        settings["Type"] = "exec"  # its start is not to be waited for as its end: that is what the terminal is for
    rules = (*plan.apparmor, *_TERMINAL_RULES)
    return replace(
        plan, settings=settings, timer={}, after=(), requires=(), apparmor=rules, safe_command=(), safe_module=""
    )


def _attached(paths: Paths, systemd: Systemd, plan: Plan, streams: tuple[int, int, int]) -> int:
    names = ("StandardInputFileDescriptor", "StandardOutputFileDescriptor", "StandardErrorFileDescriptor")
    # RemainAfterExit keeps the unit loaded when the program has ended, so that its exit status can be read.
    properties = [
        *service_properties(plan),
        ("RemainAfterExit", "b", True),
        *((name, "h", handle) for name, handle in zip(names, streams, strict=True)),
    ]
    since_usec = now_usec()
    deadline_sec = plan.start_timeout_usec / 1_000_000 + SUBMIT_MARGIN_SEC
    try:
        jobs = systemd.start_transient(
            [Transient(plan.unit, properties, beside=mount_units(systemd, plan))], deadline_sec=deadline_sec
        )
        job = jobs[plan.unit]
        if not job.ok:
            raise StartFailed.of([diagnose(systemd, plan, job, since_usec=since_usec)])
        if "SocketBindDeny" in plan.settings:
            _hold_ports(paths, systemd, plan.unit)
        pid = systemd.get(plan.unit, "Service", "MainPID", "u")
        if isinstance(pid, int) and pid > 0:
            wait_for_exit(pid)
    except KeyboardInterrupt:
        systemd.stop([plan.unit], deadline_sec=STOP_DEADLINE_SEC)
        return EXIT_INTERRUPTED
    return _exit_status(systemd, plan)


def _hold_ports(paths: Paths, systemd: Systemd, unit: str) -> None:
    """Its own cgroup is held: there is no slice that comes and goes with it."""
    group = systemd.get(unit, "Service", "ControlGroup", "s")
    # A program that has ended has none any more.
    if isinstance(group, str) and Path(f"{paths.prefix}/sys/fs/cgroup{group}/cgroup.procs").exists() and group:
        hold_unit(paths, systemd, unit, group)


def _exit_status(systemd: Systemd, plan: Plan) -> int:
    """After the main process has ended: its status, once systemd has taken note of it."""
    # The kernel tells systemd of the exit when it tells us, and systemd serves children before requests, so the
    # first answer has it; the bound is there for the moment between the two.
    code: object = 0
    for _ in range(EXIT_READS_MAX):
        code = systemd.get(plan.unit, "Service", "ExecMainCode", "i")
        if code:
            break
    status = systemd.get(plan.unit, "Service", "ExecMainStatus", "i")
    if not isinstance(status, int):
        return 0
    return status if code in (0, _CLD_EXITED) else 128 + status
