"""The line to a machine: one ssh connection, shared by all commands, so that a command costs little."""

from __future__ import annotations

import contextlib
import os
import shlex
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.vm import cache
from tests.vm.errors import RigError, tail
from tests.vm.tools import must

CONNECT_SEC = 60
"""Emulated processors need seconds for one key exchange."""


def private_key() -> Path:
    """The key that opens the test machines: made once, never in the source tree, good for loopback only."""
    path = cache.root() / "key"
    with cache.locked("key"):
        if not path.exists():
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "aurora-test", "-f", str(path)]
            must("make a key for the test machines", command)
    return path


def public_key() -> str:
    """What a machine's authorized_keys holds."""
    return private_key().with_suffix(".pub").read_text()


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Line:
    """An ssh connection to 127.0.0.1:`port`; its control socket is in `directory`, whose path is short."""

    def __init__(self, port: int, directory: Path) -> None:
        self.port = port
        self.control = directory / "ssh"
        self._log = directory / "ssh.log"

    def argv(self, *options: str) -> list[str]:
        """`ssh OPTIONS root@…`, to which a remote command can be appended."""
        settings = {
            "BatchMode": "yes",
            "IdentitiesOnly": "yes",
            "LogLevel": "ERROR",
            "ConnectTimeout": str(CONNECT_SEC),
            # This port of our own loopback only ever leads to the machine that we started.
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
            "GlobalKnownHostsFile": "/dev/null",
            "ControlPath": str(self.control),
            "ServerAliveInterval": "30",
            "ServerAliveCountMax": "6",
        }
        flags = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
        return [
            "ssh",
            "-F",
            "/dev/null",
            "-i",
            str(private_key()),
            "-p",
            str(self.port),
            *flags,
            *options,
            "root@127.0.0.1",
        ]

    def remote(self, command: str) -> list[str]:
        """The argv that runs `command` by sh in the machine and ends with its status, or 128 + its signal."""
        return [*self.argv("-o", "ControlMaster=no", "-T"), f"sh -c {shlex.quote(command)}; exit $?"]

    def connect(self, deadline: float, alive: Callable[[], None]) -> None:
        """Open the shared connection, trying until `deadline` (monotonic); `alive` raises if in vain."""
        self.close()
        while not self._answers():
            alive()
            if time.monotonic() > deadline:
                raise RigError("reach the machine", "its ssh did not answer in time")
            time.sleep(0.2)  # the far side is another kernel: there is nothing here to wait on
        while not self._open_master():
            alive()
            if time.monotonic() > deadline:
                raise RigError("log in to the machine", "ssh answers but refuses", "", tail(self._log.read_text()))

    def close(self) -> None:
        """Forget the shared connection; harmless when there is none."""
        if self.control.exists():
            subprocess.run(self.argv("-O", "exit"), check=False, capture_output=True)
            self.control.unlink(missing_ok=True)

    def connected(self) -> bool:
        """Whether the shared connection stands."""
        return subprocess.run(self.argv("-O", "check"), check=False, capture_output=True).returncode == 0

    def _answers(self) -> bool:
        """Whether sshd says its name. QEMU accepts before the machine does, so accepting proves nothing."""
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), timeout=3) as connection,
        ):
            connection.settimeout(5)
            return connection.recv(4) == b"SSH-"
        return False

    def _open_master(self) -> bool:
        with self._log.open("wb") as log:
            # A session of its own: the terminal's Ctrl-C must not cut the line that the clean-up still needs.
            done = subprocess.run(
                self.argv("-o", "ControlMaster=yes", "-f", "-N", "-T"),
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return done.returncode == 0


def given_stdin() -> int | None:
    """What a command gets as stdin: ours (which subprocess calls None) when there is one, else /dev/null."""
    try:
        os.fstat(0)
    except OSError:
        return subprocess.DEVNULL
    return None
