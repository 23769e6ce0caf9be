"""A plan's directives, as D-Bus properties and as the text of a unit file."""

from __future__ import annotations

from typing import NamedTuple

from aurora.directives import DIRECTIVES, Kind, Value
from aurora.emit.encode import SIGNATURES, bus_values
from aurora.plan import Plan
from aurora.quantity import format_share

__all__ = ["Property", "service_properties", "slice_properties", "unit_text"]

PREREQUISITES = ("PrivateTmp", "DynamicUser", "User", "Type")
"""Set first: systemd derives others from them as they arrive, and what is set later wins."""


class Property(NamedTuple):
    """One property for StartTransientUnit, in pystemd's terms but without its byte strings."""

    name: str
    signature: str
    value: object


def _ordered(plan: Plan) -> list[str]:
    first = [name for name in PREREQUISITES if name in plan.settings]
    return first + sorted(name for name in plan.settings if name not in first)


def service_properties(plan: Plan) -> tuple[Property, ...]:
    """Every property of the plan's service."""
    found = []
    for name in _ordered(plan):
        row = DIRECTIVES[name]
        signature = SIGNATURES[row.kind]
        found += [Property(row.property, signature, v) for v in bus_values(row.kind, plan.settings[name])]
    return tuple(found)


def slice_properties(plan: Plan) -> tuple[Property, ...]:
    """The module's slice: it wants the service, which keeps a stopped transient unit loaded."""
    return (
        Property("Description", "s", f"AuroraOS module {plan.module}"),
        Property("Wants", "as", [plan.unit]),
    )


def unit_text(plan: Plan) -> str:
    """The plan as the text of a unit file that means the same; `systemd-analyze verify` reads it."""
    sections: dict[str, list[str]] = {"Unit": [], "Service": []}
    for name in _ordered(plan):
        row = DIRECTIVES[name]
        for value in _text_values(row.kind, plan.settings[name]):
            sections[row.section].append(f"{name}={value}")
    return "\n".join(f"[{section}]\n" + "\n".join(lines) + "\n" for section, lines in sections.items() if lines)


def _text_values(kind: Kind, value: Value) -> list[str]:
    if not isinstance(value, tuple):
        return [_text_scalar(kind, value)]
    if kind is Kind.SYSCALLS:
        allowed = [word for word in value if not word.startswith("~")]
        refused = [word[1:] for word in value if word.startswith("~")]
        return [" ".join(allowed), *(["~" + " ".join(refused)] if refused else [])]
    if kind is Kind.DEVICES:
        return list(value)
    if kind is Kind.EMPTIED:
        return [" ".join(f"{word}:ro" for word in value)]
    if kind is Kind.COMMAND:
        return [":" + " ".join(_quoted(word) for word in value)]
    return [" ".join(_quoted(word) for word in value)]


def _text_scalar(kind: Kind, value: bool | int | str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    match kind:
        case Kind.USEC:
            return f"{value}us"
        case Kind.SHARE:
            return format_share(int(value))
        case Kind.MODE:
            return f"{value:04o}"
        case _:
            return str(value).replace("%", "%%")


def _quoted(word: str) -> str:
    """One word by systemd.syntax(7): quoted, with C escapes, and % doubled where it would be a specifier."""
    plain = word.replace("%", "%%")
    if plain and all(char.isalnum() or char in "%@:/._-=+,~" for char in plain) and plain.isascii():
        return plain
    escaped = plain.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t").replace("\n", "\\n")
    return f'"{escaped}"'
