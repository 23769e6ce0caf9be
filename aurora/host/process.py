"""Other programs, run from an argument vector and never through a shell."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import NamedTuple

from aurora.errors import HostError

__all__ = ["Completed", "run", "run_attached"]

STDERR_HANDLE = 2


class Completed(NamedTuple):
    """A program that has ended."""

    status: int
    stdout: str
    stderr: str


def run(
    argv: Sequence[str],
    *,
    check: bool = True,
    timeout_sec: float = 300.0,
    stdin: bytes | None = None,
    keeps: Sequence[int] = (),
) -> Completed:
    """Run a program to its end, given `stdin`, its output collected; undecodable bytes are replaced.

    Of our open files it gets those in `keeps`, such as a lock that it is to hold until it ends, should we be killed.

    HostError when it cannot be executed, does not end in time, or (with `check`) ends with a status but 0.
    """
    try:
        done = subprocess.run(
            list(argv), capture_output=True, check=False, timeout=timeout_sec, input=stdin or b"", pass_fds=keeps
        )
    except OSError as error:
        raise HostError(f"run {argv[0]}", str(error)) from error
    except subprocess.TimeoutExpired as error:
        raise HostError(f"run {argv[0]}", f"it did not end within {timeout_sec:g} s") from error
    completed = Completed(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
    if check and completed.status != 0:
        words = completed.stderr.strip() or completed.stdout.strip() or "it gave no reason"
        raise HostError(f"run {argv[0]}", f"it ended with status {completed.status}: {words[-2000:]}")
    return completed


def run_attached(argv: Sequence[str], *, talks: bool = False) -> int:
    """Run a program on this process's own terminal, to its end; its status, -N for a signal N.

    One that only `talks` has nothing for standard output: all it says goes to standard error.
    HostError when it cannot be executed.
    """
    try:
        return subprocess.run(list(argv), stdout=STDERR_HANDLE if talks else None, check=False).returncode
    except OSError as error:
        raise HostError(f"run {argv[0]}", str(error)) from error
