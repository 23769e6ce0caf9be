"""The mounts that a process sees (proc_pid_mountinfo(5))."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Mount", "mount_of", "parse_mounts", "size_in_memory"]


class Mount(NamedTuple):
    """One line of mountinfo."""

    number: int
    parent: int
    device: str
    root: str
    """The part of the file system that is shown here."""
    point: str
    options: frozenset[str]
    """Of this mount: ro, nosuid, ..."""
    kind: str
    """The type of the file system."""
    super_options: frozenset[str]
    """Of the file system: ro, hidepid=invisible, ..."""

    @property
    def writable(self) -> bool:
        """Whether something can be written through it."""
        return "ro" not in self.options and "ro" not in self.super_options

    @property
    def what(self) -> tuple[str, str]:
        """Equal for two mounts that show the same."""
        return self.device, self.root


def parse_mounts(text: str) -> tuple[Mount, ...]:
    """The mounts in the kernel's order; lines of another form are passed over."""
    return tuple(mount for line in text.splitlines() if (mount := _parsed(line)) is not None)


def _parsed(line: str) -> Mount | None:
    left, found, right = line.partition(" - ")
    words, more = left.split(" "), right.split(" ")
    if not found or len(words) < 6 or len(more) < 3 or not (words[0].isdecimal() and words[1].isdecimal()):
        return None
    return Mount(
        number=int(words[0]),
        parent=int(words[1]),
        device=words[2],
        root=_plain(words[3]),
        point=_plain(words[4]),
        options=frozenset(words[5].split(",")),
        kind=more[0],
        super_options=frozenset(more[2].split(",")),
    )


def _plain(word: str) -> str:
    """The kernel writes space, tab, newline and backslash as three octal digits."""
    for code in ("040", "011", "012", "134"):
        word = word.replace(f"\\{code}", chr(int(code, 8)))
    return word


def mount_of(mounts: Sequence[Mount], path: str) -> Mount | None:
    """The mount that shows `path` (absolute, no link in it), as the kernel would walk to it; None without a root."""
    numbers = {mount.number for mount in mounts}
    here = next((m for m in mounts if m.point == "/" and (m.parent not in numbers or m.parent == m.number)), None)
    for _ in mounts:  # each step goes one mount up, so there are at most so many
        if here is None:
            return None
        above = [m for m in mounts if m.parent == here.number and m.number != here.number and _on_way(m.point, path)]
        if not above:
            return here
        here = min(above, key=lambda mount: len(mount.point))
    return here


def _on_way(point: str, path: str) -> bool:
    return point in ("/", path) or path.startswith(point + "/")


def size_in_memory(mount: Mount) -> int | None:
    """How many bytes a tmpfs can hold, which the kernel writes in KiB (tmpfs(5)); None where it has no bound."""
    found = next((option for option in mount.super_options if option.startswith("size=")), "")
    number = found.removeprefix("size=").removesuffix("k")
    return int(number) * 1024 if found.endswith("k") and number.isdecimal() else None
