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
    """The patterns, when called; the file is read when it has changed."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._seen: tuple[int, ...] = ()
        self._patterns: tuple[str, ...] = ()

    def __call__(self) -> tuple[str, ...]:
        """Those of now; none without the file."""
        try:
            found = self._paths.owner_core.stat()
        except FileNotFoundError:
            self._seen, self._patterns = (), ()
            return ()
        except OSError as error:
            _log.warning("all that modules send needs an approval: %s", error)
            return ALL
        seen = (found.st_ino, found.st_dev, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        if seen != self._seen:
            self._seen, self._patterns = seen, self._read()
        return self._patterns

    def _read(self) -> tuple[str, ...]:
        # Most machines have no such file, and a hub without the reader of it is smaller.
        from aurora.link import origins  # noqa: PLC0415  # see above

        try:
            return origins.owner(self._paths).approve
        except FileNotFoundError:
            return ()
        except (OSError, AuroraError) as error:
            _log.warning("all that modules send needs an approval: %s", error)
            return ALL
