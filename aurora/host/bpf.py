"""Which BPF programs hold a cgroup, asked of the kernel by bpf(2). Only root may ask."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from enum import IntEnum

__all__ = ["Attach", "count_programs"]


class Attach(IntEnum):
    """Where a program is attached (enum bpf_attach_type of include/uapi/linux/bpf.h)."""

    INGRESS = 0
    """What comes in from the network."""
    EGRESS = 1
    """What goes out to it."""
    DEVICE = 6
    """What is opened below /dev."""
    BIND4 = 8
    """Which ports are taken, of IPv4."""
    BIND6 = 9
    """The same of IPv6."""


_PROG_QUERY = 16
# The numbers of the call in 64-bit programs; a 32-bit one on Arm has its own, whatever the kernel is.
_CALL = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "loongarch64": 280, "ppc64le": 361, "s390x": 351}
_CALL_ARM_32 = 386
_ATTR_BYTES = 128
_COUNT_OFFSET = 24  # of prog_cnt in the attributes of BPF_PROG_QUERY


def count_programs(cgroup: str, attach: Attach) -> int | None:
    """How many programs of that kind are attached to the cgroup folder itself; None when it cannot be asked."""
    call = _number()
    if call is None:
        return None
    try:
        folder = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        attributes = bytearray(_ATTR_BYTES)
        struct.pack_into("=II", attributes, 0, folder, attach)  # no room for numbers: only the count comes back
        buffer = (ctypes.c_char * _ATTR_BYTES).from_buffer(attributes)
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syscall(ctypes.c_long(call), ctypes.c_long(_PROG_QUERY), buffer, ctypes.c_long(_ATTR_BYTES)) != 0:
            return None
        count: int = struct.unpack_from("=I", attributes, _COUNT_OFFSET)[0]
        return count
    finally:
        os.close(folder)


def _number() -> int | None:
    machine = platform.machine()
    if sys.maxsize < 2**32:
        return _CALL_ARM_32 if machine.startswith(("arm", "aarch64")) else None
    return _CALL.get(machine)
