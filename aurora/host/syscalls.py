"""Names of system calls: by number from libseccomp, with which systemd makes filters, and by @group from systemd."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping

from aurora.errors import HostError
from aurora.host.process import run

__all__ = ["parse_groups", "read_groups", "syscall_names", "taken_apart"]


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


def taken_apart(groups: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """The same with each group within a group replaced by its calls."""
    return {name: frozenset(_calls(groups, name, frozenset())) for name in groups}


def _calls(groups: Mapping[str, frozenset[str]], name: str, inside: frozenset[str]) -> set[str]:
    found: set[str] = set()
    for word in groups.get(name, ()):
        if not word.startswith("@"):
            found.add(word)
        elif word not in inside:
            found |= _calls(groups, word, inside | {name})
    return found


def syscall_names() -> Callable[[int, int], str | None]:
    """A function from (audit architecture, number) to the name, None for one that is not known.

    libseccomp's architecture tokens are those of the audit log (AUDIT_ARCH_… in include/uapi/linux/audit.h).
    """
    try:
        library = ctypes.CDLL("libseccomp.so.2")
        libc = ctypes.CDLL(None)
    except OSError as error:
        raise HostError("load libseccomp", str(error), remedy="apt install libseccomp2") from error
    resolve, free = library.seccomp_syscall_resolve_num_arch, libc.free
    resolve.argtypes, resolve.restype = (ctypes.c_uint32, ctypes.c_int), ctypes.c_void_p
    free.argtypes, free.restype = (ctypes.c_void_p,), None

    def name(arch: int, number: int) -> str | None:
        found = resolve(arch & 0xFFFF_FFFF, number)
        if not found:
            return None
        try:
            return ctypes.string_at(found).decode("ascii", errors="replace")
        finally:
            free(found)

    return name
