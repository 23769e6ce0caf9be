"""Log lines from the journal, through journalctl(1)."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from aurora.errors import HostError
from aurora.host.process import run

__all__ = [
    "DEPENDENCY_RESULT",
    "EXITED_MESSAGE_ID",
    "FAILED_MESSAGE_ID",
    "RESOURCES_MESSAGE_ID",
    "RESTART_MESSAGE_ID",
    "STARTED_MESSAGE_ID",
    "STOPPED_MESSAGE_ID",
    "Line",
    "denials",
    "last_failure",
    "read_entries",
    "read_lines",
    "refusals",
    "settle",
]

FAILED_MESSAGE_ID = "d9b373ed55a64feb8242e02dbe79a49c"
"""systemd logs it when a unit enters the failed state, with UNIT_RESULT (sd-messages.h, UNIT_FAILURE_RESULT)."""
EXITED_MESSAGE_ID = "98e322203f7a4ed290d09fe03c09fe15"
"""A process of a unit has ended: EXIT_CODE, EXIT_STATUS, COMMAND (SD_MESSAGE_UNIT_PROCESS_EXIT)."""
STARTED_MESSAGE_ID = "39f53479d3a045ac8e11786248231fbf"
"""A unit has come up (SD_MESSAGE_UNIT_STARTED)."""
STOPPED_MESSAGE_ID = "9d1aaa27d60140bd96365438aad20286"
"""A unit was stopped because that was asked for (SD_MESSAGE_UNIT_STOPPED)."""
RESTART_MESSAGE_ID = "5eb03494b6584870a536b337290809b3"
"""A restart is scheduled: N_RESTARTS (SD_MESSAGE_UNIT_RESTART_SCHEDULED)."""
RESOURCES_MESSAGE_ID = "ae8f7b866b0347b9af31fe1c80b127c0"
"""What a unit used until it ended: CPU_USAGE_NSEC, MEMORY_PEAK (SD_MESSAGE_UNIT_RESOURCES)."""
DEPENDENCY_RESULT = "dependency"
"""JOB_RESULT of a start that was given up because a unit it needs failed."""
LINE_MAX_CHARS = 4096
KERNEL_LINES_MAX = 500
KERNEL_LINES_WITHIN_USEC = 3_600_000_000


class Line(NamedTuple):
    """One entry of the journal."""

    realtime_usec: int
    """Since the epoch."""
    priority: int
    """0 (emergency) to 7 (debug)."""
    identifier: str
    message: str
    """At most LINE_MAX_CHARS characters; the rest is cut."""
    unit_result: str
    """UNIT_RESULT where systemd wrote it, else empty."""


def read_lines(matches: Sequence[str], *, last: int, since_usec: int | None = None) -> list[Line]:
    """The last lines that match (`FIELD=value` words, journalctl(1)), oldest first; empty without a journal."""
    argv = ["journalctl", "--output=json", "--quiet", "--no-pager", f"--lines={last}"]
    if since_usec is not None:
        argv.append(f"--since=@{since_usec // 1_000_000}")
    done = run([*argv, *matches], check=False, timeout_sec=60)
    return list(_parsed(done.stdout.splitlines()))


def _parsed(rows: Sequence[str]) -> Iterator[Line]:
    for row in rows:
        try:
            fields = json.loads(row)
        except ValueError:
            continue
        yield Line(
            realtime_usec=int(fields.get("__REALTIME_TIMESTAMP", 0)),
            priority=int(fields.get("PRIORITY", 6)),
            identifier=str(fields.get("SYSLOG_IDENTIFIER", "")),
            message=_message(fields.get("MESSAGE")),
            unit_result=str(fields.get("UNIT_RESULT", "")),
        )


def _message(value: object) -> str:
    if isinstance(value, list):  # bytes that are not UTF-8 come as numbers
        value = bytes(one for one in value if isinstance(one, int)).decode(errors="replace")
    return str(value or "")[:LINE_MAX_CHARS]


def last_failure(unit: str) -> Line | None:
    """Systemd's last note that the unit failed, this boot or earlier where the journal is kept."""
    found = read_lines([f"MESSAGE_ID={FAILED_MESSAGE_ID}", f"UNIT={unit}"], last=1)
    return found[-1] if found else None


def denials(profile: str, *, since_usec: int) -> list[str]:
    """What AppArmor refused to processes under the profile, from the kernel's log: at most 20 lines, newest last."""
    return [line for line in _of_profile(profile, since_usec) if 'apparmor="DENIED"' in line][-20:]


def _of_profile(profile: str, since_usec: int) -> list[str]:
    """The kernel's last lines since then that are about the profile: at most KERNEL_LINES_MAX, newest last.

    Nothing older than KERNEL_LINES_WITHIN_USEC is looked at, and nothing is known where that takes too long: where
    much is refused to others, the log is long.
    """
    name = re.escape(profile)
    matches = [f'--grep=profile="{name}"|subj={name}( |$)', "--reverse", "_TRANSPORT=kernel", "+", "_TRANSPORT=audit"]
    since_usec = max(since_usec, time.time_ns() // 1000 - KERNEL_LINES_WITHIN_USEC)
    try:
        found = read_lines(matches, last=KERNEL_LINES_MAX, since_usec=since_usec)
    except HostError:
        return []
    return [line.message for line in reversed(found)]


def settle() -> None:
    """Wait until what has been logged so far can be read."""
    run(["journalctl", "--sync"], check=False, timeout_sec=20)


def read_entries(matches: Sequence[str], *, last: int, since_usec: int | None = None) -> list[dict[str, str]]:
    """The last entries that match with all their fields as text, oldest first; empty without a journal."""
    argv = ["journalctl", "--output=json", "--quiet", "--no-pager", f"--lines={last}"]
    if since_usec is not None:
        argv.append(f"--since=@{since_usec // 1_000_000}")
    done = run([*argv, *matches], check=False, timeout_sec=60)
    found = []
    for row in done.stdout.splitlines():
        try:
            fields = json.loads(row)
        except ValueError:
            continue
        found.append({key: _message(value) for key, value in fields.items()})
    return found


def refusals(profile: str, *, since_usec: int) -> list[str]:
    """What AppArmor and system call filters refused to processes under the profile, in the kernel's words.

    At most 50, newest last. A filter that answers with an error leaves no line, one that kills or logs does
    (seccomp(2)). Where a lot is refused to anybody, the kernel drops lines (debian/60-aurora-core.conf).
    """
    words = ('apparmor="DENIED"', "type=1326", "SECCOMP")
    return [line for line in _of_profile(profile, since_usec) if any(word in line for word in words)][-50:]
