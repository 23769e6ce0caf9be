"""Calendar events of systemd.time(7), as systemd itself reads them."""

from __future__ import annotations

from aurora.host.process import run

__all__ = ["calendar_fault"]


def calendar_fault(event: str) -> str | None:
    """Why systemd would not take the calendar event, or None when it would."""
    done = run(["systemd-analyze", "calendar", "--", event], check=False)
    if done.status == 0:
        return None
    return f"systemd does not know it: {done.stderr.strip()[:500]}"
