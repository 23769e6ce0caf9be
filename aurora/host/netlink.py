"""The networks that this machine is on, asked of the kernel over netlink: the only file that knows pyroute2.

Importing pyroute2 costs as much as nine starts of Python, so this file is imported only when a plan needs it.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

from pyroute2 import IPRoute

from aurora.errors import HostError

__all__ = ["read_networks"]

NETWORKS_MAX = 256
"""More are refused: a plan has to be given to systemd in one call, and every packet is looked up in it."""
_LOOPBACK = 0x8  # IFF_LOOPBACK in include/uapi/linux/if.h
_UP = 0x1
_FAMILIES = (socket.AF_INET, socket.AF_INET6)


def read_networks() -> tuple[str, ...]:
    """The network of each address of an interface that is up and is no loopback, sorted: "192.168.1.0/24".

    An address that stands for everything (prefix length 0) counts for nothing. HostError when the kernel cannot be
    asked, or names more than `NETWORKS_MAX`.
    """
    try:
        with IPRoute() as netlink:
            up = {
                link["index"] for link in netlink.get_links() if link["flags"] & _UP and not link["flags"] & _LOOPBACK
            }
            rows = [(row["index"], row.get_attr("IFA_ADDRESS"), row["prefixlen"]) for row in _addresses(netlink)]
    except OSError as error:
        raise HostError("read the machine's networks", str(error)) from error
    found = {
        ipaddress.ip_network(f"{address}/{prefix}", strict=False)
        for index, address, prefix in rows
        if index in up and address and prefix
    }
    if len(found) > NETWORKS_MAX:
        raise HostError("read the machine's networks", f"there are {len(found)}, more than {NETWORKS_MAX}")
    return tuple(str(one) for one in sorted(found, key=lambda one: (one.version, one.network_address, one.prefixlen)))


def _addresses(netlink: IPRoute) -> list[Any]:
    return [row for family in _FAMILIES for row in netlink.get_addr(family=family)]
