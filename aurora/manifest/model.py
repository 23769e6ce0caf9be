"""What a manifest says, once it has been read: frozen, equal by value, in bytes and microseconds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum

from aurora.topics import WhenFull, covers

__all__ = [
    "Directories",
    "Limits",
    "Link",
    "Manifest",
    "ModuleKind",
    "Order",
    "Readiness",
    "Restart",
    "RestartPolicy",
    "SafeState",
    "Sandbox",
    "Schedule",
    "Start",
    "Stop",
    "StopSignal",
    "Update",
    "to_json",
]


class ModuleKind(StrEnum):
    """What a module's program is (Type= in systemd.service(5))."""

    SERVICE = "service"
    """It runs until it is stopped."""
    ONESHOT = "oneshot"
    """It does one thing and ends; it is up when it has ended well."""


class Readiness(StrEnum):
    """When a started module counts as up."""

    NOTIFY = "notify"
    """When it says READY=1 (sd_notify(3)); `aurora.sdk.ready()` does."""
    EXEC = "exec"
    """As soon as its program has been executed."""


class StopSignal(StrEnum):
    """What a module is sent when it is to stop (KillSignal= in systemd.kill(5))."""

    TERM = "SIGTERM"
    INT = "SIGINT"
    QUIT = "SIGQUIT"
    HUP = "SIGHUP"
    USR1 = "SIGUSR1"
    USR2 = "SIGUSR2"


