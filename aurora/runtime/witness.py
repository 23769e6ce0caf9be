"""What systemd, the kernel and the journal still know of a failure -> Evidence."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from aurora.host.cgroup import read_usage
from aurora.host.journal import (
    DEPENDENCY_RESULT,
    EXITED_MESSAGE_ID,
    FAILED_MESSAGE_ID,
    RESOURCES_MESSAGE_ID,
    RESTART_MESSAGE_ID,
    STARTED_MESSAGE_ID,
    read_entries,
    refusals,
    settle,
)
from aurora.host.show import show_units
from aurora.names import profile_name, safe_unit, slice_name, unit_name
from aurora.paths import Paths
from aurora.quantity import INFINITY
from aurora.runtime.evidence import LINES_MAX, Change, Evidence
from aurora.runtime.given import read_given
from aurora.runtime.records import Record
from aurora.runtime.refused import read_denials

__all__ = ["Failure", "failures_since", "read_failure", "witness"]

CHANGED_WITHIN_SEC = 3600
"""A change that is older is not told as one that came just before."""
FAILURES_MAX = 20
BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")
NOTES_MAX = 60
"""systemd's last lines on one run that are looked at."""

_PROPERTIES = (
    "LoadState", "ActiveState", "SubState", "Result", "NRestarts", "InvocationID", "ExecMainCode", "ExecMainStatus",
    "DropInPaths", "Requires", "Requisite", "BindsTo", "MemoryPeak",
)  # fmt: skip
_CODES = {"1": "exited", "2": "killed", "3": "dumped"}
_SIGNALS = {"HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "TRAP": 5, "ABRT": 6, "BUS": 7, "FPE": 8, "KILL": 9, "USR1": 10,
            "SEGV": 11, "USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": 15, "XCPU": 24, "XFSZ": 25, "SYS": 31}  # fmt: skip


class Failure(NamedTuple):
    """Which run of a unit failed, as far as whoever asks knows."""

    invocation: str = ""
    """Empty: the last run."""
    result: str = ""
    code: str = ""
    status: str = ""
    """A number, or the name of a signal without SIG."""


def read_failure(environment: Mapping[str, str]) -> Failure:
    """What systemd tells a unit that it starts because another failed (MONITOR_… in systemd.exec(5)).

    It is read when the unit's process is started, not when the other failed: where that has been started again since,
    its result is success and its InvocationID is that of the new run. Then nothing is known from here.
    """
    if environment.get("MONITOR_SERVICE_RESULT", "success") == "success":
        return Failure()
    return Failure(
        invocation=environment.get("MONITOR_INVOCATION_ID", ""),
        result=environment.get("MONITOR_SERVICE_RESULT", ""),
        code=environment.get("MONITOR_EXIT_CODE", ""),
        status=environment.get("MONITOR_EXIT_STATUS", ""),
    )


def failures_since(unit: str, invocation: str) -> list[Failure]:
    """The unit's last failures of this boot by the journal, oldest first: those after that of the run `invocation`."""
    settle()
    boot = f"_BOOT_ID={BOOT_ID_FILE.read_text().strip().replace('-', '')}"
    found = read_entries([f"UNIT={unit}", f"MESSAGE_ID={FAILED_MESSAGE_ID}", boot], last=FAILURES_MAX)
    failures = [Failure(one.get("INVOCATION_ID", ""), one.get("UNIT_RESULT", "")) for one in found]
    seen = max((at for at, one in enumerate(failures) if one.invocation == invocation), default=-1)
    return failures[seen + 1 :]


def witness(paths: Paths, record: Record, failure: Failure, *, safe_state: bool = False) -> Evidence:
    """All that is still known of the failure. The unit may be gone, the journal may be empty: less is known then."""
    module = record.name
    unit = safe_unit(module) if safe_state else unit_name(module)
    fields = show_units([unit], _PROPERTIES).get(unit, {})
    settle()
    last = [] if failure.invocation else read_entries([f"UNIT={unit}", f"MESSAGE_ID={FAILED_MESSAGE_ID}"], last=1)
    invocation = failure.invocation or _field(last, "INVOCATION_ID") or fields.get("InvocationID", "")
    about = [f"UNIT={unit}", f"INVOCATION_ID={invocation}", "_PID=1"]
    run = _Run(read_entries(about, last=NOTES_MAX) if invocation else [])
    now_usec = time.time_ns() // 1000
    began_usec = run.began_usec or now_usec
    ended_usec = run.ended_usec or now_usec
    given = read_given(paths, module)
    said = read_entries([f"_SYSTEMD_INVOCATION_ID={invocation}"], last=LINES_MAX) if invocation else []
    mine = not failure.invocation or fields.get("InvocationID") == failure.invocation  # else another run is there now
    code, status = _exit(run, failure, fields if mine else {})
    slice_group = f"/aurora.slice/{slice_name(module)}"
    usage = read_usage(slice_group, root=paths.prefix)
    return Evidence(
        module=module,
        version=given.version if given is not None else record.version,
        safe_state=safe_state,
        when_usec=ended_usec,
        first_usec=ended_usec,
        times=1,
        invocation=invocation,
        result=run.result or failure.result or (fields.get("Result", "") if mine else "") or "unknown",
        code=code,
        status=status,
        was_up=run.was_up,
        ran_sec=max(0, ended_usec - began_usec) // 1_000_000,
        gave_up=fields.get("ActiveState") == "failed",
        restarts=max(run.restarts, _number(fields.get("NRestarts", ""))),
        settings={} if given is None else given.settings,
        memory_peak_bytes=run.memory_peak_bytes or _peak(fields if mine else {}),
        oom_kills=usage.oom_kills,
        denials=read_denials(refusals(profile_name(module), since_usec=began_usec)),
        lines=tuple(line for entry in said if (line := entry.get("MESSAGE", "").strip())),
        dependency="" if failure.invocation else _dependency(unit, fields, last),
        changes=tuple(_changes(paths, record, fields, ended_usec)),
    )


