"""The units that the contract is tried with. Their programs are on every Debian machine."""

from __future__ import annotations

from pathlib import Path

from aurora.host.fake import FakeSystemd
from aurora.host.systemd import JobResult, Systemd, Transient

PATTERN = "auroracontract*"
PIN = "auroracontract.slice"
UNIT = "auroracontract-a.service"
OTHER = "auroracontract-b.service"
SCOPE = "auroracontract-a.1.scope"
UNKNOWN = "auroracontract-nobody.service"
DEADLINE_SEC = 300.0
"""Far beyond what any of this takes, under emulation too."""

STAYS = ("/bin/sleep", "infinity")
FAILS = ("/bin/false",)
MISSING = ("/nonexistent/program",)
SAYS_READY = ("/bin/sh", "-c", "systemd-notify --ready; exec sleep infinity")

type Properties = list[tuple[str, str, object]]


def transient(
    *argv: str,
    unit: str = UNIT,
    kind: str = "exec",
    pin: str | None = None,
    more: Properties | None = None,
) -> Transient:
    """A service that runs `argv`; with `pin`, in that slice, which wants it."""
    properties: Properties = [
        ("Type", "s", kind),
        ("NotifyAccess", "s", "all"),
        ("ExecStartEx", "a(sasas)", [(argv[0], list(argv), ["no-env-expand"])]),
        *(more or []),
    ]
    if pin is None:
        return Transient(unit, properties)
    return Transient(unit, [*properties, ("Slice", "s", pin)], pin, [("Wants", "as", [unit])])


def pinned(*argv: str, unit: str = UNIT, kind: str = "exec", more: Properties | None = None) -> Transient:
    """The same, pinned by the slice `PIN`."""
    return transient(*argv, unit=unit, kind=kind, pin=PIN, more=more)


def scope(pid: int, *, more: Properties | None = None) -> Transient:
    """A scope of its own for a process that there is."""
    return Transient(SCOPE, [("PIDs", "au", [pid]), ("CollectMode", "s", "inactive-or-failed"), *(more or [])])


def started(systemd: Systemd, *wanted: Transient) -> list[JobResult]:
    """The results of starting, in the order asked."""
    results = systemd.start_transient(wanted, deadline_sec=DEADLINE_SEC)
    return [results[one.unit] for one in wanted]


def active(systemd: Systemd) -> dict[str, str]:
    """The active state of each loaded unit that the contract is tried with."""
    return {row.name: row.active for row in systemd.list_units([PATTERN])}


def main_pid(systemd: Systemd, unit: str = UNIT) -> int:
    """The unit's main process; 0 when it has none."""
    pid = systemd.get(unit, "Service", "MainPID", "u")
    assert isinstance(pid, int)
    return pid


def argv_of(systemd: Systemd, unit: str = UNIT) -> list[str]:
    """What the unit's main process was started with."""
    if isinstance(systemd, FakeSystemd):
        return systemd.argv(unit)
    line = Path(f"/proc/{main_pid(systemd, unit)}/cmdline").read_bytes()
    return line.removesuffix(b"\0").decode().split("\0")