class RestartPolicy(StrEnum):
    """When systemd starts a module again by itself (Restart= in systemd.service(5))."""

    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    NO = "no"


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What the module may use at most; None where nothing is declared and nothing is limited."""

    cpu_share_usec: int | None
    """CPU time per second of wall time; 1,000,000 is one whole CPU."""
    memory_max_bytes: int | None
    """Above this the kernel kills the module."""
    memory_high_bytes: int | None
    """Above this the kernel slows the module down and reclaims."""
    tasks_max: int | None
    """Processes and threads together."""
    cpu_weight: int | None
    """Its part of the CPU when there is not enough for all; others have 100."""
    io_weight: int | None
    """The same of the disk."""
    io_read_max_bytes: int | None
    """Bytes per second read from the disk that holds /var/lib."""
    io_write_max_bytes: int | None
    """Bytes per second written to it."""
    state_max_bytes: int | None
    """What its state directory may hold."""
    cache_max_bytes: int | None
    """What its cache directory may hold."""
    logs_max_bytes: int | None
    """What its logs directory may hold."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """How a start is judged."""

    readiness: Readiness
    timeout_usec: int
    """A module that is not ready by then has failed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stop:
    """How the module is asked to end."""

    signal: StopSignal
    timeout_usec: int
    """After the signal it has this long before it is killed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """When a oneshot runs by itself; at most one of `calendar` and `interval_usec` is set."""

    calendar: str | None
    """Points in time (systemd.time(7), "Calendar events")."""
    interval_usec: int | None
    """From the start of one run to the start of the next; the first run is at once."""
    jitter_usec: int
    """Each run is late by a random time of at most this."""
    catch_up: bool
    """Whether a run that was missed because the machine was off is made up for at boot."""

    @property
    def declared(self) -> bool:
        """Whether there is a schedule."""
        return self.calendar is not None or self.interval_usec is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """How the module's start relates to that of other modules, which are named in the order written."""

    after: tuple[str, ...]
    """It starts after these, where they start at all."""
    requires: tuple[str, ...]
    """It starts after these, and only if they are up; it stops when one of them does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Restart:
    """What happens when the module ends by itself."""

    policy: RestartPolicy
    delay_usec: int
    """The wait before the first restart."""
    delay_max_usec: int
    """The longest wait; equal to `delay_usec` when the wait does not grow."""
    growth_steps: int
    """How many restarts it takes to grow from the first to the longest wait; 0 when it does not grow."""
    give_up_after: int | None
    """Starts within `give_up_within_usec` after which systemd gives up; None: never."""
    give_up_within_usec: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Directories:
    """Directories that systemd makes for the module, owned by its user, their places in its environment."""

    state: bool
    """/var/lib/aurora/NAME, in $STATE_DIRECTORY; kept until the module is purged."""
    cache: bool
    """/var/cache/aurora/NAME, in $CACHE_DIRECTORY."""
    logs: bool
    """/var/log/aurora/NAME, in $LOGS_DIRECTORY."""
    runtime: bool
    """/run/aurora-modules/NAME, in $RUNTIME_DIRECTORY; gone when the module stops."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SafeState:
    """What happens when the module fails for good, misses its watchdog or is stopped by force; both None: nothing."""

    command: tuple[str, ...] | None
    """A program and its arguments, as `Manifest.entry`."""
    module: str | None
    """Another module, which is started."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Update:
    """How a new version is judged against the one before it."""

    window_usec: int
    """How long it is looked at before it is confirmed; 0: only that it comes up."""
    restarts_max: int
    """How often it may be started again by itself meanwhile."""
    memory_growth_bytes: int
    """How much more memory it may hold than the version before."""
    check: tuple[str, ...] | None
    """A program and its arguments, as `Manifest.entry`, that must end well; None: none."""
    snapshot: bool
    """Whether the module's state is copied before, and put back with the version before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sandbox:
    """What the module may reach."""

    policy: str
    """Name of the policy that the sandbox starts from."""
    grants: tuple[str, ...]
    """What is asked beyond it, in the order written, without duplicates."""
    exposure_max_tenths: int | None = None
    """The highest exposure score that the author lets it have, in tenths; None: any."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """What the module may talk about on AuroraLink: patterns of topics, in the order written."""

    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    request: tuple[str, ...] = ()
    serve: tuple[str, ...] = ()
    durable: tuple[str, ...] = ()
    """Of what it publishes: kept on disk before it is acknowledged."""
    durable_size_max_bytes: int = 16 << 20
    durable_age_max_usec: int = 7 * 86_400_000_000
    durable_full: WhenFull = WhenFull.REFUSE
    retained: tuple[str, ...] = ()
    """Of what it retains: kept on disk."""
    approve: tuple[str, ...] = ()
    """Where what is sent waits for a human's approval; see `approve_all`."""

    @property
    def approve_all(self) -> tuple[str, ...]:
        """Of `approve` where that goes for all modules: what this one gets. Elsewhere it goes for what it sends."""
        return tuple(one for one in self.approve if any(covers(own, one) for own in (*self.serve, *self.subscribe)))

    @property
    def approve_own(self) -> tuple[str, ...]:
        """The rest of `approve`."""
        return tuple(one for one in self.approve if one not in self.approve_all)

    @property
    def rules(self) -> dict[str, tuple[str, ...] | int | str]:
        """All of it as the hub reads it; empty when the module does not reach the hub."""
        found: dict[str, tuple[str, ...] | int | str] = {**self.patterns}
        if self.durable:
            found["durable"] = self.durable
            found["durable_size_max_bytes"] = self.durable_size_max_bytes
            found["durable_age_max_msec"] = self.durable_age_max_usec // 1000
            found["durable_full"] = str(self.durable_full)
        if self.retained:
            found["retained"] = self.retained
        if self.approve_own:
            found["approve"] = self.approve_own
        if self.approve_all:
            found["approve_all"] = self.approve_all
        return found

    @property
    def patterns(self) -> dict[str, tuple[str, ...]]:
        """Those that there are, by what they are for."""
        found = {name: getattr(self, name) for name in ("publish", "subscribe", "request", "serve")}
        return {name: patterns for name, patterns in found.items() if patterns}


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """A module as its author describes it."""

    name: str
    """Follows `names.is_module_name`."""
    version: str
    """A Debian upstream version (deb-version(7)), without epoch or revision."""
    description: str
    """One line."""
    kind: ModuleKind
    entry: tuple[str, ...]
    """The program and its arguments; one element is a file of the module, or an absolute path."""
    owner_may: tuple[str, ...]
    """Which keys the owner's file may set: paths of keys, or "TABLE.*" for all of a table."""
    environment: tuple[tuple[str, str], ...]
    """Variables and values, sorted by name."""
    credentials: tuple[str, ...]
    """Names of the secrets that it is given as files."""
    limits: Limits
    start: Start
    stop: Stop
    watchdog_usec: int | None
    """Longest time between two WATCHDOG=1 messages; None: no watchdog."""
    restart: Restart
    schedule: Schedule
    order: Order
    safe_state: SafeState
    update: Update
    directories: Directories
    sandbox: Sandbox
    link: Link = Link()


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _list(words: tuple[str, ...] | None) -> list[str] | None:
    return None if words is None else list(words)


def to_json(manifest: Manifest) -> dict[str, object]:
    """The manifest in JSON types, under the names of its fields; `environment` as an object."""
    return asdict(manifest) | {
        "entry": list(manifest.entry),
        "owner_may": list(manifest.owner_may),
        "environment": dict(manifest.environment),
        "credentials": list(manifest.credentials),
        "order": {"after": list(manifest.order.after), "requires": list(manifest.order.requires)},
        "safe_state": {"command": _list(manifest.safe_state.command), "module": manifest.safe_state.module},
        "link": {name: _plain(value) for name, value in asdict(manifest.link).items()},
        "update": asdict(manifest.update) | {"check": _list(manifest.update.check)},
        "sandbox": asdict(manifest.sandbox) | {"grants": list(manifest.sandbox.grants)},
    }
