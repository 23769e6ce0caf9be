"""Values of directives as D-Bus carries them."""

from __future__ import annotations

import errno
import ipaddress

from aurora.directives import CAPABILITIES, Kind, Value

__all__ = ["CAPABILITY_BIT", "NAMESPACE_FLAG", "SIGNAL_NUMBER", "SIGNATURES", "bus_values", "emptied", "system_calls"]

SIGNATURES: dict[Kind, str] = {
    Kind.FLAG: "b",
    Kind.SWITCH: "s",
    Kind.TEXT: "s",
    Kind.WORDS: "as",
    Kind.USEC: "t",
    Kind.BYTES: "t",
    Kind.COUNT: "t",
    Kind.NUMBER: "u",
    Kind.MODE: "u",
    Kind.SHARE: "t",
    Kind.SYSCALLS: "(bas)",
    Kind.UNLOGGED: "(bas)",
    Kind.FAMILIES: "(bas)",
    Kind.CAPABILITIES: "t",
    Kind.NAMESPACES: "t",
    Kind.ADDRESSES: "a(iayu)",
    Kind.PROFILE: "(bs)",
    Kind.BINDS: "a(ssbt)",
    Kind.EMPTIED: "a(ss)",
    Kind.DEVICES: "a(ss)",
    Kind.GROUPS: "as",
    Kind.SOCKETS: "a(iiqq)",
    Kind.ERRNO: "i",
    Kind.COMMAND: "a(sasas)",
    Kind.SIGNAL: "i",
    Kind.SIGNALS: "(aiai)",
    Kind.RATES: "a(st)",
    Kind.CREDENTIALS: "a(ss)",
    Kind.CALENDAR: "a(ss)",
    Kind.ELAPSE: "a(st)",
}
"""The signature of each kind (org.freedesktop.systemd1(5))."""

CAPABILITY_BIT: dict[str, int] = {name: bit for bit, name in enumerate(CAPABILITIES)}
"""Bit numbers of include/uapi/linux/capability.h."""

NAMESPACE_FLAG: dict[str, int] = {
    "cgroup": 0x0200_0000,
    "ipc": 0x0800_0000,
    "net": 0x4000_0000,
    "mnt": 0x0002_0000,
    "pid": 0x2000_0000,
    "user": 0x1000_0000,
    "uts": 0x0400_0000,
}
"""CLONE_NEW… flags of include/uapi/linux/sched.h."""

SIGNAL_NUMBER: dict[str, int] = {
    "SIGHUP": 1,
    "SIGINT": 2,
    "SIGQUIT": 3,
    "SIGUSR1": 10,
    "SIGUSR2": 12,
    "SIGTERM": 15,
}
"""Numbers of signal(7), the same on x86 and Arm."""

_AF_INET, _AF_INET6 = 2, 10
_MS_REC = 0x4000  # bind mounts take everything below along (systemd.exec(5), BindReadOnlyPaths= rbind)


def bus_values(kind: Kind, value: Value, name: str = "") -> list[object]:
    """The value in the shape of `SIGNATURES[kind]`; several where the property has to be sent more than once.

    `name` is the directive's, which the properties of timers carry with them.
    """
    if kind in (Kind.CALENDAR, Kind.ELAPSE):
        return [[(name, value)]]
    if not isinstance(value, tuple):
        return [_scalar(kind, value)]
    if kind is Kind.SYSCALLS:
        return [(allowed, words) for allowed, words in system_calls(value)]
    if kind is Kind.UNLOGGED:
        # The first list says what the rest is about: all calls but these are logged.
        return [(not unlogged, words) for unlogged, words in system_calls(value)]
    return [_list(kind, value)]


def system_calls(words: tuple[str, ...]) -> list[tuple[bool, list[str]]]:
    """Runs of calls to allow (True) and to refuse, in their order: each changes what those before it said.

    The first one allows, if only nothing: that is what makes the filter a list of what is allowed (systemd.exec(5)).
    """
    runs: list[tuple[bool, list[str]]] = [(True, [])]
    for word in words:
        allowed = not word.startswith("~")
        if runs[-1][0] != allowed:
            runs.append((allowed, []))
        runs[-1][1].append(word.removeprefix("~"))
    return runs


def _scalar(kind: Kind, value: bool | int | str) -> object:
    if kind is Kind.SWITCH and isinstance(value, bool):
        return "yes" if value else "no"
    if kind is Kind.PROFILE:
        return (False, value)  # False: a profile that is not loaded fails the start
    if kind is Kind.ERRNO:
        return int(getattr(errno, str(value)))
    if kind is Kind.SIGNAL:
        return SIGNAL_NUMBER[str(value)]
    return value


def _list(kind: Kind, words: tuple[str, ...]) -> object:
    match kind:
        case Kind.FAMILIES:
            return (True, list(words))
        case Kind.CAPABILITIES:
            return sum(1 << CAPABILITY_BIT[word] for word in words)
        case Kind.NAMESPACES:
            return sum(NAMESPACE_FLAG[word] for word in words)
        case Kind.ADDRESSES:
            return [network for word in words for network in _networks(word)]
        case Kind.BINDS:
            return [(w.removeprefix("-"), w.removeprefix("-"), w.startswith("-"), _MS_REC) for w in words]
        case Kind.EMPTIED:
            return [emptied(word) for word in words]
        case Kind.SOCKETS:
            # Any family, any protocol; then how many ports from which on, of which 0 means all.
            return [(0, 0, 0, 0) if word == "any" else (0, 0, 1, int(word)) for word in words]
        case Kind.DEVICES:
            return [tuple(word.split(" ")) for word in words]
        case Kind.SIGNALS:
            return ([], [SIGNAL_NUMBER[word] for word in words])
        case Kind.RATES:
            return [(path, int(rate)) for path, rate in (word.split(" ") for word in words)]
        case Kind.CREDENTIALS:
            return [tuple(word.split(":", 1)) for word in words]
        case Kind.COMMAND:
            # no-env-expand: an argument with a $ in it arrives with a $ in it.
            return [(words[0], list(words), ["no-env-expand"])]
        case _:
            return list(words)


def emptied(word: str) -> tuple[str, str]:
    """Path and mount options of a word of `Kind.EMPTIED`."""
    path, _, size = word.partition(":")
    return (path, f"mode=1777,nosuid,nodev,{size}" if size else "ro")


def _networks(word: str) -> list[tuple[int, list[int], int]]:
    if word == "any":
        return [(_AF_INET, [0] * 4, 0), (_AF_INET6, [0] * 16, 0)]
    network = ipaddress.ip_network(word)
    family = _AF_INET if network.version == 4 else _AF_INET6
    return [(family, list(network.network_address.packed), network.prefixlen)]
