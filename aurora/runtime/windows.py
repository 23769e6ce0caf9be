"""The owner's windows of time: until when none is open, what waits for one, and being woken when it opens."""

from __future__ import annotations

import time

from aurora.errors import HostError
from aurora.host.systemd import Systemd, Transient
from aurora.paths import Paths
from aurora.policy import Local, next_opening
from aurora.runtime.applied import UP
from aurora.runtime.folders import owner_settings
from aurora.runtime.packages import changed_packages

__all__ = ["WAKING_TIMER", "opening_sec", "waiting", "wake"]

WAKING_TIMER = "aurora-window.timer"
"""Transient: it is there while something waits, and starts aurora-window.service once."""
DEADLINE_SEC = 30.0


def _local(sec: int) -> Local:
    shown = time.localtime(sec)
    return Local(shown.tm_wday, shown.tm_hour * 60 + shown.tm_min)


def opening_sec(paths: Paths) -> int | None:
    """When the owner next lets new versions in, in seconds since the epoch; None when that is now."""
    return next_opening(owner_settings(paths).windows, int(time.time()), _local)


def waiting(paths: Paths) -> tuple[list[str], int]:
    """The modules whose package has a version that waits for a window, and when that opens; none while one is open."""
    opens_sec = opening_sec(paths)
    return ([], 0) if opens_sec is None else (changed_packages(paths), opens_sec)


def wake(systemd: Systemd, at_sec: int | None) -> None:
    """Have the machine be made equal again at that time, and at no other; HostError when systemd refuses.

    What is then not yet due, as the clock or its zone was set anew, is put off again.
    """
    if any(row.active in UP for row in systemd.list_units([WAKING_TIMER])):
        systemd.stop([WAKING_TIMER], deadline_sec=DEADLINE_SEC)
    if at_sec is None:
        return
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at_sec))
    properties = [
        ("Description", "s", "AuroraOS Core: the next window for new versions"),
        ("TimersCalendar", "a(ss)", [("OnCalendar", when)]),
        ("AccuracyUSec", "t", 1_000_000),
        ("RemainAfterElapse", "b", False),
    ]
    job = systemd.start_transient([Transient(WAKING_TIMER, properties)], deadline_sec=DEADLINE_SEC)[WAKING_TIMER]
    if not job.ok:
        raise HostError("wait for the next window", job.message or job.result, where=WAKING_TIMER)
