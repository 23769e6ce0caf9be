"""What must hold of every plan, whatever it was made from: text, properties and plan say the same, and no more."""

from __future__ import annotations

import errno
import ipaddress
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from aurora.directives import DIRECTIVES, Directive, Kind, Value
from aurora.emit import Property, apparmor_text, service_properties, timer_properties, timer_text, unit_text
from aurora.emit.encode import CAPABILITY_BIT, NAMESPACE_FLAG
from aurora.plan import Plan
from tests.unit.fuzz.profile import read_profile
from tests.unit.fuzz.unitfile import assignments, command, resolved, words

MANY_LINES = frozenset({"syscalls", "unlogged", "devices", "rates", "credentials", "sockets"})
"""Kinds of which each element, or run of elements, has a line of its own."""
NEVER_EMPTY = frozenset({"families", "namespaces"})
"""Kinds of which systemd takes an empty list for no restriction at all."""


def check_plan(plan: Plan) -> None:
    """AssertionError or ValueError where the plan, its texts and its properties differ."""
    _check_unit(unit_text(plan), service_properties(plan), plan.settings, {"Unit", "Service"})
    timer = {**plan.timer, "Wants": (plan.slice,)} if plan.timer else {}
    _check_unit(timer_text(plan), timer_properties(plan), timer, {"Unit", "Timer"})
    if plan.profile is not None:
        check_profile(plan)


def check_profile(plan: Plan) -> None:
    """The same for the profile: one, of the plan's name, with the plan's rules and those for its own places."""
    profile = read_profile(apparmor_text(plan))
    assert profile.preamble == ["abi <abi/4.0>,", "include <tunables/global>"]
    assert profile.name == plan.profile == plan.settings["AppArmorProfile"]
    assert profile.flags == ["attach_disconnected"]
    own = [f"{plan.folder}/ r,", f"{plan.folder}/** mrix,"]
    own += [f"{place}/{{,**}} rwkl," for place in plan.writable]
    own += ["/run/aurora/link.sock rw,"] * bool(plan.link)
    own += [f"/run/credentials/{plan.unit}/{{,*}} r,"] * bool(plan.credentials)
    assert profile.rules == [*plan.apparmor, *own]


def _check_unit(text: str, properties: tuple[Property, ...], settings: Mapping[str, Value], sections: set[str]) -> None:
    lines: dict[str, list[str]] = {}
    for section, name, value in assignments(text):
        assert section == DIRECTIVES[name].section
        assert section in sections
        lines.setdefault(name, []).append(value)
    sent: dict[str, list[Any]] = {}
    for one in properties:
        sent.setdefault(one.name, []).append(one.value)
    empty = {name for name, value in settings.items() if value == () and DIRECTIVES[name].kind.value in MANY_LINES}
    assert settings.keys() - empty <= lines.keys() <= settings.keys()
    properties_of_settings = [DIRECTIVES[name].property for name in settings]
    assert sent.keys() == set(properties_of_settings)
    for name, values in sent.items():
        assert len(values) == properties_of_settings.count(name) or name == "SystemCallFilter", f"{name} is sent again"
    for name, value in settings.items():
        row = DIRECTIVES[name]
        kind = row.kind.value
        assert value != () or kind not in NEVER_EMPTY, f"{name} is empty, which systemd takes for no restriction"
        assert kind in MANY_LINES or len(lines[name]) == 1, f"{name} has several lines"
        wanted = CANONICAL.get(kind, lambda one: one)(value)
        assert _from_text(row, lines.get(name, [])) == wanted, f"{name} of the text"
        assert FROM_BUS[kind](sent[row.property], name) == wanted, f"{name} on the bus"


# From a plan


def _calls(value: Value) -> object:
    assert isinstance(value, tuple)
    return sorted(value)


def _networks(value: Value) -> object:
    assert isinstance(value, tuple)
    pairs = (("0.0.0.0/0", "::/0") if word == "any" else (word,) for word in value)
    return [ipaddress.ip_network(word) for pair in pairs for word in pair]


def _text(value: Value) -> object:
    return str(value).rstrip()  # a space was put behind a backslash that would otherwise join lines


