"""SIGKILL, played: at one chosen call that changes something, this process does nothing any more."""

from __future__ import annotations

import builtins
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from aurora.host.fake import FakeSystemd

OF_OS = (
    "chmod", "fchmod", "fsync", "link", "mkdir", "open", "remove", "rename", "replace", "rmdir", "symlink", "truncate",
    "unlink", "utime", "write",
)  # fmt: skip
OF_SYSTEMD = ("reset_failed", "restart", "start", "start_transient", "stop")


class KilledError(BaseException):
    """Not to be caught by anything: the process is gone."""


class Killer:
    """Counts calls that change something, and kills before the one that is chosen."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.calls: list[str] = []
        self.killed = False

    def __call__(self, name: str) -> None:
        if self.killed or len(self.calls) == self.at:
            self.killed = True  # whoever catches it, to clean up, is dead as well
            raise KilledError(name)
        self.calls.append(name)


def _open(killer: Killer, real: Callable[..., Any]) -> Callable[..., Any]:
    """Opening a file for writing empties it: there is a moment when it is open and nothing is in it yet."""

    def call(file: Any, mode: str = "r", *args: Any, **more: Any) -> Any:
        if not set(mode) & set("wax+"):
            return real(file, mode, *args, **more)
        killer("open")
        opened = real(file, mode, *args, **more)
        if not isinstance(file, int):  # a descriptor came from os.open, which counts for itself
            killer("write")
        return opened

    return call


def _guarded(killer: Killer, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **more: Any) -> Any:
        killer(name)
        return real(*args, **more)

    return call


@contextmanager
def killed_before(at: int) -> Iterator[Killer]:
    """Run the body until its call number `at`; the killer tells whether it got that far."""
    killer = Killer(at)
    with pytest.MonkeyPatch.context() as patch:
        for name in OF_OS:
            patch.setattr(os, name, _guarded(killer, f"os.{name}", getattr(os, name)))
        for name in OF_SYSTEMD:
            patch.setattr(FakeSystemd, name, _guarded(killer, f"systemd.{name}", getattr(FakeSystemd, name)))
        patch.setattr(io, "open", _open(killer, io.open))
        patch.setattr(builtins, "open", _open(killer, builtins.open))
        try:
            yield killer
        except KilledError:
            assert killer.killed
