from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from aurora.errors import HostError

netlink = pytest.importorskip("aurora.host.netlink", reason="pyroute2 is in the build tree")

UP, LOOPBACK = 0x1, 0x8


class Row(dict[str, Any]):
    """An answer of the kernel's, as pyroute2 gives it."""

    def get_attr(self, name: str) -> object:
        return self.get(name)


def kernel(monkeypatch: pytest.MonkeyPatch, addresses: Sequence[tuple[int, str, int]]) -> None:
    """Interface 1 is the loopback, 2 and 3 are up, 4 is down."""

    class IPRoute:
        def __enter__(self) -> IPRoute:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def get_links(self) -> list[Row]:
            flags = {1: UP | LOOPBACK, 2: UP, 3: UP, 4: 0}
            return [Row(index=index, flags=flag) for index, flag in flags.items()]

        def get_addr(self, family: int) -> list[Row]:
            version = {2: ".", 10: ":"}[family]
            return [
                Row(index=index, prefixlen=length, IFA_ADDRESS=address)
                for index, address, length in addresses
                if version in address
            ]

    monkeypatch.setattr(netlink, "IPRoute", IPRoute)


def test_the_networks_are_those_of_the_interfaces_that_are_up(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel(
        monkeypatch,
        [
            (1, "127.0.0.1", 8), (1, "::1", 128), (2, "192.168.1.7", 24), (2, "fe80::1", 64), (3, "192.168.1.8", 24),
            (3, "10.1.2.3", 16), (4, "172.16.0.1", 12),
        ],
    )  # fmt: skip
    assert netlink.read_networks() == ("10.1.0.0/16", "192.168.1.0/24", "fe80::/64")


def test_an_address_that_stands_for_everything_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel(monkeypatch, [(2, "0.0.0.0", 0), (2, "::", 0)])
    assert netlink.read_networks() == ()


def test_more_networks_than_a_unit_should_carry_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel(monkeypatch, [(2, f"10.{number // 256}.{number % 256}.1", 24) for number in range(257)])
    with pytest.raises(HostError, match="there are 257, more than 256"):
        netlink.read_networks()
