"""Calendar events of systemd.time(7), as systemd itself reads them."""

from __future__ import annotations

from aurora.errors import HostError
from aurora.host.process import run

__all__ = ["calendar_fault", "normalized"]


def calendar_fault(event: str) -> str | None:
    """Why systemd would not take the calendar event, or None when it would."""
    done = run(["systemd-analyze", "calendar", "--", event], check=False)
    if done.status == 0:
        return None
    return f"systemd does not know it: {done.stderr.strip()[:500]}"


def normalized(event: str) -> str | None:
    """The event as systemd spells it out: `daily` is `*-*-* 00:00:00`; None when it cannot be asked."""
    try:
        done = run(["systemd-analyze", "calendar", "--", event], check=False)
    except HostError:
        return None
    lines = [line.partition(":") for line in done.stdout.splitlines()]
    return next((text.strip() for name, _, text in lines if name.strip() == "Normalized form"), None)
