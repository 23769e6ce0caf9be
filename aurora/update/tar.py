"""A tar archive, as dpkg reads one, from a stream: its members one by one. Pure.

Stricter than tarfile(3), which takes a damaged header for the end of an archive and reads a long name of any length
into memory: here each oddity is an error, and what is held in memory is bounded. What dpkg does not unpack (pax
headers, sparse files) comes out as a member of an unknown kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import NamedTuple

__all__ = ["NAME_MAX_BYTES", "BrokenTar", "Kind", "Member", "members_of"]

BLOCK_BYTES = 512
CHUNK_BYTES = 1 << 16
NAME_MAX_BYTES = 4096
"""PATH_MAX of the kernel. A longer name is an error."""


class Kind(StrEnum):
    """What a member is, in the words of an error."""

    FILE = "a file"
    FOLDER = "a folder"
    HARD_LINK = "a hard link"
    LINK = "a symbolic link"
    CHARACTER_DEVICE = "a character device"
    BLOCK_DEVICE = "a block device"
    PIPE = "a pipe"
    SPARSE = "a sparse file"
    UNKNOWN = "of a kind that packages do not have"


_KINDS = {
    b"0": Kind.FILE,
    b"\0": Kind.FILE,
    b"1": Kind.HARD_LINK,
    b"2": Kind.LINK,
    b"3": Kind.CHARACTER_DEVICE,
    b"4": Kind.BLOCK_DEVICE,
    b"5": Kind.FOLDER,
    b"6": Kind.PIPE,
    b"S": Kind.SPARSE,
}


class BrokenTar(ValueError):
    """The archive cannot be read on; the text reads after "because"."""


class Member(NamedTuple):
    """One entry, as its header describes it."""

    name: bytes
    kind: Kind
    mode: int
    size_bytes: int


def members_of(read: Callable[[int], bytes]) -> Iterator[tuple[Member, Iterator[bytes]]]:
    """Each member with its content in pieces, which need not be taken; `read` gives as many bytes as it is asked for.

    BrokenTar for an archive that is damaged, ends too early, or goes on behind its end.
    """
    long_name: bytes | None = None
    while True:
        block = _exactly(read, BLOCK_BYTES)
        if not any(block):
            break
        member, flag = _header(block)
        if flag == b"L":
            if long_name is not None or not 0 < member.size_bytes <= NAME_MAX_BYTES + 1:
                raise BrokenTar(f"a name in it is longer than {NAME_MAX_BYTES} bytes, or is there twice")
            long_name = b"".join(_content(read, member.size_bytes)).rstrip(b"\0")
            continue
        if long_name is not None:
            member = member._replace(name=long_name)
            long_name = None
        content = _content(read, member.size_bytes)
        yield member, content
        for _ in content:  # what was not taken
            pass
    if long_name is not None:
        raise BrokenTar("it ends with a name that belongs to nothing")
    while rest := read(CHUNK_BYTES):
        if any(rest):
            raise BrokenTar("something stands behind its end")


def _exactly(read: Callable[[int], bytes], size: int) -> bytes:
    block = read(size)
    if len(block) != size:
        raise BrokenTar("it ends in the middle")
    return block


def _content(read: Callable[[int], bytes], size: int) -> Iterator[bytes]:
    left = size
    while left:
        chunk = _exactly(read, min(left, CHUNK_BYTES))
        left -= len(chunk)
        yield chunk
    if padding := -size % BLOCK_BYTES:
        _exactly(read, padding)


def _header(block: bytes) -> tuple[Member, bytes]:
    """The member that a header block describes, and its type flag."""
    if sum(block[:148]) + sum(b" " * 8) + sum(block[156:]) != _number(block[148:156]):
        raise BrokenTar("a header in it is damaged")
    flag = block[156:157]
    name = block[:100].partition(b"\0")[0]
    # GNU's own format has times where POSIX has the first part of a long name.
    prefix = block[345:500].partition(b"\0")[0] if block[257:263] == b"ustar\0" else b""
    kind = _KINDS.get(flag, Kind.UNKNOWN)
    size_bytes = _number(block[124:136])
    if kind not in (Kind.FILE, Kind.SPARSE, Kind.UNKNOWN) and size_bytes:
        raise BrokenTar("something in it that is not a file has content")
    return Member(prefix + b"/" + name if prefix else name, kind, _number(block[100:108]), size_bytes), flag


def _number(field: bytes) -> int:
    digits = field.strip(b" \0")
    if any(digit not in b"01234567" for digit in digits):  # also those beyond 8 GiB, which are not in octal
        raise BrokenTar("a number in it is not one, or beyond all bounds")
    return int(digits or b"0", 8)
