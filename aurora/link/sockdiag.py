"""What the kernel says of one TCP socket, sock_diag(7): the question and its answer as bytes.

pyroute2 lacks the one attribute that is wanted, and costs more than the hub itself.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

__all__ = ["ANSWER_MAX_BYTES", "ESTABLISHED", "Endpoint", "Seen", "answer", "question"]

ANSWER_MAX_BYTES = 8192
ESTABLISHED = 1
"""Its state, of include/net/tcp_states.h."""

_SOCK_DIAG_BY_FAMILY = 20
_NLMSG_ERROR = 2
_NLM_F_REQUEST = 1
_IPPROTO_TCP = 6
_ALL_STATES = 0xFFFF_FFFF
_INET_DIAG_CGROUP_ID = 21  # Linux 5.9, include/uapi/linux/inet_diag.h
_IPV4, _IPV6 = 2, 10
_MAPPED = bytes(10) + b"\xff\xff"
"""Before an IPv4 address in a socket of IPv6, RFC 4291, section 2.5.5.2."""

_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
_REQUEST = struct.Struct("=BBBxI")  # struct inet_diag_req_v2: family, protocol, what more is asked for, states
_PORTS = struct.Struct("!HH")
_WHICH = struct.Struct("=IQ")  # interface, cookie
_ANSWER = struct.Struct("=xB 2x 48x 12x II")  # struct inet_diag_msg: of its members state, uid, inode
_ATTRIBUTE = struct.Struct("=HH")  # struct nlattr: length, type
_ERROR = struct.Struct("=i")
_ID = struct.Struct("=Q")
_ID_AT = _HEADER.size + 4
"""Where struct inet_diag_sockid begins in an answer."""


class Endpoint(NamedTuple):
    """One end of a connection: an address as bytes, and a port."""

    address: bytes
    port: int


class Seen(NamedTuple):
    """A socket. Two of the same cookie are the same one."""

    state: int
    uid: int
    """Whose it is."""
    inode: int
    """0 when no process has it any more."""
    cookie: int
    group: int
    """Of the control group in which it was made, the id; 0 when the kernel does not say."""


def question(local: Endpoint, remote: Endpoint, sequence: int) -> bytes:
    """Ask for the one socket between these two."""
    family = _IPV4 if len(local.address) == 4 else _IPV6
    body = (
        _REQUEST.pack(family, _IPPROTO_TCP, 0, _ALL_STATES)
        + _PORTS.pack(local.port, remote.port)
        + local.address.ljust(16, b"\0")
        + remote.address.ljust(16, b"\0")
        + _WHICH.pack(0, 0xFFFF_FFFF_FFFF_FFFF)
    )
    return _HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, sequence, 0) + body


def answer(data: bytes, local: Endpoint, remote: Endpoint, sequence: int) -> Seen | None:
    """The socket between the two, None when there is none; ValueError when `data` answers another question.

    Where there is no such connection the kernel names who listens at that port, if anybody does: that is none.
    """
    if len(data) < _HEADER.size:
        raise ValueError("it is cut")
    length, kind, _flags, number, _port = _HEADER.unpack_from(data)
    if number != sequence:
        raise ValueError("it is of another question")
    if kind == _NLMSG_ERROR and len(data) >= _HEADER.size + _ERROR.size:
        return None
    at = _HEADER.size + _ANSWER.size
    if kind != _SOCK_DIAG_BY_FAMILY or not at <= length <= len(data):
        raise ValueError("it is no answer")
    state, uid, inode = _ANSWER.unpack_from(data, _HEADER.size)
    ports = _PORTS.unpack_from(data, _ID_AT)
    source, target = data[_ID_AT + 4 : _ID_AT + 20], data[_ID_AT + 20 : _ID_AT + 36]
    if ports != (local.port, remote.port) or not (_is(source, local.address) and _is(target, remote.address)):
        return None
    _interface, cookie = _WHICH.unpack_from(data, _ID_AT + 36)
    return Seen(state=state, uid=uid, inode=inode, cookie=cookie, group=_group(data[at:length]))


def _is(found: bytes, address: bytes) -> bool:
    """A socket of IPv6 can be one of IPv4 all the same."""
    if len(address) == 16:
        return found == address
    return found in (address.ljust(16, b"\0"), _MAPPED + address)


def _group(attributes: bytes) -> int:
    at = 0
    while at + _ATTRIBUTE.size <= len(attributes):
        length, kind = _ATTRIBUTE.unpack_from(attributes, at)
        if length < _ATTRIBUTE.size or at + length > len(attributes):
            break
        if kind == _INET_DIAG_CGROUP_ID and length == _ATTRIBUTE.size + _ID.size:
            return int(_ID.unpack_from(attributes, at + _ATTRIBUTE.size)[0])
        at += length + 3 & ~3
    return 0
