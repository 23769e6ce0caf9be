"""What apt tells a program of DPkg::Pre-Install-Pkgs about the packages that it is about to hand to dpkg."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["BrokenList", "Incoming", "incoming"]

VERSION = "VERSION 3"
"""The form that our part of apt's configuration asks for."""
FIELDS = 9
"""Package; version, architecture and Multi-Arch of what is installed; the direction of the change; the same three of
what is to come; and the file, which may have blanks in its name (apt.conf(5), DPkg::Pre-Install-Pkgs)."""


class BrokenList(Exception):
    """It is not in the form that was asked for."""


class Incoming(NamedTuple):
    """A package of which dpkg is about to unpack a file."""

    package: str
    version: str
    file: str


def incoming(said: bytes) -> list[Incoming]:
    """The packages that are to be unpacked, in apt's order; those that are only configured or removed are left out.

    BrokenList when it is not the third form of the list.
    """
    lines = iter(said.decode(errors="surrogateescape").removesuffix("\n").split("\n"))
    if next(lines, "") != VERSION:
        raise BrokenList(f"its first line is not {VERSION!r}")
    for line in lines:  # apt's whole configuration, up to an empty line
        if not line:
            break
    found = []
    for line in lines:
        fields = line.split(" ", FIELDS - 1)
        if len(fields) != FIELDS:
            raise BrokenList(f"the line {line[:200]!a} has {len(fields)} fields, not {FIELDS}")
        file = fields[-1]
        if not (file.startswith("**") and file.endswith("**")):  # **CONFIGURE** and **REMOVE**
            found.append(Incoming(fields[0], fields[5], file))
    return found
