"""apt's way in: what it is about to install of ours is judged before dpkg unpacks any of it; no verb for people."""

from __future__ import annotations

import sys
from types import SimpleNamespace

from aurora.errors import InputError
from aurora.names import CORE_PACKAGE, package_name
from aurora.paths import Paths
from aurora.update.incoming import BrokenList, incoming

__all__ = ["gate"]

_WHAT = "let apt install packages"
_LIST_MAX_BYTES = 64 << 20
"""What apt says of its whole configuration and all packages; it is 100 kB for a fresh desktop."""
_OF_MODULES = package_name("")


def gate(_arguments: SimpleNamespace) -> int:
    """`auroractl apt-gate`, which apt runs with its list of packages at our standard input."""
    said = sys.stdin.buffer.read(_LIST_MAX_BYTES + 1)
    try:
        if len(said) > _LIST_MAX_BYTES:
            raise BrokenList(f"it has more than {_LIST_MAX_BYTES} bytes")
        listed = incoming(said)
    except BrokenList as error:
        remedy = "the configuration as aurora-core brings it"
        raise InputError(_WHAT, f"of its list {error}", where="/etc/apt/apt.conf.d/50aurora-core", remedy=remedy) from (
            error
        )
    ours = [one for one in listed if one.package == CORE_PACKAGE or one.package.startswith(_OF_MODULES)]
    if ours:
        # What unpacks and judges costs more than a start of Python, and most of what apt installs is not ours.
        from aurora.cli.admission import admit_all  # noqa: PLC0415  # see above

        admit_all(Paths(), ours)
    return 0
