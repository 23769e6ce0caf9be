"""Runs a module's program for real, outside systemd, with a listener where systemd would be."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import PIPE
from typing import IO

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
DEADLINE_SEC = 30.0
"""A test that waits longer than this for anything fails."""


class Systemd:
    """The other end of $NOTIFY_SOCKET; like systemd, it reads whatever comes at once.

    What is not read would hold the sender up: systemd-notify waits until its message has been taken, and a full
    socket blocks everyone.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seen: list[str] = []
        self._messages: queue.Queue[str] = queue.Queue()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def wait_for(self, text: str) -> str:
        """The next message that has `text` in it; fails when none came in time."""
        deadline = time.monotonic() + DEADLINE_SEC
        while True:
            try:
                message = self._messages.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                pytest.fail(f"nothing with {text!r} was said to systemd, only {self.seen}")
            self.seen.append(message)
            if text in message:
                return message

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", str(self.path))
        self._reader.join()
        self._socket.close()

    def _read(self) -> None:
        while message := self._socket.recv(4096):
            self._messages.put(message.decode())


class Program:
    """A module's program, running; every wait has a deadline."""

    def __init__(self, argv: list[str], folder: Path, environment: dict[str, str]) -> None:
        # A session of its own, so that what the program has started can be ended with it.
        self.process = subprocess.Popen(
            argv, cwd=folder, env=environment, stdout=PIPE, stderr=PIPE, text=True, start_new_session=True
        )
        self._readers: list[threading.Thread] = []
        self._output = self._lines_of(self.process.stdout)
        self._errors = self._lines_of(self.process.stderr)

    def output_line(self) -> str:
        """The next line on stdout."""
        return self._next(self._output, "stdout")

    def log_line(self, text: str = "") -> str:
        """The next line on stderr that has `text` in it."""
        while text not in (line := self._next(self._errors, "stderr")):
            pass
        return line

    def stop(self) -> int:
        """Send SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.status()

    def status(self) -> int:
        """The exit status, once it has ended by itself."""
        return self.process.wait(DEADLINE_SEC)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for reader in self._readers:
            reader.join()

    def _lines_of(self, stream: IO[str] | None) -> queue.Queue[str | None]:
        assert stream is not None
        lines: queue.Queue[str | None] = queue.Queue()

        def read() -> None:
            with stream:
                for line in stream:
                    lines.put(line.rstrip("\n"))
            lines.put(None)

        self._readers.append(threading.Thread(target=read))
        self._readers[-1].start()
        return lines

    def _next(self, lines: queue.Queue[str | None], name: str) -> str:
        try:
            line = lines.get(timeout=DEADLINE_SEC)
        except queue.Empty:
            pytest.fail(f"no line on {name} in time")
        if line is None:
            lines.put(None)  # for whoever asks again
            pytest.fail(f"{name} has ended, with status {self.process.poll()}")
        return line


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    listener = Systemd(tmp_path / "notify")
    yield listener
    listener.close()


@pytest.fixture
def start(systemd: Systemd) -> Iterator[Callable[..., Program]]:
    """Start the module in a folder with its manifest's entry and environment; further variables by keyword."""
    started: list[Program] = []

    def run(folder: Path, **variables: str) -> Program:
        manifest = tomllib.loads((folder / "module.toml").read_text())
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{CHECKOUT}:{os.environ.get('PYTHONPATH', '')}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "AURORA_MODULE": manifest["module"]["name"],
            "NOTIFY_SOCKET": str(systemd.path),
            **manifest.get("environment", {}),
            **variables,
        }
        started.append(Program(argv_of(manifest["module"]["entry"]), folder, environment))
        return started[-1]

    yield run
    for program in started:
        program.close()


def argv_of(entry: str | list[str]) -> list[str]:
    argv = [entry] if isinstance(entry, str) else entry
    interpreter = {".py": [sys.executable], ".sh": ["/bin/sh"]}
    return [*interpreter.get(Path(argv[0]).suffix, []), *argv]
