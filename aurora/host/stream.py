"""The output of another program as it comes, held to bounds: for a program that works on data of a stranger."""

from __future__ import annotations

import os
import resource
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO

from aurora.errors import HostError

__all__ = ["Output", "output_of"]

CHUNK_BYTES = 1 << 16
WORDS_MAX_BYTES = 2000
MEMORY_MAX_BYTES = 512 << 20
"""What the program may allocate; xz -9 needs 65 MiB and zstd at most 128 MiB to unpack."""


class Output:
    """What a running program writes. Every method raises HostError at the bounds, in bytes and in time."""

    def __init__(
        self, program: str, process: subprocess.Popen[bytes], words: IO[bytes], *, max_bytes: int, timeout_sec: float
    ) -> None:
        self._program = program
        self._process = process
        self._words = words
        self._left_bytes = max_bytes
        self._max_bytes = max_bytes
        self._timeout_sec = timeout_sec
        self._deadline = time.monotonic() + timeout_sec

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer only where the output ends."""
        found = bytearray()
        while len(found) < size and (chunk := self._next(min(size - len(found), CHUNK_BYTES))):
            found += chunk
        return bytes(found)

    def _next(self, size: int) -> bytes:
        assert self._process.stdout is not None  # noqa: S101  # Popen was told to make a pipe
        handle = self._process.stdout.fileno()
        left_sec = self._deadline - time.monotonic()
        if left_sec <= 0 or not select.select([handle], [], [], left_sec)[0]:
            raise self._late()
        chunk = os.read(handle, size)
        self._left_bytes -= len(chunk)
        if self._left_bytes < 0:
            raise HostError(f"run {self._program}", f"it gave more than {self._max_bytes} bytes")
        return chunk

    def finish(self) -> None:
        """Wait for the program's end, once all has been read; HostError with its last words when it ends badly."""
        try:
            status = self._process.wait(max(0.0, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            raise self._late() from error
        if status != 0:
            self._words.seek(0)
            said = self._words.read(WORDS_MAX_BYTES).decode(errors="replace").strip() or "it gave no reason"
            plain = "".join(char if char.isprintable() else " " for char in said)
            raise HostError(f"run {self._program}", f"it ended with status {status}: {plain}")

    def _late(self) -> HostError:
        return HostError(f"run {self._program}", f"it did not end within {self._timeout_sec:g} s")


def _bound() -> None:
    owners = resource.getrlimit(resource.RLIMIT_DATA)[1]  # one that is lower already stays
    most = MEMORY_MAX_BYTES if owners == resource.RLIM_INFINITY else min(owners, MEMORY_MAX_BYTES)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@contextmanager
def output_of(
    argv: Sequence[str], *, max_bytes: int, timeout_sec: float, variables: Mapping[str, str] | None = None
) -> Iterator[Output]:
    """Run a program while the body reads what it writes; it and all it started are killed when the body is left.

    It may allocate MEMORY_MAX_BYTES, and has `variables` beside our own. HostError when it cannot be executed.
    """
    with tempfile.TemporaryFile(prefix="aurora-words-") as words:
        try:
            process = subprocess.Popen(
                argv,
                env={**os.environ, **(variables or {})},
                # Not through prlimit(1): each program more that is executed takes as long as unpacking something small.
                preexec_fn=_bound,  # noqa: PLW1509  # what reads packages has one thread
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=words,
                start_new_session=True,  # a group of its own, so that its children end with it
            )
        except (OSError, subprocess.SubprocessError) as error:  # the latter where it could not be bounded
            raise HostError(f"run {argv[0]}", str(error)) from error
        with process:
            try:
                yield Output(argv[0], process, words, max_bytes=max_bytes, timeout_sec=timeout_sec)
            finally:
                # Not reaped before this, so the group's number is still its own, unless it ended by itself.
                if process.returncode is None:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