CANONICAL: dict[str, Callable[[Any], Any]] = {
    "text": _text,
    "syscalls": _calls,
    "unlogged": _calls,
    "families": lambda value: sorted(value),
    "namespaces": lambda value: sorted(value),
    "capabilities": lambda value: sorted(value),
    "signals": lambda value: sorted(value),
    "addresses": _networks,
    "errno": lambda value: getattr(errno, value),  # some have two names
}
"""The form in which values are compared; of other kinds the plan's own."""


# From the text


def _from_text(row: Directive, lines: list[str]) -> object:
    kind = row.kind.value
    if kind in MANY_LINES:
        return MANY_FROM_TEXT[kind](lines)
    (line,) = lines
    if kind in ("words", "groups"):
        # A name of a unit may hold a backslash, which is none of an escape there.
        return tuple(resolved(word) for word in line.split()) if row.section == "Unit" else tuple(words(line))
    return FROM_TEXT[kind](line)


def _unit_of(number: str, pattern: str) -> int:
    match = re.fullmatch(pattern, number)
    assert match is not None, number
    return int(match[1])


def _argument_vector(line: str) -> object:
    prefix, vector = command(line)
    assert prefix == ":", "nothing but the switch against expansion"
    return tuple(vector)


def _emptied(line: str) -> object:
    return tuple(_emptied_word(path, options) for path, _, options in (word.partition(":") for word in words(line)))


def _emptied_word(path: str, options: str) -> str:
    """As a policy writes it: read-only, or the module's own up to a size."""
    if options == "ro":
        return path
    *others, size = options.split(",")
    assert others == ["mode=1777", "nosuid", "nodev"]
    assert re.fullmatch(r"size=[1-9][0-9]{0,8}[KMG]", size)
    return f"{path}:{size}"


def _switch(word: object) -> object:
    return {"yes": True, "no": False}.get(str(word), word)


def _size(text: str) -> int:
    return 2**64 - 1 if text == "infinity" else _unit_of(text, r"(\d{1,19})")


SIGNAL_NUMBERS = {"SIGHUP": 1, "SIGINT": 2, "SIGQUIT": 3, "SIGUSR1": 10, "SIGUSR2": 12, "SIGTERM": 15}
"""Those that a manifest may name (signal(7), of the usual architectures)."""


FROM_TEXT: dict[str, Callable[[str], object]] = {
    "flag": lambda line: {"yes": True, "no": False}[line],
    "switch": _switch,
    "text": lambda line: resolved(line).rstrip(),
    "profile": resolved,
    "errno": lambda line: getattr(errno, line),
    "signal": resolved,
    "calendar": resolved,
    "usec": lambda line: _unit_of(line, r"(\d{1,20})us"),
    "elapse": lambda line: _unit_of(line, r"(\d{1,20})us"),
    "bytes": _size,
    "count": _size,
    "number": lambda line: _unit_of(line, r"(\d{1,10})"),
    "mode": lambda line: int(line, 8),
    "share": lambda line: int(Decimal(line.removesuffix("%")) * 10_000),
    "families": lambda line: sorted(words(line)),
    "namespaces": lambda line: sorted(words(line)),
    "capabilities": lambda line: sorted(words(line)),
    "signals": lambda line: sorted(words(line)),
    "addresses": lambda line: _networks(tuple(words(line))),
    "binds": lambda line: tuple(words(line)),
    "emptied": _emptied,
    "command": _argument_vector,
}


def _calls_of_lines(lines: list[str]) -> object:
    assert not lines[0].startswith("~"), "a list that begins by refusing allows everything else"
    return sorted(("~" * line.startswith("~")) + word for line in lines for word in words(line.removeprefix("~")))


def _unlogged_of_lines(lines: list[str]) -> object:
    assert lines[0].startswith("~"), "a list that begins without it logs nothing else"
    return sorted(("" if line.startswith("~") else "~") + word for line in lines for word in words(line.lstrip("~")))


def _pairs(lines: list[str], separator: str) -> object:
    found = [resolved(line) for line in lines]
    assert all(len(line.split(separator, 1)) == 2 and all(line.split(separator, 1)) for line in found)
    return tuple(found)


MANY_FROM_TEXT: dict[str, Callable[[list[str]], object]] = {
    "syscalls": _calls_of_lines,
    "unlogged": _unlogged_of_lines,
    "devices": lambda lines: _pairs(lines, " "),
    "rates": lambda lines: _pairs(lines, " "),
    "credentials": lambda lines: _pairs(lines, ":"),
    "sockets": tuple,
}


