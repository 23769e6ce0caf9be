"""Names of system calls: by number from libseccomp, with which systemd makes filters, and by @group from systemd."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping

from aurora.errors import HostError
from aurora.host.process import run

__all__ = ["syscall_groups", "syscall_names"]


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


def syscall_groups() -> Mapping[str, frozenset[str]]:
    """Every @group of this machine's systemd and the calls in it, groups within groups taken apart."""
    raw: dict[str, set[str]] = {}
    group = ""
    for line in run(["systemd-analyze", "--no-pager", "syscall-filter"], timeout_sec=60).stdout.splitlines():
        word = line.strip()
        if line.startswith("@"):
            group = word
            raw[group] = set()
        elif group and line.startswith(" ") and not word.startswith("#"):
            raw[group].add(word)
        elif not word:
            group = ""
    return {name: frozenset(_taken_apart(raw, name, frozenset())) for name in raw}


def _taken_apart(raw: Mapping[str, set[str]], name: str, inside: frozenset[str]) -> set[str]:
    found: set[str] = set()
    for word in raw.get(name, set()):
        if not word.startswith("@"):
            found.add(word)
        elif word not in inside:
            found |= _taken_apart(raw, word, inside | {name})
    return found
