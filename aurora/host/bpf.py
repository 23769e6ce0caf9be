"""Which BPF programs hold a cgroup, asked of the kernel by bpf(2), and how they are attached. Only root may."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Sequence
from enum import IntEnum

__all__ = ["Attach", "count_programs", "replace_programs"]


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


# enum bpf_cmd, enum bpf_prog_type and flags of include/uapi/linux/bpf.h.
_PROG_LOAD, _PROG_ATTACH, _PROG_DETACH, _PROG_GET_FD_BY_ID, _PROG_QUERY = 5, 8, 9, 13, 16
_CGROUP_SOCK_ADDR = 18
_ALLOW_MULTI = 2  # beside others, each of which has to agree
# The numbers of the call in 64-bit programs; a 32-bit one on Arm has its own, whatever the kernel is.
_CALL = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "loongarch64": 280, "ppc64le": 361, "s390x": 351}
_CALL_ARM_32 = 386
_ATTR_BYTES = 128
_IDS_OFFSET, _COUNT_OFFSET = 16, 24  # of prog_ids and prog_cnt in the attributes of BPF_PROG_QUERY
_NAME_OFFSET, _EXPECTED_OFFSET = 48, 68  # of prog_name and expected_attach_type in those of BPF_PROG_LOAD
_INSTRUCTION_BYTES = 8
_REPLACED_MAX = 64


def count_programs(cgroup: str, attach: Attach) -> int | None:
    """How many programs of that kind are attached to the cgroup folder itself; None when it cannot be asked."""
    try:
        folder = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        attributes = bytearray(_ATTR_BYTES)
        struct.pack_into("=II", attributes, 0, folder, attach)  # no room for numbers: only the count comes back
        _bpf(_PROG_QUERY, attributes)
        count: int = struct.unpack_from("=I", attributes, _COUNT_OFFSET)[0]
        return count
    except OSError:
        return None
    finally:
        os.close(folder)


def replace_programs(cgroup: str, attach: Attach, programs: Sequence[bytes]) -> None:
    """Attach these programs about socket addresses to the cgroup folder, and then detach those of that kind before.

    What is attached so stays until the cgroup is removed, whoever ends before. What a BPF link holds there, as those
    of systemd are held, is its holder's and stays beside them. At most 64 are replaced; OSError when there are more,
    or when the kernel refuses.
    """
    folder = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        before = _numbers(folder, attach)
        for program in programs:
            handle = _load(program, attach)
            try:
                _attached(_PROG_ATTACH, folder, handle, attach, _ALLOW_MULTI)
            finally:
                os.close(handle)
        for number in before:
            attributes = bytearray(_ATTR_BYTES)
            struct.pack_into("=I", attributes, 0, number)
            handle = _bpf(_PROG_GET_FD_BY_ID, attributes)
            try:
                _attached(_PROG_DETACH, folder, handle, attach, 0)
            except FileNotFoundError:  # held by a link: BPF_PROG_DETACH finds only what BPF_PROG_ATTACH attached
                pass
            finally:
                os.close(handle)
    finally:
        os.close(folder)


def _numbers(folder: int, attach: Attach) -> list[int]:
    """The programs that are attached."""
    room = (ctypes.c_uint32 * _REPLACED_MAX)()
    attributes = bytearray(_ATTR_BYTES)
    struct.pack_into("=II", attributes, 0, folder, attach)
    struct.pack_into("=QI", attributes, _IDS_OFFSET, ctypes.addressof(room), _REPLACED_MAX)
    _bpf(_PROG_QUERY, attributes)
    count: int = struct.unpack_from("=I", attributes, _COUNT_OFFSET)[0]
    return list(room[:count])


def _load(program: bytes, attach: Attach) -> int:
    code, license_name = ctypes.create_string_buffer(program, len(program)), ctypes.create_string_buffer(b"Apache-2.0")
    attributes = bytearray(_ATTR_BYTES)
    count = len(program) // _INSTRUCTION_BYTES
    struct.pack_into(
        "=IIQQ", attributes, 0, _CGROUP_SOCK_ADDR, count, ctypes.addressof(code), ctypes.addressof(license_name)
    )
    struct.pack_into("16s", attributes, _NAME_OFFSET, b"aurora_ports")
    struct.pack_into("=I", attributes, _EXPECTED_OFFSET, attach)
    return _bpf(_PROG_LOAD, attributes)


def _attached(command: int, folder: int, program: int, attach: Attach, flags: int) -> None:
    attributes = bytearray(_ATTR_BYTES)
    struct.pack_into("=IIII", attributes, 0, folder, program, attach, flags)
    _bpf(command, attributes)


def _bpf(command: int, attributes: bytearray) -> int:
    """bpf(2), which may change `attributes`; OSError when it fails, or its number is not known for this machine."""
    call = _number()
    if call is None:
        raise OSError(errno.ENOSYS, f"the number of bpf(2) on {platform.machine()} is not known")
    buffer = (ctypes.c_char * len(attributes)).from_buffer(attributes)
    libc = ctypes.CDLL(None, use_errno=True)
    result: int = libc.syscall(ctypes.c_long(call), ctypes.c_long(command), buffer, ctypes.c_long(len(attributes)))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"bpf(2): {os.strerror(ctypes.get_errno())}")
    return result


def _number() -> int | None:
    machine = platform.machine()
    if sys.maxsize < 2**32:
        return _CALL_ARM_32 if machine.startswith(("arm", "aarch64")) else None
    return _CALL.get(machine)
