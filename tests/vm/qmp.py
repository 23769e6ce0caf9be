"""QEMU's monitor, as far as saving a running machine needs it."""

from __future__ import annotations

import json
import shlex
import socket
import time
from pathlib import Path
from typing import Any

from tests.vm.errors import RigError

SAVE_SEC = 120
"""Saving takes a second; a disk that is much slower is no disk to save to."""


class Monitor:
    """A conversation with the monitor that listens on a socket; close it with `with`."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(30)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile("r")
        self._lines.readline()  # its greeting
        self.ask("qmp_capabilities")

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._socket.close()

    def ask(self, command: str, **arguments: object) -> Any:
        """What the monitor returns; RigError with its own words when it refuses."""
        self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while line := self._lines.readline():
            answer = json.loads(line)  # events come in between
            if "error" in answer:
                raise RigError(f"make QEMU {command}", answer["error"]["desc"])
            if "return" in answer:
                return answer["return"]
        raise RigError(f"make QEMU {command}", "it ended")

    def save(self, target: Path) -> None:
        """Write the machine's memory and devices to `target`; the machine stands still afterwards, for ever."""
        self.ask("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
        self.ask("migrate", uri=f"exec:cat > {shlex.quote(str(target))}")
        deadline = time.monotonic() + SAVE_SEC
        while (status := self.ask("query-migrate")["status"]) != "completed":
            if status in ("failed", "cancelled") or time.monotonic() > deadline:
                raise RigError("save the machine", f"QEMU says {status}")
            time.sleep(0.05)
