"""The kernel's audit records as they come, through its netlink multicast group (AUDIT_NLGRP_READLOG).

Not through the journal: without an audit daemon the kernel prints records to its log, and there it drops all but a
few in five seconds (printk_ratelimit in kernel/audit.c). The group gets every record that the kernel does not lose
itself, and what it loses it counts.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple, Self

from aurora.errors import Denied, HostError, Refused

__all__ = ["AuditListener", "AuditState", "audit_state"]

_NETLINK_AUDIT = 9
_GROUP_READLOG = 1
_SO_RCVBUFFORCE = 33
_BUFFER_BYTES = 8 << 20
_MESSAGE_MAX_BYTES = 1 << 16
_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_STATUS = struct.Struct("=10I")  # struct audit_status
_AUDIT_GET = 1000
_NLMSG_ERROR = 2
_ANSWER_SEC = 10.0
_DRAIN_SEC = 0.5


class AuditState(NamedTuple):
    """What the kernel says of its audit log (AUDIT_GET in include/uapi/linux/audit.h)."""

    lost: int
    """Records lost since boot."""
    rate_limit: int
    """Records a second; beyond it they are lost. 0: no limit."""
    backlog_limit: int
    """Records that may wait for a reader; beyond it they are lost. 0: no limit."""


def _open(groups: int) -> socket.socket:
    try:
        handle = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_AUDIT)
    except OSError as error:
        raise Refused(
            "read the kernel's audit log", f"this kernel has none: {error}", remedy="a kernel started without audit=0"
        ) from error
    try:
        handle.bind((0, groups))
    except OSError as error:
        handle.close()
        raise Denied("read the kernel's audit log", str(error), remedy="sudo") from error
    return handle


def audit_state() -> AuditState:
    """The kernel's figures now; HostError when it does not answer."""
    with _open(0) as handle:
        handle.settimeout(_ANSWER_SEC)
        try:
            handle.send(_HEADER.pack(_HEADER.size, _AUDIT_GET, 1, 1, 0))
            data = handle.recv(_MESSAGE_MAX_BYTES)
        except OSError as error:
            raise HostError("ask the kernel's audit log", str(error)) from error
    kind = _HEADER.unpack_from(data)[1]
    if kind == _NLMSG_ERROR or len(data) < _HEADER.size + _STATUS.size:
        raise HostError("ask the kernel's audit log", "it gave an error for an answer", remedy="sudo")
    fields = _STATUS.unpack_from(data, _HEADER.size)
    return AuditState(lost=fields[6], rate_limit=fields[4], backlog_limit=fields[5])


class AuditListener:
    """Hears every record from the moment it is made; close it, or use it in `with`."""

    def __init__(self) -> None:
        self._before = audit_state()
        self._socket = _open(_GROUP_READLOG)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        self._overruns = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hear no more."""
        self._socket.close()

    def hear(self, take: Callable[[int, str], None], *, pid: int | None, deadline_sec: float) -> bool:
        """Give records to `take` (number, text) until the process is gone or the deadline; whether it is gone.

        Without `pid`: until the deadline. What was written before it went is heard.
        """
        end = time.monotonic() + deadline_sec
        handle = _watched(pid) if pid is not None else None
        if pid is not None and handle is None:
            self._drain(take)
            return True
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        if handle is not None:
            poll.register(handle, select.POLLIN)
        try:
            while (left_sec := end - time.monotonic()) > 0:
                ready = {one for one, _ in poll.poll(left_sec * 1000)}
                if self._socket.fileno() in ready:
                    self._take_all(take)
                if handle is not None and handle in ready:
                    self._drain(take)
                    return True
        finally:
            if handle is not None:
                os.close(handle)
        return False

    def _drain(self, take: Callable[[int, str], None]) -> None:
        """The last records of a process reach us a moment after its end: the kernel hands them on in a thread."""
        self.hear(take, pid=None, deadline_sec=_DRAIN_SEC)

    def _take_all(self, take: Callable[[int, str], None]) -> None:
        while True:
            try:
                data = self._socket.recv(_MESSAGE_MAX_BYTES)
            except BlockingIOError:
                return
            except OSError:
                self._overruns += 1  # ENOBUFS: more came than the buffer holds
                return
            if len(data) >= _HEADER.size:
                kind = _HEADER.unpack_from(data)[1]
                take(kind, data[_HEADER.size :].decode("ascii", errors="replace"))

    @property
    def lost(self) -> int:
        """Records that the kernel lost since this was made; an overrun of our own buffer counts as one."""
        return max(0, audit_state().lost - self._before.lost) + self._overruns


def _watched(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    except OSError as error:
        raise HostError(f"watch process {pid}", str(error)) from error
