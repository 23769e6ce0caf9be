"""The web pages that the owner lets talk to the hub: `[link] origins` in /etc/aurora/core.toml.

It is read whenever a page tries, so that a change of the owner's counts from the next connection on.
"""

from __future__ import annotations

import logging

from aurora.errors import AuroraError, Refused
from aurora.host.files import ownership_problem, read_bounded
from aurora.paths import Paths
from aurora.policy import FILE_MAX_BYTES, Owner, read_owner

__all__ = ["origins", "owner"]

_log = logging.getLogger("aurora.link")


def owner(paths: Paths) -> Owner:
    """What the owner's file says; FileNotFoundError without one, OSError and AuroraError when it does not do."""
    place = paths.owner_core
    if (problem := ownership_problem(place, below=paths.owner.parent)) is not None:
        raise Refused.of([problem])
    return read_owner(read_bounded(place, max_bytes=FILE_MAX_BYTES), file=str(place))


def origins(paths: Paths) -> tuple[str, ...]:
    """Their origins; none when the file cannot be read or trusted, and the journal says why."""
    try:
        return owner(paths).origins
    except FileNotFoundError:
        return ()
    except (OSError, AuroraError) as error:
        _log.warning("no web page is let in: %s", error)
        return ()