class _Run:
    """What systemd wrote about one run of a unit."""

    def __init__(self, notes: Sequence[Mapping[str, str]]) -> None:
        by_id: dict[str, Mapping[str, str]] = {}
        for note in notes:
            if note.get("MESSAGE_ID") != EXITED_MESSAGE_ID or note.get("COMMAND", "ExecStart") == "ExecStart":
                by_id[note.get("MESSAGE_ID", "")] = note
        self.result = by_id.get(FAILED_MESSAGE_ID, {}).get("UNIT_RESULT", "")
        exited = by_id.get(EXITED_MESSAGE_ID, {})
        self.code = exited.get("EXIT_CODE", "")
        self.status = _number(exited.get("EXIT_STATUS", ""))
        self.was_up = STARTED_MESSAGE_ID in by_id
        self.restarts = _number(by_id.get(RESTART_MESSAGE_ID, {}).get("N_RESTARTS", ""))
        self.memory_peak_bytes = _number(by_id.get(RESOURCES_MESSAGE_ID, {}).get("MEMORY_PEAK", "")) or None
        self.began_usec = _usec(notes[0]) if notes else 0
        self.ended_usec = _usec(by_id[FAILED_MESSAGE_ID]) if FAILED_MESSAGE_ID in by_id else 0


def _exit(run: _Run, failure: Failure, fields: Mapping[str, str]) -> tuple[str, int]:
    if run.code:
        return run.code, run.status
    if failure.code:
        return failure.code, _SIGNALS.get(failure.status, _number(failure.status))
    code = _CODES.get(fields.get("ExecMainCode", ""), "")
    return code, _number(fields.get("ExecMainStatus", "")) if code else 0


def _usec(note: Mapping[str, str]) -> int:
    return _number(note.get("__REALTIME_TIMESTAMP", ""))


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _field(entries: Sequence[Mapping[str, str]], name: str) -> str:
    return entries[-1].get(name, "") if entries else ""


def _peak(fields: Mapping[str, str]) -> int | None:
    peak = _number(fields.get("MemoryPeak", ""))
    return peak if 0 < peak < INFINITY else None


def _dependency(unit: str, fields: Mapping[str, str], last: Sequence[Mapping[str, str]]) -> str:
    """The unit that kept this one from being started, where that is newer than its last own failure."""
    given_up = read_entries([f"UNIT={unit}", f"JOB_RESULT={DEPENDENCY_RESULT}"], last=1)
    if not given_up or (last and _usec(last[-1]) > _usec(given_up[-1])):
        return ""
    needed = [name for key in ("Requires", "Requisite", "BindsTo") for name in fields.get(key, "").split()]
    states = show_units(needed, ("ActiveState",)) if needed else {}
    failed = [name for name in needed if states.get(name, {}).get("ActiveState") == "failed"]
    down = [name for name in needed if states.get(name, {}).get("ActiveState") == "inactive"]
    return (failed or down or ["another unit"])[0]


def _changes(paths: Paths, record: Record, fields: Mapping[str, str], failed_usec: int) -> list[Change]:
    """What was changed within CHANGED_WITHIN_SEC before the failure, the newest first."""
    places = [(Path(record.folder(paths)), f"version {record.version} was installed")]
    places += [(Path(path), f"the drop-in {path} was written") for path in fields.get("DropInPaths", "").split()]
    owned = [paths.owner_core, paths.owner_modules / f"{record.name}.toml"]
    if paths.owner_policies.is_dir():
        owned += sorted(paths.owner_policies.glob("*.toml"))
    places += [(path, f"{path} was changed") for path in owned]
    found = []
    for path, what in places:
        try:
            before_sec = failed_usec // 1_000_000 - int(path.stat().st_mtime)
        except OSError:
            continue
        if 0 <= before_sec <= CHANGED_WITHIN_SEC:
            found.append(Change(what=what, before_sec=before_sec))
    return sorted(found, key=lambda change: change.before_sec)
