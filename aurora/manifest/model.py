"""What a manifest says, once it has been read: frozen, equal by value, in bytes and microseconds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum

__all__ = [
    "Directories",
    "Limits",
    "Manifest",
    "Readiness",
    "Restart",
    "RestartPolicy",
    "Sandbox",
    "Start",
    "to_json",
]


class Readiness(StrEnum):
    """When a started module counts as up."""

    NOTIFY = "notify"
    """When it says READY=1 (sd_notify(3)); `aurora.sdk.ready()` does."""
    EXEC = "exec"
    """As soon as its program has been executed."""


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """How a start is judged."""

    readiness: Readiness
    timeout_usec: int
    """A module that is not ready by then has failed."""


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
class Sandbox:
    """What the module may reach."""

    policy: str
    """Name of the policy that the sandbox starts from."""
    grants: tuple[str, ...]
    """What is asked beyond it, in the order written, without duplicates."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """A module as its author describes it."""

    name: str
    """Follows `names.is_module_name`."""
    version: str
    """A Debian upstream version (deb-version(7)), without epoch or revision."""
    description: str
    """One line."""
    entry: tuple[str, ...]
    """The program and its arguments; one element is a file of the module, or an absolute path."""
    environment: tuple[tuple[str, str], ...]
    """Variables and values, sorted by name."""
    limits: Limits
    start: Start
    watchdog_usec: int | None
    """Longest time between two WATCHDOG=1 messages; None: no watchdog."""
    restart: Restart
    directories: Directories
    sandbox: Sandbox


def to_json(manifest: Manifest) -> dict[str, object]:
    """The manifest in JSON types, under the names of its fields; `environment` as an object."""
    return asdict(manifest) | {
        "entry": list(manifest.entry),
        "environment": dict(manifest.environment),
        "sandbox": {"policy": manifest.sandbox.policy, "grants": list(manifest.sandbox.grants)},
    }
