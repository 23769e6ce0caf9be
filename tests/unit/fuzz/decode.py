"""What was planned, got back from a unit file's values and from D-Bus values, without the code that makes them."""

from __future__ import annotations

import errno
import ipaddress
import signal

from aurora.directives import Kind, Value
from tests.unit.fuzz.unitfile import Broken, plain, words

__all__ = ["from_bus", "from_lines"]

_NUMBERS = {Kind.BYTES, Kind.COUNT, Kind.NUMBER}
_ONE_A_LINE = {Kind.DEVICES, Kind.RATES, Kind.CREDENTIALS}


def from_lines(kind: Kind, lines: list[str], section: str) -> Value:
    """The value that one directive's lines stand for."""
    if kind is Kind.SYSCALLS:
        allowed = lines[0].split()
        return (*allowed, *(f"~{word}" for line in lines[1:] for word in line.removeprefix("~").split()))
    if kind in _ONE_A_LINE:
        return tuple(map(plain, lines))
    (line,) = lines
    if kind is Kind.FLAG:
        return {"yes": True, "no": False}[line]
    if kind in _NUMBERS:
        return int(line)
    if kind in (Kind.USEC, Kind.ELAPSE):
        return int(line.removesuffix("us"))
    if kind is Kind.MODE:
        return int(line, 8)
    if kind is Kind.SHARE:
        return round(float(line.removesuffix("%")) * 10_000)
    if kind is Kind.COMMAND:
        return _command(line)
    if kind is Kind.EMPTIED:
        return tuple(word.removesuffix(":ro") for word, _ in words(line))
    if kind in (Kind.TEXT, Kind.PROFILE, Kind.ERRNO, Kind.SIGNAL, Kind.CALENDAR):
        return plain(line)
    if section == "Unit":
        return tuple(map(plain, line.split()))
    return tuple(word for word, _ in words(line))


def _command(line: str) -> tuple[str, ...]:
    # systemd takes the first word out of its quotes, and then looks for signs in front of it.
    (first, _), *rest = words(line)
    if not first.startswith(":/"):
        raise Broken(f"variables would be expanded, or the program is no path: {line!r}")
    if any(word == ";" and not quoted for word, quoted in rest):
        raise Broken(f"two commands: {line!r}")
    return (first[1:], *(word for word, _ in rest))


def from_bus(kind: Kind, values: list[object], planned: Value) -> Value:
    """The value that one property's values stand for; masks are compared by their number of bits."""
    (value, *more) = values
    match kind, value:
        case Kind.SYSCALLS, (True, allowed):
            taken = [f"~{word}" for flag, refused in more for word in refused if not flag]
            return (*allowed, *taken)
        case Kind.FAMILIES, (True, found):
            return tuple(found)
        case ((Kind.CAPABILITIES | Kind.NAMESPACES), int()):
            assert isinstance(planned, tuple)
            return planned if value.bit_count() == len(set(planned)) else ()
        case Kind.ADDRESSES, list():
            assert isinstance(planned, tuple)
            nets = [ipaddress.ip_network((bytes(raw), length)) for _, raw, length in value]
            wanted = [
                ipaddress.ip_network(one)
                for word in planned
                for one in (("0.0.0.0/0", "::/0") if word == "any" else (word,))
            ]
            return planned if nets == wanted else ()
        case Kind.PROFILE, (False, str(name)):
            return name
        case Kind.BINDS, list():
            assert all(source == target and flags == 0x4000 for source, target, _, flags in value)
            return tuple(f"{'-' if optional else ''}{source}" for source, _, optional, _ in value)
        case Kind.EMPTIED, list():
            assert all(options == "ro" for _, options in value)
            return tuple(path for path, _ in value)
        case ((Kind.DEVICES | Kind.RATES), list()):
            return tuple(f"{path} {right}" for path, right in value)
        case Kind.CREDENTIALS, list():
            return tuple(f"{name}:{path}" for name, path in value)
        case Kind.COMMAND, [(program, argv, ["no-env-expand"])]:
            assert program == argv[0]
            return tuple(argv)
        case ((Kind.CALENDAR | Kind.ELAPSE), [(_, found)]):
            return found
        case Kind.SIGNAL, int():
            return signal.Signals(value).name
        case Kind.ERRNO, int():
            return errno.errorcode[value]
        case _, list():
            return tuple(value)
        case _, (bool() | int() | str()):
            return value
    raise Broken(f"{kind} as {values!r}")
