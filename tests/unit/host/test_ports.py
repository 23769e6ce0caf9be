"""The program about ports, run: it decides as the rules do that it was made from."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.host.ports import PortRule, port_program

V4, V6, TCP, UDP = socket.AF_INET, socket.AF_INET6, socket.IPPROTO_TCP, socket.IPPROTO_UDP
ANY: PortRule = (0, 0, 0, 0)


def decided(program: bytes, port: int, protocol: int) -> int:
    """What the program returns, by the kernel's document on the instruction set; it may only go forward."""
    context = bytearray(72)
    struct.pack_into(">H", context, 24, port)
    struct.pack_into("<I", context, 36, protocol)
    registers = {}
    at = 0
    while True:
        code, both, offset, value = struct.unpack_from("<BBhi", program, at * 8)
        at += 1
        target, source = both & 15, both >> 4
        assert offset >= 0
        match code:
            case 0x61:
                assert source == 1
                registers[target] = struct.unpack_from("<I", context, offset)[0]
            case 0xDC:
                assert value == 16
                registers[target] = int.from_bytes((registers[target] & 0xFFFF).to_bytes(2, "little"), "big")
            case 0xB7:
                registers[target] = value
            case 0x55:
                at += offset if registers[target] != value else 0
            case 0x25:
                at += offset if registers[target] > value else 0
            case 0xA5:
                at += offset if registers[target] < value else 0
            case 0x95:
                return registers[0]
            case _:
                pytest.fail(f"instruction {code:#x}")


def reached(program: bytes) -> set[int]:
    """The instructions that some packet could reach: the kernel refuses a program with others in it."""
    found: set[int] = set()
    waiting = [0]
    while waiting:
        at = waiting.pop()
        if at in found:
            continue
        found.add(at)
        code, _, offset, _ = struct.unpack_from("<BBhi", program, at * 8)
        if code in (0x55, 0x25, 0xA5):
            waiting.append(at + 1 + offset)
        if code != 0x95:
            waiting.append(at + 1)
    return found


def by_the_rules(family: int, port: int, protocol: int, allow: list[PortRule], deny: list[PortRule]) -> int:
    def fits(rule: PortRule) -> bool:
        return (
            rule[0] in (0, family)
            and rule[1] in (0, protocol)
            and (rule[2] == 0 or rule[3] <= port < rule[3] + rule[2])
        )

    return int(any(map(fits, allow)) or not any(map(fits, deny)))


RULES = st.lists(
    st.tuples(st.sampled_from([0, V4, V6]), st.sampled_from([0, TCP, UDP]), st.integers(0, 50), st.integers(1, 60_000)),
    max_size=6,
)


@given(st.sampled_from([V4, V6]), st.data(), st.sampled_from([TCP, UDP]), RULES, RULES)
def test_it_decides_as_the_rules_do(
    family: int, data: st.DataObject, protocol: int, allow: list[PortRule], deny: list[PortRule]
) -> None:
    edges = [edge for rule in [*allow, *deny] for edge in (rule[3] - 1, rule[3], rule[3] + rule[2])]
    port = data.draw(st.sampled_from(edges) if edges else st.integers(0, 65_535))
    program = port_program(family, allow, deny)
    assert decided(program, port, protocol) == by_the_rules(family, port, protocol, allow, deny)
    assert reached(program) == set(range(len(program) // 8))


@pytest.mark.parametrize(
    ("port", "verdict"), [(0, 0), (80, 0), (8079, 0), (8080, 1), (8081, 0), (36895, 0), (65535, 0)]
)
def test_a_grant_opens_its_port_and_no_other(port: int, verdict: int) -> None:
    for family in (V4, V6):
        for protocol in (TCP, UDP):
            assert decided(port_program(family, [(0, 0, 1, 8080)], [ANY]), port, protocol) == verdict


@pytest.mark.parametrize(
    "rule", [(0, -1, 0, 0), (0, 1 << 31, 0, 0), (0, 0, 1 << 16, 0), (0, 0, 1, 1 << 16), (0, 0, 1, -1)]
)
def test_a_number_without_a_place_is_refused(rule: PortRule) -> None:
    with pytest.raises(ValueError, match="no rule about ports"):
        port_program(V4, [rule], [])
