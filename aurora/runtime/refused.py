"""The kernel's words about a refusal -> Denial. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from aurora.runtime.allowing import syscall_name
from aurora.runtime.evidence import Denial

__all__ = ["read_denials"]

_FIELD = re.compile(r'(\w+)=("[^"]*"|\S+)')
_HEX = re.compile(r"(?:[0-9A-F]{2})+")


def read_denials(messages: Iterable[str]) -> tuple[Denial, ...]:
    """One Denial for each thing that was refused, however often, in the order of their first time."""
    found: dict[tuple[str, str, str], Denial] = {}
    for message in messages:
        denial = _denial(dict(_FIELD.findall(message)))
        if denial is None:
            continue
        key = (denial.source, denial.operation, denial.subject)
        before = found.get(key)
        if before is not None:
            asked = "".join(dict.fromkeys(before.asked + denial.asked))
            denial = before._replace(often=before.often + 1, asked=asked)
        found[key] = denial
    return tuple(found.values())


def _denial(fields: dict[str, str]) -> Denial | None:
    """See audit_seccomp() in the kernel's kernel/auditsc.c, and audit_pre() in security/apparmor/audit.c."""
    number = fields.get("syscall", "")
    if fields.get("apparmor") == '"DENIED"':
        subject = next((fields[key] for key in ("name", "capname", "family") if key in fields), "")
        operation = _plain(fields.get("operation", ""))
        asked = _plain(fields.get("denied_mask", ""))
        return Denial(source="apparmor", operation=operation, subject=_plain(subject), asked=asked)
    if number.isdecimal() and "sig" in fields:
        return Denial(source="seccomp", operation=syscall_name(fields.get("arch", ""), int(number)), subject="")
    return None


def _plain(value: str) -> str:
    """The text of a value: quoted, or in hexadecimal where it holds what a quoted one may not."""
    if value.startswith('"'):
        return value.strip('"')
    if _HEX.fullmatch(value) is not None:
        return bytes.fromhex(value).decode(errors="replace")
    return value
