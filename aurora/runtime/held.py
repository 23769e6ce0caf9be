"""What systemd holds for a unit, compared with the plan. Nothing is read here."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping

from aurora.directives import Directive, Kind, Value
from aurora.emit.encode import CAPABILITY_BIT, NAMESPACE_FLAG, SIGNAL_NUMBER, SIGNATURES, bus_values, emptied
from aurora.quantity import format_duration, format_share, format_size
from aurora.runtime.verdict import Held

__all__ = ["SyscallGroups", "compare", "expand", "read_signature", "text_of"]

type SyscallGroups = Mapping[str, frozenset[str]]
"""Systemd's own groups of system calls: @name -> members, groups among them."""

_WORDS_SHOWN = 12
_UNKNOWN = Held(None, "")
_SIGNATURE_READ = {Kind.COMMAND: "a(sasasttttuii)", Kind.CALENDAR: "a(sst)", Kind.ELAPSE: "a(stt)"}
"""Where a property reads otherwise than it is written."""


def read_signature(kind: Kind) -> str:
    """The D-Bus signature with which a property of that kind is read."""
    return _SIGNATURE_READ.get(kind, SIGNATURES[kind])


def text_of(kind: Kind, value: Value) -> str:
    """A directive's value for a reader."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        if kind is Kind.COMMAND:
            return " ".join(value)
        return _words(value)
    match kind:
        case Kind.BYTES:
            return format_size(int(value))
        case Kind.USEC | Kind.ELAPSE:
            return format_duration(int(value))
        case Kind.SHARE:
            return format_share(int(value))
        case Kind.MODE:
            return f"{value:04o}"
        case _:
            return str(value)


def _words(words: Iterable[str]) -> str:
    found = list(words)
    more = len(found) - _WORDS_SHOWN
    return (" ".join(found[:_WORDS_SHOWN]) + (f" and {more} more" if more > 0 else "")) or "none"


def compare(row: Directive, declared: Value, held: object, *, groups: SyscallGroups | None = None) -> Held:
    """Whether the property that was read is what was declared; `held` is None where it was not read."""
    if held is None:
        return _UNKNOWN
    try:
        if row.kind is Kind.SYSCALLS:
            return _syscalls(declared, held, groups)
        if row.kind is Kind.ELAPSE:
            return _elapse(row, declared, held)
        if row.kind is Kind.WORDS and row.section == "Unit":
            return _units(declared, held)
        return _COMPARE.get(row.kind, _scalar)(row.kind, declared, held)
    except (TypeError, ValueError, IndexError, KeyError):  # of another shape than this systemd is known to give
        return Held(None, str(held)[:200])


def _scalar(kind: Kind, declared: Value, held: object) -> Held:
    expected = bus_values(kind, declared)[0]
    if isinstance(held, (bool, int, str)) and not isinstance(declared, tuple):
        shown = text_of(kind, held) if kind not in (Kind.FLAG,) else text_of(kind, bool(held))
        return Held(held == expected, shown)
    return Held(held == expected, str(held))


def _list(_kind: Kind, declared: Value, held: object) -> Held:
    words = _strings(held)
    expected = [_native(word) for word in _strings(declared)]
    return Held(sorted({_native(word) for word in words}) == sorted(set(expected)), _words(words))


def _units(declared: Value, held: object) -> Held:
    """Systemd adds units of its own to such a list."""
    found, expected = _strings(held), _strings(declared)
    missing = [unit for unit in expected if unit not in found]
    # In the order in which they were declared: systemd's own is another one after a daemon-reload.
    return Held(not missing, _words(unit for unit in expected if unit in found))


def _elapse(row: Directive, declared: Value, held: object) -> Held:
    found = {str(one[0]): one[1] for one in _rows(held)}
    name = row.name.replace("Sec", "USec")
    if name not in found:
        return Held(False, "none")
    return Held(found[name] == declared, text_of(Kind.USEC, int(str(found[name]))))


def _calendar(_kind: Kind, declared: Value, held: object) -> Held:
    """`declared` as systemd spells it out."""
    found = [str(one[1]) for one in _rows(held)]
    return Held(found == [declared], "; ".join(found) or "none")


def _signal(kind: Kind, declared: Value, held: object) -> Held:
    if not isinstance(held, int):
        raise TypeError("not a number")
    names = {number: name for name, number in SIGNAL_NUMBER.items()}
    return Held([held] == bus_values(kind, declared), names.get(held, f"signal {held}"))


def _signals(_kind: Kind, declared: Value, held: object) -> Held:
    """Exit codes and signals that count as success; a plan names signals alone."""
    codes, numbers = (_numbers(one) for one in _pair(held))
    names = {number: name for name, number in SIGNAL_NUMBER.items()}
    shown = [names.get(number, f"signal {number}") for number in numbers] + [f"status {code}" for code in codes]
    expected = [SIGNAL_NUMBER[word] for word in _strings(declared)]
    return Held(not codes and sorted(numbers) == sorted(expected), _words(shown))


def _numbers(held: object) -> list[int]:
    return [int(word) for word in _strings(held)]


def _sockets(kind: Kind, declared: Value, held: object) -> Held:
    expected = [tuple(row) for row in _rows(bus_values(kind, declared)[0])]
    found = [tuple(row) for row in _rows(held)]
    shown = ["any" if not row[2] and not row[3] else str(row[3]) for row in found]
    return Held(sorted(map(str, found)) == sorted(map(str, expected)), _words(shown))


def _pairs(separator: str) -> Callable[[Kind, Value, object], Held]:
    def compared(_kind: Kind, declared: Value, held: object) -> Held:
        found = {separator.join(str(part) for part in row) for row in _rows(held)}
        return Held(found == set(_strings(declared)), _words(sorted(found)))

    return compared


def _native(word: str) -> str:
    """Systemd gives `native` under the machine's own name."""
    return platform.machine().replace("_", "-").replace("aarch64", "arm64") if word == "native" else word


