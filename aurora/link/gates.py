"""Where what modules send needs an approval: `[link] approve` in /etc/aurora/core.toml."""

from __future__ import annotations

import logging

from aurora.errors import AuroraError
from aurora.paths import Paths

__all__ = ["ALL", "Gates"]

ALL = ("#",)
"""While the owner's file is there and cannot be read or trusted: nothing passes because of a mistake in it."""
_log = logging.getLogger("aurora.link")


class Gates:
    """The patterns, when called; the file is read when it has changed, and as long as that fails."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._seen: tuple[int, ...] = ()
        """Of the file as it was read; empty where that is to be done again."""
        self._patterns: tuple[str, ...] = ()
        self._told = ""

    def __call__(self) -> tuple[str, ...]:
        """Those of now; none without the file."""
        try:
            self._look()
        except FileNotFoundError:
            self._seen, self._patterns = (), ()
        except (OSError, AuroraError) as error:
            self._seen = ()
            self._tell(str(error))
            return ALL
        self._tell("")
        return self._patterns

    def _look(self) -> None:
        found = self._paths.owner_core.stat()
        seen = (found.st_ino, found.st_dev, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        if seen == self._seen:
            return
        # Most machines have no such file, and a hub without the reader of it is smaller.
        from aurora.link import origins  # noqa: PLC0415  # see above

        self._patterns = origins.owner(self._paths).approve
        self._seen = seen

    def _tell(self, why: str) -> None:
        """Once, and not at each look."""
        if why and why != self._told:
            _log.warning("all that modules send needs an approval: %s", why)
        self._told = why
