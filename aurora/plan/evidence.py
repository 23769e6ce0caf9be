"""The kernel's audit records of a learning run -> what the module did, each thing once, with how often.

The kernel writes them, but the module chooses names in them: a path or a program's name that holds a quote, a space
or a control character comes in hexadecimal, so a name can never end its field and begin another. What does not
read as a whole line of fields is counted and never guessed at. Everything is bounded; what is beyond a bound is
counted, and a proposal made of it does not claim to be complete.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

__all__ = [
    "APPARMOR_RECORD",
    "SECCOMP_RECORD",
    "Collector",
    "Deed",
    "Did",
    "Evidence",
    "record_fields",
]

APPARMOR_RECORD = 1400
"""AUDIT_AVC in include/uapi/linux/audit.h; AppArmor writes under it."""
SECCOMP_RECORD = 1326
"""AUDIT_SECCOMP."""
DEEDS_MAX = 2000
"""Different deeds that are kept of one run."""
ADDRESSES_MAX = 200
"""Different addresses that are kept of one run."""
RECORD_MAX_CHARS = 9000  # MAX_AUDIT_MESSAGE_LENGTH of the kernel is 8970
NAME_MAX_CHARS = 4096
_FIELD = re.compile(r' *([A-Za-z_][A-Za-z0-9_-]*)=("[^"]*"|[^" ]*)(?: \((?:complain|enforce|kill|mixed)\))?(?= |$)')
_HEAD = re.compile(r"audit\((\d{1,12})\.\d{1,9}:\d{1,20}\): ")
_HEX = re.compile(r"(?:[0-9A-F]{2})+")
_NAMED = frozenset({"name", "comm", "profile", "target", "exe"})
"""Fields whose bare value is a name in hexadecimal."""


class Did(StrEnum):
    """What kind of thing was done."""

    FILE = "file"
    """A path was opened, made, changed or looked into."""
    RUN = "run"
    """A program was executed."""
    NETWORK = "network"
    """A socket of a family and type was used."""
    CAPABILITY = "capability"
    SYSCALL = "syscall"
    OTHER = "other"
    """Something that AppArmor has another word for."""


class Deed(NamedTuple):
    """One kind of thing done to one object."""

    did: Did
    what: str
    """A path, `inet stream`, a capability, a system call."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """How one deed was seen."""

    deed: Deed
    access: str
    """For a file: of r, w, x, m, k, l, all that were seen; else empty."""
    count: int
    first_sec: int
    """When it was first seen, in seconds since the epoch."""
    program: str
    """The name of the process that did it first; a process chooses its own."""


class _Seen:
    """A deed while records still come."""

    __slots__ = ("access", "count", "first_sec", "program")

    def __init__(self, first_sec: int, program: str) -> None:
        self.access: set[str] = set()
        self.count = 0
        self.first_sec = first_sec
        self.program = program


def record_fields(text: str) -> Mapping[str, str] | None:
    """The fields of a record behind its head, names decoded; None when it is not made of fields throughout."""
    head = _HEAD.match(text)
    if head is None or len(text) > RECORD_MAX_CHARS:
        return None
    found = {"at": head[1]}
    place = head.end()
    text = text.rstrip("\x00\n ")
    while place < len(text):
        match = _FIELD.match(text, place)
        if match is None or match.end() == place:
            return None
        name, value = match[1], match[2]
        if name not in found:
            found[name] = _value(name, value)
        place = match.end()
    return found


def _value(name: str, value: str) -> str:
    if value.startswith('"'):
        return value[1:-1]
    if name in _NAMED and _HEX.fullmatch(value):
        return bytes.fromhex(value).decode(errors="surrogateescape")[:NAME_MAX_CHARS]
    return value


class Collector:
    """Takes records in as they come; `evidence` is what they say of one profile."""

    def __init__(self, profile: str, syscall_name: Callable[[int, int], str | None]) -> None:
        """`syscall_name` gives the name of (audit architecture, number), or None."""
        self._profile = profile
        self._syscall_name = syscall_name
        self._deeds: dict[Deed, _Seen] = {}
        self._addresses: dict[str, None] = {}
        self._ports: dict[int, None] = {}
        self.binds = False
        """Whether a socket that is not for connections was bound; to which port is not in the record."""
        self.records = 0
        """Records of the profile."""
        self.unread = 0
        """Records that are not made of fields."""
        self.beyond = 0
        """Records of deeds or addresses beyond the bounds."""
        self.elsewhere = 0
        """What programs did that are outside the sandbox's reach, under a profile that AppArmor made for them."""

    def take(self, kind: int, text: str) -> None:
        """One record: its number and its text as the kernel sends it."""
        if kind not in (APPARMOR_RECORD, SECCOMP_RECORD):
            return
        fields = record_fields(text)
        if fields is None:
            self.unread += self._profile in text
            return
        if kind == SECCOMP_RECORD:
            if fields.get("subj", "").partition("//")[0] == self._profile:
                self._take_syscall(fields)
            return
        profile, _, child = fields.get("profile", "").partition("//")
        if profile != self._profile or fields.get("apparmor") not in ("ALLOWED", "DENIED", "AUDIT"):
            return
        self.records += 1
        if child:
            self.elsewhere += 1
            return
        self._take_apparmor(fields)

    def _take_syscall(self, fields: Mapping[str, str]) -> None:
        self.records += 1
        number, arch = fields.get("syscall", ""), fields.get("arch", "")
        name = None
        if number.isdecimal() and len(number) < 10 and re.fullmatch(r"[0-9a-f]{1,8}", arch):
            name = self._syscall_name(int(arch, 16), int(number))
        self._add(Deed(Did.SYSCALL, name or f"{arch}:{number}"), fields, "")

    def _take_apparmor(self, fields: Mapping[str, str]) -> None:
        operation, name = fields.get("operation", ""), fields.get("name", "")
        access = _letters(fields.get("denied_mask") or fields.get("requested_mask", ""))
        if "family" in fields:
            self._add(Deed(Did.NETWORK, f"{fields['family']} {fields.get('sock_type', '')}"), fields, "")
            if fields.get("faddr"):
                self._address(fields["faddr"])
            if operation == "listen":
                self._port(fields.get("lport", ""))
            self.binds |= operation == "bind" and fields.get("sock_type") != "stream"
        elif operation == "capable":
            self._add(Deed(Did.CAPABILITY, fields.get("capname", "")), fields, "")
        elif operation == "exec":
            self._add(Deed(Did.RUN, name), fields, "x")
        elif name.startswith("/") and access:
            self._add(Deed(Did.FILE, name), fields, access)
        else:
            what = " ".join(fields[key] for key in ("operation", "class", "name", "target", "info") if fields.get(key))
            self._add(Deed(Did.OTHER, what), fields, "")

    def _add(self, deed: Deed, fields: Mapping[str, str], access: str) -> None:
        seen = self._deeds.get(deed)
        if seen is None:
            if len(self._deeds) >= DEEDS_MAX:
                self.beyond += 1
                return
            seen = _Seen(int(fields["at"]), fields.get("comm", ""))
            self._deeds[deed] = seen
        seen.count += 1
        seen.access |= set(access)

    def _address(self, address: str) -> None:
        if address not in self._addresses and len(self._addresses) >= ADDRESSES_MAX:
            self.beyond += 1
        else:
            self._addresses[address] = None

    def _port(self, port: str) -> None:
        if port.isdecimal() and len(port) <= 5:
            self._ports[int(port)] = None

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """Every deed, in the order of its kind and object."""
        return tuple(
            Evidence(
                deed=deed,
                access="".join(letter for letter in "rwxmkl" if letter in seen.access),
                count=seen.count,
                first_sec=seen.first_sec,
                program=seen.program,
            )
            for deed, seen in sorted(self._deeds.items())
        )

    @property
    def peers(self) -> tuple[str, ...]:
        """Addresses at the other end of its sockets."""
        return tuple(sorted(self._addresses))

    @property
    def ports(self) -> tuple[int, ...]:
        """Ports on which it listened."""
        return tuple(sorted(self._ports))


def _letters(mask: str) -> str:
    """AppArmor's mask in letters of r, w, x, m, k, l: creating, deleting and appending are writing."""
    meant = {"c": "w", "d": "w", "a": "w"}
    return "".join(sorted({meant.get(letter, letter) for letter in mask if letter in "rwxmklcda"}))
