"""Which slot of the core runs, and what dpkg calls what. On the path of the short verbs: it imports little."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from aurora.paths import Paths

__all__ = ["active_slot", "behind", "slot_version", "wanted_version"]

VERSION_MAX_CHARS = 256


def active_slot(paths: Paths) -> str:
    """The slot that runs; empty where none does, and dpkg's own copy is what runs."""
    try:
        name = os.readlink(f"{paths.core_text}/active")  # noqa: PTH115  # short verbs do without pathlib
    except OSError:
        return ""
    return name if name in ("a", "b") else ""


def slot_version(paths: Paths, slot: str) -> str:
    """What dpkg calls the version in a slot; empty where nothing is there."""
    return _line(f"{paths.core_text}/{slot}/version") if slot else ""


def wanted_version(paths: Paths) -> str:
    """The version that dpkg has and that is not active, or not confirmed yet; empty where there is no such thing."""
    return _line(f"{paths.core_text}/wanted")


def behind(paths: Paths) -> tuple[str, str] | None:
    """The version that is active and the one that dpkg has, where dpkg's is not active and confirmed.

    None also where dpkg's own copy is what runs. Both are the same while that version is tried.
    """
    wanted = wanted_version(paths)
    slot = active_slot(paths) if wanted else ""
    return (slot_version(paths, slot) or "an unknown version", wanted) if slot else None


def _line(place: str) -> str:
    try:
        with open(place, encoding="utf-8", errors="replace") as file:  # noqa: PTH123  # short verbs do without pathlib
            return file.read(VERSION_MAX_CHARS).strip()
    except OSError:
        return ""
