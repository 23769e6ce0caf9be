"""What is measured, by name: in the machine that measures, and for the report. Pure."""

from __future__ import annotations

from typing import NamedTuple

DOWNTIME = "downtime"
STAGING = "staging"
WRITTEN = "bytes written"
WHOLE = "whole command"
SELF = "the core itself"

RESTART = "systemctl restart"
FOLDER = "auroractl update apply DIR"
DPKG = "dpkg --install, ordinary package"
STAGE_FOLDER = "stage and verify, from a folder"
STAGE_PACKAGE = "stage and verify, from a package"
EXTRACT = "dpkg-deb -x"
EXTRACT_SYNC = "dpkg-deb -x, then sync"
UNPACKED = "unpacked size"

CORE = "aurora-core"
CORE_TRIED = "dpkg --install, tried and confirmed"
CORE_UNTRIED = "dpkg --install alone"

ALL = "all changed"
ONE = "one changed"


class Size(NamedTuple):
    """A module's size."""

    name: str
    files: int
    size_bytes: int

    def case(self, change: str) -> str:
        """How a case of it is called."""
        return f"{self.name}, {change}"


SIZES = (
    Size("200 KiB in 20 files", 20, 200 << 10),
    Size("20 MiB in 500 files", 500, 20 << 20),
)


def sectors_written(stat: str) -> int:
    """Of the text of /sys/block/NAME/stat: sectors of 512 bytes written (Documentation/block/stat.rst, field 7)."""
    return int(stat.split()[6])
