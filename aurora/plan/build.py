"""Manifest + Policy + Facts -> Plan."""

from __future__ import annotations

from aurora.directives import Value
from aurora.errors import Problem, Refused
from aurora.identity import Identity
from aurora.manifest import (
    Limits,
    Manifest,
    ModuleKind,
    Readiness,
    Restart,
    RestartPolicy,
    Schedule,
    Stop,
    StopSignal,
)
from aurora.names import (
    BUDGET_VARIABLES,
    LINK_SOCKET,
    LINK_UNIT,
    LINK_VARIABLE,
    UNENFORCED_VARIABLE,
    incident_unit,
    ports_unit,
    unit_name,
)
from aurora.plan.local import NETWORKS, localized, needs_networks
from aurora.plan.model import Facts, Feature, Plan
from aurora.plan.reliance import REMEDY, relied_on
from aurora.plan.secrets import Secrets
from aurora.plan.volume import DIRECTORIES, Volume, runtime_volume, volume_at
from aurora.policy import Policy

__all__ = ["argv_of", "make_plan"]

DISK = "/var/lib"
"""Modules and their state are below it, so its disk is the one whose bandwidth is limited."""
NO_SECRETS = Secrets("")
TIMER_ACCURACY_USEC = 1_000_000
"""systemd may put off a timer by a minute to wake up less often, unless told otherwise (systemd.timer(5))."""
_NEVER_EMPTY = frozenset({"RestrictAddressFamilies", "RestrictNamespaces"})
"""Directives of which systemd takes an empty list for no restriction at all."""
_INTERPRETER = {".py": ("/usr/bin/python3",), ".sh": ("/bin/sh",)}


def make_plan(
    manifest: Manifest, policy: Policy, facts: Facts, *, identity: Identity, folder: str, secrets: Secrets = NO_SECRETS
) -> Plan:
    """The plan for a module staged in `folder` (an absolute path of plain characters), its `secrets` as they are.

    Refused, naming each, when it relies on features that the machine lacks and the owner has not accepted to go
    without, or on a group that is not there: what is declared is enforced or not started.
    """
    missing = _required(manifest, policy) - facts.features
    volumes, link = _volumes(manifest, identity, missing), manifest.link.rules
    settings: dict[str, Value] = {
        **_enforceable(manifest, policy, facts, missing),
        **_identity_settings(manifest, identity),
        **_program_settings(manifest, folder, missing, volumes),
        **_limit_settings(manifest.limits),
        **_restart_settings(manifest.restart),
        **_stop_settings(manifest.kind, manifest.stop),
        **_order_settings(manifest, volumes, held=_is_held(policy, missing)),
        **secrets.settings(manifest.credentials),
    }
    _show(settings, folder, link=bool(link))
    profile = None if Feature.APPARMOR in missing else identity.profile
    settings |= {} if profile is None else {"AppArmorProfile": profile}
    return Plan(
        module=manifest.name,
        version=manifest.version,
        unit=identity.unit,
        slice=identity.slice,
        profile=profile,
        folder=folder,
        settings=settings,
        timer=_timer(manifest),
        after=(*manifest.order.requires, *manifest.order.after),
        requires=manifest.order.requires,
        credentials=tuple(map(secrets.file, manifest.credentials)),
        apparmor=policy.apparmor,
        writable=_directories(manifest, identity, settings),
        volumes=volumes,
        start_timeout_usec=manifest.start.timeout_usec,
        safe_command=() if manifest.safe_state.command is None else argv_of(manifest.safe_state.command, folder),
        safe_module=manifest.safe_state.module or "",
        unenforced=tuple(sorted(missing)),
        follows=(NETWORKS,) if needs_networks(policy) else (),
        link=link,
    )


def _show(settings: dict[str, Value], folder: str, *, link: bool) -> None:
    """Adds places that no policy names to what the module is shown read-only."""
    # Where whole trees are emptied, the module's own folder has to be shown again, and so has AuroraLink's socket. A
    # safe state is to come up without it; the module itself requires the unit that makes it.
    hidden = settings.get("TemporaryFileSystem")
    more = (folder, *((f"-{LINK_SOCKET}",) if link else ())) if hidden else ()
    # systemd 257 makes /sys read-only only where it mounts one anew, for a network namespace of the module's own.
    if settings.get("ProtectKernelTunables") and not settings.get("PrivateNetwork"):
        more = (*more, "/sys")
    if more:
        shown = settings.get("BindReadOnlyPaths", ())
        settings["BindReadOnlyPaths"] = (*(shown if isinstance(shown, tuple) else ()), *more)


def _required(manifest: Manifest, policy: Policy) -> set[Feature]:
    required = {Feature.APPARMOR} | relied_on({**policy.directives, **_limit_settings(manifest.limits)})
    return required | ({Feature.LOOP} if _budgets(manifest.limits) else set())


