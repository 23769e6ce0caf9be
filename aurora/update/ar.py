"""The outermost layer of a .deb, an ar archive: which members it has. Pure.

dpkg and apt each read it with code of their own. What one would skip and the other would take, such as a second
control archive, is refused, so that both see the package that was checked.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["deb_fault"]

HEAD = b"!<arch>\n"
HEADER_BYTES = 60
_PACKED = ("", ".gz", ".xz", ".zst")
_WANTED = (("debian-binary",), *(tuple(f"{name}.tar{end}" for end in _PACKED) for name in ("control", "data")))


def deb_fault(read_at: Callable[[int, int], bytes], size_bytes: int) -> str | None:
    """Why a file is not a package of exactly three members, as deb(5) orders them; None when it is.

    `read_at` gives up to so many bytes from a place; only the headers are read.
    """
    if read_at(0, len(HEAD)) != HEAD:
        return "it is not a Debian package"
    place = len(HEAD)
    for allowed in _WANTED:
        header = read_at(place, HEADER_BYTES)
        size = header[48:58].rstrip(b" ")
        if len(header) != HEADER_BYTES or header[58:] != b"`\n" or not size.isdigit():
            return "it ends early, or a header in it is damaged"
        name = header[:16].rstrip(b" ").decode(errors="replace").removesuffix("/")
        if name not in allowed:
            return f"it has the part {name!a} where {allowed[0]} belongs"
        place += HEADER_BYTES + int(size)
        if place > size_bytes:
            return f"its part {name} is cut off"
        place += place % 2
    return "something stands behind its three parts" if place < size_bytes else None
