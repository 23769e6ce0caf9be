"""What may follow the colon of a grant, such as `listen:8080`: one row for each kind.

In the grants file the kind's word stands for it, as in `["listen:PORT"]`, and $PORT where its text goes. What is
taken here holds no character that means something to systemd or AppArmor, so it can add no directive, rule or path.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["ARGUMENTS", "Argument", "argument_of", "filled"]

PORT_MAX = 65535
PATH_MAX_CHARS = 200

_PATH = re.compile(r"(?:/[A-Za-z0-9_@+-][A-Za-z0-9._@+-]*)+", re.ASCII)
_DEVICE = re.compile(r"/dev(?:/[A-Za-z0-9_@+-][A-Za-z0-9._@+:-]*)+", re.ASCII)
_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_BUS_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}(?:\.[A-Za-z_][A-Za-z0-9_-]{0,62}){1,7}", re.ASCII)
_PLACEHOLDER = re.compile(r"\$([A-Za-z]+)")

_CAPABILITIES = """
AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER
FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN NET_BIND_SERVICE
NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE
SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM
"""
"""capabilities(7), without CAP_."""

# Each tree with what it would open beyond files, and the grant that does it by itself where there is one.
_CLOSED = {
    "/proc": ("the kernel's own files are there", "the grant proc or host.figures"),
    "/sys": ("the kernel's own files are there", "the grant host.figures"),
    "/dev": ("devices are there", "the grant device:/dev/NAME"),
    "/run/systemd": ("systemd's own sockets are there", ""),
    "/run/dbus": ("the socket of the system bus is there", "the grant dbus:NAME"),
    "/run/aurora": ("the core's own state is there", ""),
    "/run/aurora-modules": ("the files of other modules are there", "/srv or another folder for what is shared"),
    "/etc/aurora": ("the owner's settings for the core are there", ""),
    "/usr/lib/aurora": ("the programs of other modules are there", ""),
    "/var/lib/aurora-core": ("the programs of other modules are there", ""),
    "/var/lib/aurora": ("the state of other modules is there", "/srv or another folder for what is shared"),
    "/var/lib/private": ("the state of other services is there", ""),
    "/var/cache/private": ("the caches of other services are there", ""),
    "/var/log/private": ("the logs of other services are there", ""),
}
_OPEN_ABOVE = frozenset({"/etc/aurora", "/var/cache/private", "/var/log/private"})
"""What may lie within a path that is granted: only root can read it, or all may."""


class Argument(NamedTuple):
    """A row of the table."""

    word: str
    """What stands for it in the name of a grant."""
    doc: str
    """What it is."""
    sample: str
    """A good one."""
    check: Callable[[str], str]
    """The text, when it is one; ValueError with a reason otherwise."""


def _port(text: str) -> str:
    if not _PORT.fullmatch(text) or int(text) > PORT_MAX:
        raise ValueError(f"{text!r} is not a port number from 1 to {PORT_MAX}")
    return text


def _path(text: str) -> str:
    if len(text) > PATH_MAX_CHARS or not _PATH.fullmatch(text):
        raise ValueError(
            f"{text!r} is not a plain absolute path: letters, digits and . _ @ + - between single slashes, no part"
            f" that begins with a point, at most {PATH_MAX_CHARS} characters"
        )
    for tree, (why, instead) in _CLOSED.items():
        if f"{text}/".startswith(f"{tree}/") or (tree.startswith(f"{text}/") and tree not in _OPEN_ABOVE):
            place = text if text == tree else f"{text} ({tree})"
            raise ValueError(f"{place} cannot be given as files: {why}" + (f"; {instead} is for that" * bool(instead)))
    return text


def _device(text: str) -> str:
    if len(text) > PATH_MAX_CHARS or not _DEVICE.fullmatch(text):
        raise ValueError(f"{text!r} is not the path of a device, such as /dev/ttyUSB0")
    return text


def _capability(text: str) -> str:
    if text not in _CAPABILITIES.split():
        raise ValueError(f"{text!r} is not a capability's name, such as NET_BIND_SERVICE (capabilities(7))")
    return text


def _bus_name(text: str) -> str:
    if not _BUS_NAME.fullmatch(text):
        raise ValueError(f"{text!r} is not a name on the bus, such as org.freedesktop.hostname1")
    return text


ARGUMENTS: dict[str, Argument] = {
    row.word: row
    for row in (
        Argument("PORT", "a port number", "8080", _port),
        Argument("PATH", "an absolute path of plain characters", "/srv/photos", _path),
        Argument("DEVICE", "the path of a device", "/dev/ttyUSB0", _device),
        Argument("CAPABILITY", "the name of a capability, without CAP_", "KILL", _capability),
        Argument("NAME", "a well-known name on the system bus", "org.freedesktop.hostname1", _bus_name),
    )
}
"""All rows by their word."""


def argument_of(grant: str) -> Argument | None:
    """The kind of what follows the colon in a name of the grants file; None where the name stands for itself."""
    return ARGUMENTS.get(grant.partition(":")[2])


def filled(text: str, word: str, argument: str) -> str:
    """The text with $WORD replaced, and $word by the same in small letters; ValueError for another placeholder."""

    def value(found: re.Match[str]) -> str:
        if not word or found[1] not in (word, word.lower()):
            raise ValueError(f"{found[0]} stands for nothing here")
        return argument if found[1] == word else argument.lower()

    return _PLACEHOLDER.sub(value, text)