def _budgets(limits: Limits) -> dict[str, int]:
    """The directories that have a budget, and how large it is."""
    declared = {"state": limits.state_max_bytes, "cache": limits.cache_max_bytes, "logs": limits.logs_max_bytes}
    return {directory: size_bytes for directory, size_bytes in declared.items() if size_bytes is not None}


def _volumes(manifest: Manifest, identity: Identity, missing: set[Feature]) -> tuple[Volume, ...]:
    budgets = {} if Feature.LOOP in missing else _budgets(manifest.limits)
    on_disk = (volume_at(name, identity.directory, budgets[name]) for name in DIRECTORIES if name in budgets)
    in_memory = [runtime_volume(identity.runtime_directory)] if manifest.directories.runtime else []
    return (*on_disk, *in_memory)


def _enforceable(manifest: Manifest, policy: Policy, facts: Facts, missing: set[Feature]) -> dict[str, Value]:
    """The policy's directives as they are on this machine; Refused with all that it lacks for them."""
    directives, problems = localized(policy, facts, manifest.name)
    problems += [_emptied(manifest.name, name) for name in sorted(_NEVER_EMPTY) if directives.get(name) == ()]
    problems += [_unenforceable(manifest.name, feature) for feature in sorted(missing - facts.accepted)]
    if problems:
        raise Refused.of(problems)
    return directives


def _emptied(module: str, directive: str) -> Problem:
    return Problem(
        f"run the module {module}",
        f"its grants leave nothing in {directive}, which systemd would take for everything",
        "",
        "fewer words below remove in the grants file",
    )


def _unenforceable(module: str, feature: Feature) -> Problem:
    return Problem(
        f"run the module {module}",
        f"it relies on {feature}, which this machine cannot enforce",
        "",
        f'{REMEDY[feature]}, or accept_unenforced = ["{feature}"] in /etc/aurora/core.toml to go without',
    )


def _identity_settings(manifest: Manifest, identity: Identity) -> dict[str, Value]:
    title = manifest.description or f"AuroraOS module {manifest.name}"
    if title.endswith("\\"):
        title += " "  # in a unit's file, systemd's own included, a backslash at the end would join the next line
    return {
        "Description": title,
        "DynamicUser": True,
        # A dynamic user is named after the unit's prefix unless it has a name: all modules would share one.
        "User": identity.user,
        "Slice": identity.slice,
        "SyslogIdentifier": manifest.name,
        # At every failure, also one after which systemd starts it again (systemd.unit(5)).
        "OnFailure": (incident_unit(manifest.name),),
        "CPUAccounting": True,
        "MemoryAccounting": True,
        "TasksAccounting": True,
    }


def _program_settings(
    manifest: Manifest, folder: str, missing: set[Feature], volumes: tuple[Volume, ...]
) -> dict[str, Value]:
    notify = manifest.start.readiness is Readiness.NOTIFY
    oneshot = manifest.kind is ModuleKind.ONESHOT
    environment = {
        "AURORA_MODULE": manifest.name,
        "PYTHONUNBUFFERED": "1",  # a line printed is a line in the journal
        "PYTHONDONTWRITEBYTECODE": "1",  # the folder is read-only
        **dict(manifest.environment),
    }
    # First, so that no variable of the module's own can be taken for one of these (`runtime.status`).
    told = [f"{UNENFORCED_VARIABLE}={','.join(sorted(missing))}"] if missing else []
    told += [f"{BUDGET_VARIABLES[one.directory]}={one.size_bytes}" for one in volumes if one.image]
    told += [f"{LINK_VARIABLE}=unix:{LINK_SOCKET}"] if manifest.link.patterns else []
    settings: dict[str, Value] = {
        "Type": "oneshot" if oneshot else "notify" if notify else "exec",
        "ExecStart": argv_of(manifest.entry, folder),
        "WorkingDirectory": folder,
        "Environment": (*told, *(f"{name}={value}" for name, value in sorted(environment.items()))),
        "TimeoutStartSec": manifest.start.timeout_usec,
    }
    if oneshot and not manifest.schedule.declared:
        settings["RemainAfterExit"] = True  # done once since boot is what up means for it
    if notify:
        # Anything but Python may speak through systemd-notify, a child of its own.
        settings["NotifyAccess"] = "main" if manifest.entry[0].endswith(".py") else "all"
    if manifest.watchdog_usec is not None:
        settings["WatchdogSec"] = manifest.watchdog_usec
    return settings


def argv_of(entry: tuple[str, ...], folder: str) -> tuple[str, ...]:
    """The argument vector of a program as a manifest names it, of the module in `folder`."""
    program, *arguments = entry
    if program.startswith("/"):
        return (program, *arguments)
    path = f"{folder}/{program}"
    dot = program.rfind(".")
    interpreter = _INTERPRETER.get(program[dot:], ()) if dot > 0 else ()
    return (*interpreter, path, *arguments)