# From the bus


def _bits(table: Mapping[str, int]) -> Callable[[list[Any], str], Any]:
    def names(values: list[Any], _name: str) -> Any:
        (mask,) = values
        assert isinstance(mask, int)
        found = {name for name, flag in table.items() if mask & flag}
        assert sum(table[name] for name in found) == mask
        return sorted(found)

    return names


def _only(values: list[Any], _name: str) -> Any:
    (value,) = values
    return value


def _tuple(values: list[Any], _name: str) -> Any:
    (value,) = values
    assert isinstance(value, list)
    return tuple(value)


def _joined(separator: str) -> Callable[[list[Any], str], Any]:
    return lambda values, _name: tuple(separator.join(map(str, pair)) for pair in values[0])


def _bus_calls(values: list[Any], _name: str) -> Any:
    assert values[0][0] is True
    return sorted(("" if allowed else "~") + word for allowed, names in values for word in names)


def _bus_unlogged(values: list[Any], _name: str) -> Any:
    assert values[0][0] is False
    return sorted(("~" if logged else "") + word for logged, names in values for word in names)


def _bus_networks(values: list[Any], _name: str) -> Any:
    (rows,) = values
    found = []
    for family, packed, length in rows:
        assert len(packed) == {2: 4, 10: 16}[family]
        found.append(ipaddress.ip_network((bytes(packed), length)))
    return found


def _bus_binds(values: list[Any], _name: str) -> Any:
    (rows,) = values
    assert all(source == target for source, target, _, _ in rows)
    return tuple("-" * optional + source for source, _, optional, _ in rows)


def _bus_command(values: list[Any], _name: str) -> Any:
    (((path, vector, flags),),) = values
    assert path == vector[0]
    assert flags == ["no-env-expand"]
    return tuple(vector)


def _bus_timer(values: list[Any], name: str) -> Any:
    """Of a timer's expressions, which share one property, the one of this name."""
    assert all(len(rows) == 1 for rows in values)
    (value,) = (value for ((called, value),) in values if called == name)
    return value


def _bus_signals(values: list[Any], _name: str) -> Any:
    ((codes, signals),) = values
    assert codes == []
    return sorted(name for name, number in SIGNAL_NUMBERS.items() if number in signals)


def _bus_sockets(values: list[Any], _name: str) -> Any:
    (rows,) = values
    return tuple("any" if row[2:] == (0, 0) else str(row[3]) for row in rows)


FROM_BUS: dict[str, Callable[[list[Any], str], Any]] = {
    **dict.fromkeys(("flag", "usec", "bytes", "count", "number", "mode", "share"), _only),
    "text": lambda values, _name: str(values[0]).rstrip(),
    "words": _tuple,
    "groups": _tuple,
    "switch": lambda values, _name: _switch(values[0]),
    "syscalls": _bus_calls,
    "unlogged": _bus_unlogged,
    "families": lambda values, _name: sorted(values[0][1]) if values[0][0] else None,
    "namespaces": _bits(NAMESPACE_FLAG),
    "capabilities": _bits({name: 1 << bit for name, bit in CAPABILITY_BIT.items()}),
    "addresses": _bus_networks,
    "profile": lambda values, _name: values[0][1] if values[0][0] is False else None,
    "binds": _bus_binds,
    "emptied": lambda values, _name: tuple(_emptied_word(path, options) for path, options in values[0]),
    "devices": _joined(" "),
    "rates": _joined(" "),
    "credentials": _joined(":"),
    "sockets": _bus_sockets,
    "errno": _only,
    "signal": lambda values, _name: next(name for name, number in SIGNAL_NUMBERS.items() if number == values[0]),
    "signals": _bus_signals,
    "calendar": _bus_timer,
    "elapse": _bus_timer,
    "command": _bus_command,
}  # fmt: skip
"""One row for each kind: a kind without one makes every fuzzer fail, so that a new one is not left unchecked."""


def kinds_without_a_reading() -> set[str]:
    """Kinds of the table of directives that are not compared."""
    readable = FROM_TEXT.keys() | MANY_FROM_TEXT.keys() | {"words", "groups"}
    return {kind.value for kind in Kind} - (readable & FROM_BUS.keys())
