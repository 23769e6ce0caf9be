"""When each module was last brought into its safe state. On the path of `auroractl status`: it imports little."""

from __future__ import annotations

from aurora.paths import Paths
from aurora.value import Value

__all__ = ["SafeRun", "read_safe_run"]

FILE_MAX_BYTES = 1024


class SafeRun(Value):
    """The last time."""

    when_sec: int
    """Since the epoch."""
    because: str
    """failed (for good), watchdog, or forced (it did not obey a stop)."""
    ended: str
    """well, badly, or not yet."""

    def to_bytes(self) -> bytes:
        """As its file holds it."""
        return f"{self.when_sec}\n{self.because}\n{self.ended}\n".encode()


def read_safe_run(paths: Paths, module: str) -> SafeRun | None:
    """None when it never was, or that is not known."""
    try:
        with open(f"{paths.safe_runs}/{module}", encoding="utf-8") as file:  # noqa: PTH123  # on the light path
            when, because, ended = file.read(FILE_MAX_BYTES).split("\n")[:3]
        return SafeRun(int(when), because, ended)
    except (OSError, ValueError):
        return None