def _families(_kind: Kind, declared: Value, held: object) -> Held:
    allow, words = _pair(held)
    found = _strings(words)
    return Held(bool(allow) and set(found) == set(_strings(declared)), ("" if allow else "all but ") + _words(found))


def _profile(_kind: Kind, declared: Value, held: object) -> Held:
    ignore, name = _pair(held)
    return Held(not ignore and name == declared, f"{'-' if ignore else ''}{name}" or "none")


def _mask(kind: Kind, declared: Value, held: object) -> Held:
    if not isinstance(held, int):
        raise TypeError("not a number")
    expected = bus_values(kind, declared)[0]
    names = _names(kind, held)
    if not isinstance(expected, int):
        raise TypeError("not a mask")
    # The privileges that ProtectClock= and the like take away are taken out of the property too.
    return Held(held == expected or (kind is Kind.CAPABILITIES and held & ~expected == 0), names)


def _names(kind: Kind, mask: int) -> str:
    bits = NAMESPACE_FLAG if kind is Kind.NAMESPACES else {name: 1 << bit for name, bit in CAPABILITY_BIT.items()}
    every = sum(bits.values())
    return "all" if mask & every == every else _words(name for name, bit in bits.items() if mask & bit)


def _binds(_kind: Kind, declared: Value, held: object) -> Held:
    found = {str(row[1]) for row in _rows(held)}
    return Held(found == {word.removeprefix("-") for word in _strings(declared)}, _words(sorted(found)))


def _emptied(_kind: Kind, declared: Value, held: object) -> Held:
    found = {str(row[0]): set(str(row[1]).split(",")) for row in _rows(held)}
    expected = {path: set(options.split(",")) for path, options in map(emptied, _strings(declared))}
    # Systemd may add options of its own, such as the mode.
    good = found.keys() == expected.keys() and all(expected[path] <= found[path] for path in expected)
    return Held(good, _words(sorted(f"{path}:{_size_of(options)}".rstrip(":") for path, options in found.items())))


def _size_of(options: set[str]) -> str:
    return next((option for option in options if option.startswith("size=")), "" if "ro" in options else "rw")


def _devices(_kind: Kind, declared: Value, held: object) -> Held:
    found = {" ".join(str(part) for part in row) for row in _rows(held)}
    # ProtectClock= adds the first to what may be read.
    return Held(found - {"char-rtc r"} == set(_strings(declared)), _words(sorted(found)))


