from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.directives import DIRECTIVES, Kind, Value
from aurora.emit.encode import CAPABILITY_BIT, NAMESPACE_FLAG, SIGNATURES, bus_values
from aurora.policy.values import NAMESPACES

CAPABILITY_HEADER = Path("/usr/include/linux/capability.h")
NAMESPACE_HEADER = Path("/usr/include/linux/sched.h")


def only(kind: Kind, value: Value) -> object:
    (found,) = bus_values(kind, value)
    return found


def test_every_kind_has_a_signature() -> None:
    assert set(SIGNATURES) == set(Kind)


def test_capabilities_have_the_kernels_numbers() -> None:
    assert {name: CAPABILITY_BIT[name] for name in ("CAP_CHOWN", "CAP_SYS_ADMIN", "CAP_CHECKPOINT_RESTORE")} == {
        "CAP_CHOWN": 0,
        "CAP_SYS_ADMIN": 21,
        "CAP_CHECKPOINT_RESTORE": 40,
    }
    assert list(CAPABILITY_BIT.values()) == list(range(41))


@pytest.mark.skipif(not CAPABILITY_HEADER.exists(), reason="the kernel's headers are not installed")
def test_capabilities_are_those_of_the_kernels_header() -> None:
    header = dict(re.findall(r"^#define (CAP_[A-Z_]+)\s+(\d+)$", CAPABILITY_HEADER.read_text(), re.MULTILINE))
    assert {name: int(bit) for name, bit in header.items()} == CAPABILITY_BIT


@pytest.mark.skipif(not NAMESPACE_HEADER.exists(), reason="the kernel's headers are not installed")
def test_namespace_flags_are_those_of_the_kernels_header() -> None:
    header = dict(re.findall(r"^#define CLONE_NEW([A-Z]+)\s+(0x[0-9a-f]+)", NAMESPACE_HEADER.read_text(), re.MULTILINE))
    # The mount namespace was the first, when there was to be no other, and is called NS.
    names = {"NS": "mnt"} | {name: name.lower() for name in header if name != "NS"}
    flags = {names[name]: int(flag, 16) for name, flag in header.items()}
    assert {name: flag for name, flag in flags.items() if name != "time"} == NAMESPACE_FLAG


def test_policies_and_the_encoder_know_the_same_namespaces() -> None:
    assert NAMESPACE_FLAG.keys() == NAMESPACES


@pytest.mark.parametrize(
    ("kind", "value", "encoded"),
    [
        (Kind.FLAG, True, True),
        (Kind.TEXT, "strict", "strict"),
        (Kind.USEC, 90_000_000, 90_000_000),
        (Kind.BYTES, 2**64 - 1, 2**64 - 1),
        (Kind.MODE, 0o077, 63),
        (Kind.SHARE, 200_000, 200_000),
        (Kind.ERRNO, "EPERM", 1),
        (Kind.ERRNO, "ENOSYS", 38),
        (Kind.PROFILE, "aurora.hello", (False, "aurora.hello")),
        (Kind.WORDS, (), []),
        (Kind.WORDS, ("a", "b c"), ["a", "b c"]),
        (Kind.FAMILIES, ("AF_UNIX",), (True, ["AF_UNIX"])),
        (Kind.CAPABILITIES, (), 0),
        (Kind.CAPABILITIES, ("CAP_CHOWN", "CAP_KILL"), 0b100001),
        (Kind.NAMESPACES, ("uts",), 0x04000000),
        (Kind.NAMESPACES, ("uts", "user"), 0x14000000),
        (Kind.ADDRESSES, ("any",), [(2, [0] * 4, 0), (10, [0] * 16, 0)]),
        (Kind.ADDRESSES, ("127.0.0.0/8",), [(2, [127, 0, 0, 0], 8)]),
        (Kind.ADDRESSES, ("192.168.1.7",), [(2, [192, 168, 1, 7], 32)]),
        (Kind.ADDRESSES, ("::1/128",), [(10, [0] * 15 + [1], 128)]),
        (Kind.ADDRESSES, ("fe80::/10",), [(10, [0xFE, 0x80] + [0] * 14, 10)]),
        (Kind.BINDS, ("/a", "-/b"), [("/a", "/a", False, 0x4000), ("/b", "/b", True, 0x4000)]),
        (Kind.EMPTIED, ("/run",), [("/run", "ro")]),
        (Kind.EMPTIED, ("/dev/shm:size=1M",), [("/dev/shm", "mode=1777,nosuid,nodev,size=1M")]),
        (Kind.SWITCH, True, "yes"),
        (Kind.SWITCH, False, "no"),
        (Kind.SWITCH, "disconnected", "disconnected"),
        (Kind.DEVICES, ("/dev/gpiochip0 rw",), [("/dev/gpiochip0", "rw")]),
        (Kind.DEVICES, ("char-i2c rw",), [("char-i2c", "rw")]),
        (Kind.GROUPS, ("video", "render"), ["video", "render"]),
        (Kind.SOCKETS, ("any",), [(0, 0, 0, 0)]),
        (Kind.SOCKETS, ("8080", "443"), [(0, 0, 1, 8080), (0, 0, 1, 443)]),
        (Kind.COMMAND, ("/bin/x", "$A"), [("/bin/x", ["/bin/x", "$A"], ["no-env-expand"])]),
    ],
)
def test_a_value_is_encoded_as_systemd_documents_it(kind: Kind, value: Value, encoded: object) -> None:
    assert only(kind, value) == encoded


def test_system_calls_are_let_in_and_taken_out_in_the_order_of_the_words() -> None:
    words = ("@system-service", "read", "~@privileged", "~mount:ENOSYS", "@clock")
    assert bus_values(Kind.SYSCALLS, words) == [
        (True, ["@system-service", "read"]),
        (False, ["@privileged", "mount:ENOSYS"]),
        (True, ["@clock"]),
    ]
    assert bus_values(Kind.SYSCALLS, ("read",)) == [(True, ["read"])]
    assert bus_values(Kind.SYSCALLS, ("~read",)) == [(True, []), (False, ["read"])]


@given(st.sets(st.sampled_from(sorted(CAPABILITY_BIT))))
def test_a_mask_has_one_bit_for_each_capability(names: set[str]) -> None:
    mask = only(Kind.CAPABILITIES, tuple(sorted(names)))
    assert isinstance(mask, int)
    assert {name for name, bit in CAPABILITY_BIT.items() if mask >> bit & 1} == names


@given(st.ip_addresses())
def test_an_address_is_its_bytes_in_the_order_of_the_wire(address: IPv4Address | IPv6Address) -> None:
    family, prefix = (2, 32) if address.version == 4 else (10, 128)
    assert only(Kind.ADDRESSES, (str(address),)) == [(family, list(address.packed), prefix)]


def test_each_row_of_the_table_has_a_kind_that_can_be_encoded() -> None:
    assert {row.kind for row in DIRECTIVES.values()} <= SIGNATURES.keys()
