"""Where what modules send needs an approval: by `[link] approve` in /etc/aurora/core.toml, and in manifests."""

from __future__ import annotations

import logging

from aurora.errors import AuroraError, Refused
from aurora.link.bounds import Bounds
from aurora.link.rulebook import Marks
from aurora.paths import Paths

__all__ = ["ALL", "Gates"]

ALL = ("#",)
"""While one of the files is there and cannot be read or trusted: nothing passes because of a mistake in it."""
_log = logging.getLogger("aurora.link")


class Gates:
    """The patterns, when called; what they are read from is read when it has changed, and as long as that fails."""

    def __init__(self, paths: Paths, bounds: Bounds | None = None) -> None:
        self._paths = paths
        self._max = (bounds or Bounds()).gates_max
        self._of_modules = Marks(paths)
        self._seen: tuple[int, ...] = ()
        """Of the owner's file as it was read; empty where that is to be done again."""
        self._of_owner: tuple[str, ...] = ()
        self._told = ""

    def __call__(self) -> tuple[str, ...]:
        """Those of now; `ALL` where that is not known, or where there are more than may be."""
        try:
            found = tuple(dict.fromkeys((*self._owners(), *self._of_modules())))
            if len(found) > self._max:
                why = f"there are {len(found)} patterns of topics"
                raise Refused("go by where approvals are needed", why, remedy=f"at most {self._max}")
        except (OSError, AuroraError) as error:
            self._tell(str(error))
            return ALL
        self._tell("")
        return found

    def _owners(self) -> tuple[str, ...]:
        seen, self._seen = self._seen, ()
        try:
            found = self._paths.owner_core.stat()
            now = (found.st_ino, found.st_dev, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
            if now != seen:
                # Most machines have no such file, and a hub without the reader of it is smaller.
                from aurora.link import origins  # noqa: PLC0415  # see above

                self._of_owner = origins.owner(self._paths).approve
        except FileNotFoundError:
            return ()
        self._seen = now
        return self._of_owner

    def _tell(self, why: str) -> None:
        """Once, and not at each look."""
        if why and why != self._told:
            _log.warning("all that modules send needs an approval: %s", why)
        self._told = why
