"""A machine's TPM 2.0, emulated: swtpm runs beside QEMU, for as long as QEMU does.

The two hold the ends of a pair of sockets from the beginning, so that neither has to wait until the other is there.
However QEMU ends, swtpm then reads the end of its socket, and ends as well. What the TPM keeps is in a folder of the
machine's own, as the disk is, and outlives reboots and power cuts with it.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.vm import qemu

STATE = "tpm"
"""The folder in a machine's directory. A TPM that finds it empty makes itself anew, with other seeds."""

LET_GO_SEC = 30
"""How long a machine that is switched on waits for the TPM of its boot before to have ended."""


@contextmanager
def beside(directory: Path, *, outlive_us: bool) -> Iterator[int]:
    """Start the TPM of the machine in `directory`; QEMU has to be started in the body, and inherit the descriptor."""
    state = directory / STATE
    state.mkdir(exist_ok=True)
    ours, its = socket.socketpair()
    with ours, its:
        locked = ["flock", "--no-fork", "--timeout", str(LET_GO_SEC), str(state)]
        channel = f"type=unixio,clientfd={its.fileno()}"
        command = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", "--ctrl", channel, "--terminate"]
        qemu.start([*locked, *command], directory / "tpm.log", [its.fileno()], outlive_us=outlive_us)
        yield ours.fileno()