def _limit_settings(limits: Limits) -> dict[str, Value]:
    settings: dict[str, Value] = {}
    if limits.cpu_share_usec is not None:
        settings["CPUQuota"] = limits.cpu_share_usec
    if limits.memory_max_bytes is not None:
        settings["MemoryMax"] = limits.memory_max_bytes
        # A cap that swap could exceed would not be the cap that was declared.
        settings["MemorySwapMax"] = 0
    if limits.memory_high_bytes is not None:
        settings["MemoryHigh"] = limits.memory_high_bytes
    if limits.tasks_max is not None:
        settings["TasksMax"] = limits.tasks_max
    if limits.cpu_weight is not None:
        settings["CPUWeight"] = limits.cpu_weight
    if limits.io_weight is not None:
        settings["IOWeight"] = limits.io_weight
    if limits.io_read_max_bytes is not None:
        settings["IOReadBandwidthMax"] = (f"{DISK} {limits.io_read_max_bytes}",)
    if limits.io_write_max_bytes is not None:
        settings["IOWriteBandwidthMax"] = (f"{DISK} {limits.io_write_max_bytes}",)
    return settings


def _restart_settings(restart: Restart) -> dict[str, Value]:
    if restart.policy is RestartPolicy.NO:
        return {"Restart": "no"}
    settings: dict[str, Value] = {"Restart": restart.policy.value, "RestartSec": restart.delay_usec}
    if restart.growth_steps and restart.delay_max_usec > restart.delay_usec:
        settings["RestartSteps"] = restart.growth_steps
        settings["RestartMaxDelaySec"] = restart.delay_max_usec
    if restart.give_up_after is None:
        settings["StartLimitIntervalSec"] = 0  # 0 switches the start limit off (systemd.unit(5))
    else:
        settings["StartLimitIntervalSec"] = restart.give_up_within_usec
        settings["StartLimitBurst"] = restart.give_up_after
    return settings


_CLEAN_SIGNALS = (StopSignal.HUP, StopSignal.INT, StopSignal.TERM)
"""A service that one of these ends has not failed (SuccessExitStatus= in systemd.service(5))."""


def _stop_settings(kind: ModuleKind, stop: Stop) -> dict[str, Value]:
    settings: dict[str, Value] = {"TimeoutStopSec": stop.timeout_usec}
    if stop.signal is not StopSignal.TERM:
        settings["KillSignal"] = stop.signal.value
    # To do as one was told is no failure; systemd takes it so only for services, and of some signals.
    if kind is ModuleKind.ONESHOT or stop.signal not in _CLEAN_SIGNALS:
        settings["SuccessExitStatus"] = (stop.signal.value,)
    return settings


def _is_held(policy: Policy, missing: set[Feature]) -> bool:
    return "SocketBindDeny" in policy.directives and Feature.IP_FILTER not in missing


def _order_settings(manifest: Manifest, volumes: tuple[Volume, ...], *, held: bool) -> dict[str, Value]:
    """`held`: whether it is held to ports, by a unit that comes first."""
    order = manifest.order
    requires = (
        *((ports_unit(manifest.name),) if held else ()),
        *((LINK_UNIT,) if manifest.link.patterns else ()),
        *(unit_name(name) for name in order.requires),
    )
    mounts = tuple(volume.unit for volume in volumes)
    after = (*requires, *(unit_name(name) for name in order.after), *mounts)
    # Bound to its volumes: without one of them it would write to the machine's own disk, held back by nothing.
    found = {"After": after, "Requires": requires, "BindsTo": mounts}
    return {name: units for name, units in found.items() if units}


def _timer(manifest: Manifest) -> dict[str, Value]:
    schedule: Schedule = manifest.schedule
    if not schedule.declared:
        return {}
    settings: dict[str, Value] = {
        "Description": f"Schedule of the AuroraOS module {manifest.name}",
        "AccuracySec": TIMER_ACCURACY_USEC,
    }
    if schedule.calendar is not None:
        settings["OnCalendar"] = schedule.calendar
    if schedule.interval_usec is not None:
        settings["OnActiveSec"] = 0
        settings["OnUnitActiveSec"] = schedule.interval_usec
    if schedule.jitter_usec:
        settings["RandomizedDelaySec"] = schedule.jitter_usec
    if schedule.catch_up:
        settings["Persistent"] = True
    return settings


def _directories(manifest: Manifest, identity: Identity, settings: dict[str, Value]) -> tuple[str, ...]:
    """Adds the directory directives to `settings`; the places the module may write."""
    wanted = manifest.directories
    writable = []
    for declared, directive, parent, name in (
        (wanted.state, "StateDirectory", "/var/lib", identity.directory),
        (wanted.cache, "CacheDirectory", "/var/cache", identity.directory),
        (wanted.logs, "LogsDirectory", "/var/log", identity.directory),
        (wanted.runtime, "RuntimeDirectory", "/run", identity.runtime_directory),
    ):
        if declared:
            settings[directive] = (name,)
            settings[f"{directive}Mode"] = 0o700
            # With DynamicUser= the directory is below private/, and a symbolic link leads to it.
            writable += [f"{parent}/private/{name}", f"{parent}/{name}"]
    return tuple(writable)
