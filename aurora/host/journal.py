"""Log lines from the journal, through journalctl(1)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from aurora.host.process import run

__all__ = ["FAILED_MESSAGE_ID", "Line", "denials", "last_failure", "read_lines"]

FAILED_MESSAGE_ID = "d9b373ed55a64feb8242e02dbe79a49c"
"""systemd logs it when a unit enters the failed state, with UNIT_RESULT (sd-messages.h, UNIT_FAILURE_RESULT)."""
LINE_MAX_CHARS = 4096


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
    """What AppArmor refused to processes under the profile, from the kernel's log: at most 20 lines, newest last.

    Only the last 2,000 lines of the kernel's log since then are looked at.
    """
    needle = f'profile="{profile}"'
    lines = read_lines(["_TRANSPORT=kernel", "+", "_TRANSPORT=audit"], last=2000, since_usec=since_usec)
    return [line.message for line in lines if 'apparmor="DENIED"' in line.message and needle in line.message][-20:]
