"""What dpkg says of a package."""

from __future__ import annotations

from aurora.host.process import run
from aurora.paths import Paths

__all__ = ["is_torn"]

_UNKNOWN = 1
"""dpkg-query's exit status when it has nothing to say of the package."""


def is_torn(paths: Paths, package: str) -> bool:
    """Whether dpkg was ended amid unpacking or removing a package, so that its files are neither the old nor the new.

    dpkg notes that before it touches the first file, and what it notes is on disk then (dpkg(1), half-installed and
    reinst-required). False for a package that it does not know. HostError when it cannot be asked.
    """
    if not (paths.dpkg / "status").exists():
        return False
    argv = ["dpkg-query", f"--admindir={paths.dpkg}", "-W", "-f", "${db:Status-Status} ${db:Status-Eflag}", package]
    done = run(argv, check=False, timeout_sec=60)
    if done.status == _UNKNOWN:
        return False
    status, _, flag = done.stdout.partition(" ")
    return done.status != 0 or status == "half-installed" or flag == "reinstreq"
