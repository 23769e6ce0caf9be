"""What runs, against its limits. On the path of `auroractl status`: it imports little and asks systemd little."""

from __future__ import annotations

import time

from aurora.host.cgroup import Usage, read_usage
from aurora.host.show import show_units
from aurora.host.space import space_of
from aurora.names import BUDGET_VARIABLES, UNENFORCED_VARIABLE, slice_name, timer_name, unit_name
from aurora.paths import Paths
from aurora.quantity import parse_duration
from aurora.runtime.damaged import read_damaged
from aurora.runtime.records import Record
from aurora.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Disk", "Status", "age_sec", "read_status"]


class Disk(Value):
    """A directory that has a budget."""

    directory: str
    """state, cache or logs."""
    used_bytes: int | None
    """None where it is not mounted, or the caller may not look."""
    max_bytes: int


class Status(Value):
    """One installed module as it stands."""

    name: str
    version: str
    description: str
    unit: str
    enabled: bool
    active: str
    """ActiveState of the unit; inactive when systemd does not know it."""
    sub: str
    """SubState of the unit, such as running or auto-restart."""
    since_sec: int
    """When it entered that state, in seconds since the epoch; 0 when never."""
    restarts: int
    """How often systemd has restarted it by itself since it was last started."""
    result: str
    """How its last run ended; success when it did not fail."""
    exit_status: int
    main_pid: int
    """0 when it does not run."""
    usage: Usage
    disk: tuple[Disk, ...]
    """Its directories that have a budget, from when systemd has its unit."""
    unenforced: tuple[str, ...]
    """Features it relies on that are missing here, as the owner accepts."""
    outdated: bool
    """Whether it runs from another slot or version than is installed."""
    damaged: str
    """What of its files is known to be damaged and could not be mended; empty when nothing is."""
    scheduled: bool
    """Whether a timer is up that runs it."""
    next_sec: int
    """When that timer runs it next, in seconds since the epoch; 0 when it will not, or runs it now."""

    @property
    def up(self) -> bool:
        """Whether the module is up; one with a schedule, whether the timer is and the last run went well."""
        return self.active in ("active", "reloading", "refreshing") or (self.scheduled and self.active != "failed")


_PROPERTIES = (
    "ActiveState",
    "SubState",
    "StateChangeTimestamp",
    "NRestarts",
    "Result",
    "ExecMainStatus",
    "MainPID",
    "WorkingDirectory",
    "Environment",
    "NextElapseUSecRealtime",
    "NextElapseUSecMonotonic",
)


def read_status(paths: Paths, records: Sequence[Record]) -> list[Status]:
    """The status of each record's module; HostError when systemd cannot be asked."""
    units = show_units(["aurora@*.service", "aurora@*.timer"], _PROPERTIES)
    nothing: dict[str, str] = {}
    damaged = read_damaged(paths, records)
    return [
        _status(
            paths,
            record,
            units.get(unit_name(record.name), nothing),
            units.get(timer_name(record.name), nothing),
            damaged.get(record.name, ""),
        )
        for record in records
    ]


def _status(paths: Paths, record: Record, fields: Mapping[str, str], timer: Mapping[str, str], damaged: str) -> Status:
    unit = unit_name(record.name)
    told = _told(fields.get("Environment", ""))
    unenforced = told.get(UNENFORCED_VARIABLE, "")
    folder = fields.get("WorkingDirectory", "")
    return Status(
        name=record.name,
        version=record.version,
        description=record.description,
        unit=unit,
        enabled=record.enabled,
        active=fields.get("ActiveState", "inactive"),
        sub=fields.get("SubState", "dead"),
        since_sec=_number(fields.get("StateChangeTimestamp", "").removeprefix("@")),
        restarts=_number(fields.get("NRestarts", "")),
        result=fields.get("Result", "success"),
        exit_status=_number(fields.get("ExecMainStatus", "")),
        main_pid=_number(fields.get("MainPID", "")),
        usage=read_usage(f"/aurora.slice/{slice_name(record.name)}/{unit}", root=paths.prefix),
        disk=_disk(paths, record.name, told),
        unenforced=tuple(unenforced.split(",")) if unenforced else (),
        outdated=bool(folder) and folder != record.folder(paths),
        damaged=damaged,
        scheduled=timer.get("ActiveState") == "active",
        next_sec=_next_sec(timer),
    )


def _told(environment: str) -> dict[str, str]:
    """The variables of the core's own, which come first; what follows is the module's to choose."""
    ours = (UNENFORCED_VARIABLE, *BUDGET_VARIABLES.values())
    found: dict[str, str] = {}
    for word in environment.split(" "):
        name, _, value = word.partition("=")
        if name not in ours:
            break
        found[name] = value
    return found


def _disk(paths: Paths, module: str, told: Mapping[str, str]) -> tuple[Disk, ...]:
    found = []
    for directory, variable in BUDGET_VARIABLES.items():
        if variable in told:
            space = space_of(paths.private_text(directory, module))
            found.append(Disk(directory, None if space is None else space.used_bytes, _number(told[variable])))
    return tuple(found)


def _next_sec(timer: Mapping[str, str]) -> int:
    """The earlier of the timer's next calendar event and its next time since boot."""
    found = [_calendar_sec(timer.get("NextElapseUSecRealtime", ""))]
    words = timer.get("NextElapseUSecMonotonic", "").split()
    try:
        since_boot_usec = parse_duration(" ".join(map(_without_fraction, words)))
        found.append(int(time.time() - time.monotonic() + since_boot_usec / 1_000_000))
    except ValueError:  # empty or "infinity": no such time
        pass
    return min((one for one in found if one), default=0)


def _calendar_sec(text: str) -> int:
    """Seconds since the epoch of "Thu 2026-11-26 03:31:58 UTC": systemctl prints this one in local time alone."""
    words = text.split()
    if len(words) != 4:
        return 0
    try:
        year, month, day = map(int, words[1].split("-"))
        hour, minute, second = map(int, words[2].split(":"))
        return int(time.mktime((year, month, day, hour, minute, second, -1, -1, -1)))
    except (ValueError, OverflowError):
        return 0


def _without_fraction(word: str) -> str:
    """The word 59.123456s as 59s: systemd prints more digits than anybody may write."""
    whole, point, rest = word.partition(".")
    return whole + rest.lstrip("0123456789") if point else word


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def age_sec(since_sec: int) -> int:
    """Whole seconds from then to now; 0 for the future."""
    return max(0, int(time.time()) - since_sec)
