"""The ports that a unit may bind, as a BPF program for its cgroup (the kernel's instruction set document).

It decides as systemd's own does for SocketBindAllow= and SocketBindDeny= (systemd.resource-control(5)): what a rule to
allow fits is allowed, of the rest what a rule to deny fits is denied, and all else is allowed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

__all__ = ["PortRule", "port_program"]

type PortRule = tuple[int, int, int, int]
"""Address family and protocol (0: any), then how many ports (0: all) from which one on; `a(iiqq)` on D-Bus."""

_USER_PORT, _PROTOCOL = 24, 36  # offsets in struct bpf_sock_addr, which a program is given in r1
_LOAD_WORD, _TO_BIG_ENDIAN, _MOVE, _EXIT = 0x61, 0xDC, 0xB7, 0x95
_JUMP_UNEQUAL, _JUMP_ABOVE, _JUMP_BELOW = 0x55, 0x25, 0xA5
_R0, _R1, _R2, _R3 = range(4)
_RULE_ENDS_WITH = 2  # instructions: a verdict is set, and the program ends


def port_program(family: int, allow: Iterable[PortRule], deny: Iterable[PortRule]) -> bytes:
    """The program for sockets of that address family (AF_INET or AF_INET6), for machines with the low byte first.

    ValueError for a rule with a number that has no place in its field.
    """
    code = [
        _instruction(_LOAD_WORD, _R2, source=_R1, offset=_USER_PORT),
        _instruction(_TO_BIG_ENDIAN, _R2, value=16),  # the port comes in network order
        _instruction(_LOAD_WORD, _R3, source=_R1, offset=_PROTOCOL),
    ]
    for verdict, rules in ((1, allow), (0, deny)):
        for rule in rules:
            if rule[0] not in (0, family):
                continue
            tests = _tests(rule)
            code += [*_jumps(tests), *_ending(verdict)]
            if not tests:  # the kernel takes no program of which a part is never reached
                return b"".join(code)
    return b"".join([*code, *_ending(1)])


def _tests(rule: PortRule) -> list[tuple[int, int, int]]:
    """Jump, register and value of each test that a socket has to pass for the rule to fit."""
    _, protocol, count, first = rule
    if not (0 <= protocol < 1 << 31 and 0 <= count < 1 << 16 and 0 <= first < 1 << 16):
        raise ValueError(f"{rule} is no rule about ports")
    tests = [(_JUMP_UNEQUAL, _R3, protocol)] if protocol else []
    if count:
        tests += [(_JUMP_BELOW, _R2, first), (_JUMP_ABOVE, _R2, first + count - 1)]
    return tests


def _jumps(tests: list[tuple[int, int, int]]) -> list[bytes]:
    """The tests, each with a jump behind the rule where it fails."""
    return [
        _instruction(jump, register, offset=len(tests) - number + _RULE_ENDS_WITH, value=value)
        for number, (jump, register, value) in enumerate(tests, start=1)
    ]


def _ending(verdict: int) -> list[bytes]:
    return [_instruction(_MOVE, _R0, value=verdict), _instruction(_EXIT, _R0)]


def _instruction(code: int, register: int, *, source: int = 0, offset: int = 0, value: int = 0) -> bytes:
    return struct.pack("<BBhi", code, register | source << 4, offset, value)