def _addresses(kind: Kind, declared: Value, held: object) -> Held:
    expected = {_address(row) for row in _rows(bus_values(kind, declared)[0])}
    found = {_address(row) for row in _rows(held)}
    return Held(found == expected, _words(sorted(f"{data or 'any'}/{length}" for _, data, length in found)))


def _address(row: list[object]) -> tuple[object, str, object]:
    """Bytes may come as a text or as numbers; zeros at the end carry nothing."""
    family, data, length = row
    if isinstance(data, str):
        data = [ord(char) for char in data]
    if not isinstance(data, (list, tuple, bytes)):
        raise TypeError("not an address")
    return family, ".".join(str(byte) for byte in data) if any(data) else "", length


def _command(_kind: Kind, declared: Value, held: object) -> Held:
    rows = _rows(held)
    words = _strings(declared)
    shown = "; ".join(" ".join(_strings(row[1])) for row in rows)
    if len(rows) != 1:
        return Held(False, shown or "none")
    path, argv, flags = rows[0][0], _strings(rows[0][1]), _strings(rows[0][2])
    return Held(path == words[0] and argv == words and flags == ["no-env-expand"], shown)


def expand(words: Iterable[str], groups: SyscallGroups) -> frozenset[str]:
    """The system calls that a filter of these words lets through (systemd.exec(5), SystemCallFilter=)."""
    allowed = _members_of("@default", groups)
    refused: set[str] = set()
    for word in words:
        name = word.removeprefix("~").partition(":")[0]
        (refused if word.startswith("~") else allowed).update(_members_of(name, groups))
    return frozenset(allowed - refused)


def _members_of(name: str, groups: SyscallGroups, *, depth: int = 8) -> set[str]:
    if not name.startswith("@"):
        return {name}
    if depth == 0 or name not in groups:
        raise KeyError(name)
    return {one for member in groups[name] for one in _members_of(member, groups, depth=depth - 1)}


def _syscalls(declared: Value, held: object, groups: SyscallGroups | None) -> Held:
    allow, names = _pair(held)
    found = {name.partition(":")[0] for name in _strings(names)}
    if not allow:
        return Held(False, f"all but {len(found)} calls")
    if groups is None:
        return Held(None, f"{len(found)} calls")
    expected = expand(_strings(declared), groups)
    if more := sorted(found - expected):
        return Held(False, f"{len(found)} calls, with {_words(more)} beyond what was declared")
    # Systemd leaves out those that this machine's architecture has not: never more than the groups know of.
    known = expand(["@known"], groups) if "@known" in groups else expected
    fewer = sorted((expected - found) & known)
    return Held(len(fewer) < len(expected), f"{len(found)} calls")


def _pair(held: object) -> tuple[object, object]:
    if not isinstance(held, (list, tuple)) or len(held) != 2:
        raise TypeError("not a pair")
    return held[0], held[1]


def _rows(held: object) -> list[list[object]]:
    if not isinstance(held, (list, tuple)):
        raise TypeError("not a list")
    return [list(row) for row in held]


def _strings(held: object) -> list[str]:
    if not isinstance(held, (list, tuple)):
        raise TypeError("not a list")
    return [str(word) for word in held]


_COMPARE: dict[Kind, Callable[[Kind, Value, object], Held]] = {
    Kind.WORDS: _list,
    Kind.FAMILIES: _families,
    Kind.PROFILE: _profile,
    Kind.CAPABILITIES: _mask,
    Kind.NAMESPACES: _mask,
    Kind.BINDS: _binds,
    Kind.EMPTIED: _emptied,
    Kind.DEVICES: _devices,
    Kind.ADDRESSES: _addresses,
    Kind.COMMAND: _command,
    Kind.SIGNAL: _signal,
    Kind.SIGNALS: _signals,
    Kind.SOCKETS: _sockets,
    Kind.RATES: _pairs(" "),
    Kind.CREDENTIALS: _pairs(":"),
    Kind.CALENDAR: _calendar,
}
