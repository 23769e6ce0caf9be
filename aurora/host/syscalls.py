"""Systemd's own groups of system calls, as this machine's systemd has them."""

from __future__ import annotations

from aurora.errors import HostError
from aurora.host.process import run

__all__ = ["parse_groups", "read_groups"]


def read_groups() -> dict[str, frozenset[str]] | None:
    """Group -> members, groups among them (systemd-analyze(1), syscall-filter); None when it cannot be asked."""
    try:
        return parse_groups(run(["systemd-analyze", "--no-pager", "syscall-filter"], timeout_sec=60).stdout)
    except HostError:
        return None


def parse_groups(text: str) -> dict[str, frozenset[str]]:
    """The same of what the program prints: names of groups at the margin, members indented, comments with #."""
    found: dict[str, set[str]] = {}
    group: set[str] | None = None
    for line in text.splitlines():
        word = line.strip()
        if line.startswith("@"):
            group = found.setdefault(word, set())
        elif line[:1] not in ("", " "):
            group = None  # the notes at the end
        elif group is not None and word and not word.startswith("#"):
            group.add(word)
    return {name: frozenset(members) for name, members in found.items()}
