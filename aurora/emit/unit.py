"""A plan's directives, as D-Bus properties and as the text of a unit file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from aurora.directives import DIRECTIVES, Directive, Kind, Value
from aurora.emit.encode import SIGNATURES, bus_values, emptied, system_calls
from aurora.plan import Plan
from aurora.quantity import format_share

__all__ = [
    "Property",
    "directive_lines",
    "service_properties",
    "slice_properties",
    "timer_properties",
    "timer_text",
    "unit_text",
]

PREREQUISITES = ("PrivateTmp", "DynamicUser", "User", "Type")
"""Set first: systemd derives others from them as they arrive, and what is set later wins."""


class Property(NamedTuple):
    """One property for StartTransientUnit, in pystemd's terms but without its byte strings."""

    name: str
    signature: str
    value: object


def _ordered(settings: Mapping[str, Value]) -> list[str]:
    first = [name for name in PREREQUISITES if name in settings]
    return first + sorted(name for name in settings if name not in first)


def _properties(settings: Mapping[str, Value]) -> tuple[Property, ...]:
    found = []
    for name in _ordered(settings):
        row = DIRECTIVES[name]
        signature = SIGNATURES[row.kind]
        found += [Property(row.property, signature, v) for v in bus_values(row.kind, settings[name], name)]
    return tuple(found)


def service_properties(plan: Plan) -> tuple[Property, ...]:
    """Every property of the plan's service."""
    return _properties(plan.settings)


def timer_properties(plan: Plan) -> tuple[Property, ...]:
    """Every property of the plan's timer, which keeps the module's slice up; none where it has no schedule."""
    if not plan.timer:
        return ()
    return (*_properties(plan.timer), Property("Wants", "as", [plan.slice]))


def slice_properties(plan: Plan) -> tuple[Property, ...]:
    """The module's slice: it wants what is started, which keeps a stopped transient unit loaded.

    Where that is a timer, the timer keeps the service loaded, as it is what the timer starts.
    """
    return (
        Property("Description", "s", f"AuroraOS module {plan.module}"),
        Property("Wants", "as", [plan.started]),
    )


def unit_text(plan: Plan) -> str:
    """The plan as the text of a unit file that means the same; `systemd-analyze verify` reads it."""
    return _text(plan.settings)


def timer_text(plan: Plan) -> str:
    """The same of the plan's timer; empty where it has no schedule."""
    return _text({**plan.timer, "Wants": (plan.slice,)}) if plan.timer else ""


def _text(settings: Mapping[str, Value]) -> str:
    sections: dict[str, list[str]] = {"Unit": [], "Service": [], "Timer": []}
    for name in _ordered(settings):
        sections[DIRECTIVES[name].section] += directive_lines(name, settings[name])
    return "\n".join(f"[{section}]\n" + "\n".join(lines) + "\n" for section, lines in sections.items() if lines)


def directive_lines(name: str, value: Value) -> list[str]:
    """One directive as the lines of a unit file."""
    return [f"{name}={text}" for text in _text_values(DIRECTIVES[name], value)]


def _text_values(row: Directive, value: Value) -> list[str]:
    kind = row.kind
    if not isinstance(value, tuple):
        return [_text_scalar(kind, value)]
    if kind is Kind.SYSCALLS:
        return [("" if allowed else "~") + " ".join(words) for allowed, words in system_calls(value)]
    if kind is Kind.UNLOGGED:
        return [("~" if unlogged else "") + " ".join(words) for unlogged, words in system_calls(value)]
    if kind in (Kind.DEVICES, Kind.RATES, Kind.CREDENTIALS, Kind.SOCKETS):
        return [word.replace("%", "%%") for word in value]
    if kind is Kind.EMPTIED:
        return [" ".join(":".join(emptied(word)) for word in value)]
    if kind is Kind.COMMAND:
        return [":" + " ".join(_quoted(word) for word in value)]
    if row.section == "Unit":  # names of units, in which systemd.syntax(7) lets a backslash be one
        return [" ".join(word.replace("%", "%%") for word in value)]
    return [" ".join(_quoted(word) for word in value)]


def _text_scalar(kind: Kind, value: bool | int | str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    match kind:
        case Kind.USEC | Kind.ELAPSE:
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
