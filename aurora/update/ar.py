"""The outermost layer of a .deb, an ar archive: which members it has, and how one is written. Pure.

dpkg and apt each read it with code of their own. What one would skip and the other would take, such as a second
control archive, is refused, so that both see the package that was checked. What both skip are members whose name
begins with an underscore (deb(5)): signatures, which stand behind the three that a package has.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["SIGNATURES_MAX", "SIGNATURE_MAX_BYTES", "SIGNATURE_NAME", "BrokenDeb", "Part", "member_bytes", "parts_of"]

HEAD = b"!<arch>\n"
HEADER_BYTES = 60
SIGNATURES_MAX = 16
"""A package with more is refused."""
SIGNATURE_MAX_BYTES = 2048
"""A longer signature is refused unread."""
SIGNATURE_NAME = re.compile(r"_aurora[0-9a-f]{8}", re.ASCII)
"""15 characters, as dpkg writes names; the last eight are the beginning of the key."""
_PACKED = ("", ".gz", ".xz", ".zst")
_WANTED = (("debian-binary",), *(tuple(f"{name}.tar{end}" for end in _PACKED) for name in ("control", "data")))


class BrokenDeb(ValueError):
    """The file is no package as deb(5) has it; the text reads after "because"."""


class Part(NamedTuple):
    """One member of the archive."""

    name: str
    place: int
    """Where its header begins."""
    size_bytes: int
    """Of its content, without header and padding."""

    @property
    def content(self) -> int:
        """Where its content begins."""
        return self.place + HEADER_BYTES

    @property
    def end(self) -> int:
        """Where the next header begins: members are padded to an even size."""
        return self.content + self.size_bytes + self.size_bytes % 2

    @property
    def is_signature(self) -> bool:
        """Whether it is one of ours, behind the three that every package has."""
        return SIGNATURE_NAME.fullmatch(self.name) is not None


def parts_of(read_at: Callable[[int, int], bytes], size_bytes: int) -> tuple[Part, ...]:
    """The three members of a package, as deb(5) orders them, and its signatures behind them.

    BrokenDeb for a file that has anything else. `read_at` gives up to so many bytes from a place; only headers are
    read, and the padding of signatures. A signature's header and padding have but one form, so that no bit of them
    can be another.
    """
    if read_at(0, len(HEAD)) != HEAD:
        raise BrokenDeb("it is not a Debian package")
    found: list[Part] = []
    place = len(HEAD)
    while place < size_bytes or len(found) < len(_WANTED):
        part = _part(read_at, place)
        if len(found) < len(_WANTED):
            allowed = _WANTED[len(found)]
            if part.name not in allowed:
                raise BrokenDeb(f"it has the part {part.name!a} where {allowed[0]} belongs")
        else:
            _check_signature(read_at, part, found)
        if part.content + part.size_bytes > size_bytes:
            raise BrokenDeb(f"its part {part.name} is cut off")
        found.append(part)
        place = part.end
    return tuple(found)


def _part(read_at: Callable[[int, int], bytes], place: int) -> Part:
    header = read_at(place, HEADER_BYTES)
    size = header[48:58].rstrip(b" ")
    if len(header) != HEADER_BYTES or header[58:] != b"`\n" or not size.isdigit():
        raise BrokenDeb("it ends early, or a header in it is damaged")
    name = header[:16].rstrip(b" ").decode(errors="replace").removesuffix("/")
    return Part(name, place, int(size))


def _check_signature(read_at: Callable[[int, int], bytes], part: Part, found: list[Part]) -> None:
    if not part.is_signature:
        raise BrokenDeb("something stands behind its three parts that is no signature")
    if part.name in (one.name for one in found):
        raise BrokenDeb(f"it has the signature {part.name} twice")
    if len(found) - len(_WANTED) >= SIGNATURES_MAX:
        raise BrokenDeb(f"it has more than {SIGNATURES_MAX} signatures")
    if not 0 < part.size_bytes <= SIGNATURE_MAX_BYTES:
        raise BrokenDeb(f"its signature {part.name} is empty, or has more than {SIGNATURE_MAX_BYTES} bytes")
    padding = part.size_bytes % 2
    as_written = read_at(part.place, HEADER_BYTES), read_at(part.end - padding, padding)
    if as_written != (_header(part.name, part.size_bytes), b"\n" * padding):
        raise BrokenDeb(f"the header of its signature {part.name} is damaged")


def _header(name: str, size_bytes: int) -> bytes:
    return b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (name.encode(), 0, 0, 0, b"100644", size_bytes)


def member_bytes(name: str, content: bytes) -> bytes:
    """A member with its header and padding, in the one form that signatures have."""
    return _header(name, len(content)) + content + b"\n" * (len(content) % 2)
