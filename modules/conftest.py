"""Runs a module's program for real, outside systemd, with a listener where systemd would be, and a hub."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import PIPE
from typing import IO, Any

import psutil
import pytest

from aurora.link.client import LinkClient
from aurora.link.identity import Identified
from aurora.link.rulebook import read_rules
from aurora.manifest import read_manifest
from aurora.paths import Paths
from tests.unit.link.served import Served
from tests.unit.link.talking import ROOT, module

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

    def log_lines(self) -> list[str]:
        """All that is left on stderr, once it has ended."""
        return list(iter(self._errors.get, None))

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


class Hub:
    """AuroraLink, with the rules that the shipped manifests ask for; `client` is root, who may all."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._rules = {path.parent.name: rules_of(path, place) for path in CHECKOUT.glob("modules/*/module.toml")}

    @contextlib.contextmanager
    def up(self, port: int = 0) -> Iterator[Served]:
        """There for as long as the body runs, by WebSocket at that port; what is durable outlives that."""
        with Served(self.place, identify=whoever_it_is, port=port, **self._rules) as served, served.disk(self.place):
            yield served
        (self.place / "link.sock").unlink()

    @property
    def address(self) -> str:
        """For $AURORA_LINK."""
        return f"unix:{self.place}/link.sock"

    def client(self) -> LinkClient:
        """A connection of root's."""
        return LinkClient(f"{self.place}/link.sock", timeout_sec=DEADLINE_SEC)


def rules_of(path: Path, place: Path) -> Any:
    """What the hub lets the module do whose manifest that is."""
    manifest = read_manifest(path.read_bytes(), file="module.toml")
    paths = Paths(str(place))
    paths.link_rules.mkdir(parents=True, exist_ok=True)
    (paths.link_rules / f"{manifest.name}.json").write_text(json.dumps(manifest.link.rules))
    return read_rules(paths, manifest.name)


def whoever_it_is(handle: socket.socket) -> Identified:
    """A module is known by its environment here, where there are no units; whoever has no such name is root."""
    if handle.family == socket.AF_UNIX:
        pid, _, _ = struct.unpack("3i", handle.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    else:
        far, near = handle.getpeername(), handle.getsockname()
        (pid,) = {one.pid for one in psutil.net_connections("tcp") if (one.laddr, one.raddr) == (far, near)}
    name = psutil.Process(pid).environ().get("AURORA_MODULE")
    return Identified(module(name) if name else ROOT, -1)


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    place = tmp_path / "hub"
    place.mkdir()
    return Hub(place)


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
        started.append(Program(argv_of(manifest["module"]["entry"], folder), folder, environment))
        return started[-1]

    yield run
    for program in started:
        program.close()


def argv_of(entry: str | list[str], folder: Path) -> list[str]:
    argv = [entry] if isinstance(entry, str) else entry
    interpreter = {".py": [sys.executable], ".sh": ["/bin/sh"]}.get(Path(argv[0]).suffix)
    if interpreter is None:
        return [str(folder / argv[0]), *argv[1:]]  # an absolute path stays what it is
    return [*interpreter, *argv]


@pytest.fixture
def built(tmp_path: Path) -> Callable[[Path], Path]:
    """The folder of a module with its program: one in C has to be built first, as its README says."""

    def build(folder: Path) -> Path:
        sources = list(folder.glob("*.c"))
        if not sources:
            return folder
        copy = tmp_path / folder.name
        shutil.copytree(folder, copy)
        strict = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
        command = ["cc", "-O2", *strict, "-o", sources[0].stem, *(source.name for source in sources)]
        subprocess.run(command, cwd=copy, check=True)
        return copy

    return build
