"""A machine's TPM lives as long as QEMU holds its end of the socket, and lets go of what it keeps when it ends."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.vm import tpm

SET_DATAFD = b"\x00\x00\x00\x10"
"""The first that QEMU says: here is the socket that commands will come by (swtpm_ioctls(3))."""

pytestmark = pytest.mark.skipif(shutil.which("swtpm") is None, reason="swtpm is in the build tree")


def is_free(place: Path, within_sec: int) -> bool:
    """Whether no TPM holds what one keeps there."""
    line = ["flock", "--timeout", str(within_sec), str(place / tpm.STATE), "true"]
    return subprocess.run(line, check=False).returncode == 0


def test_a_tpm_answers_and_ends_with_qemu_at_each_boot(tmp_path: Path) -> None:
    for _boot in range(2):
        ours, its = socket.socketpair()
        with (
            ours,
            tpm.beside(tmp_path, outlive_us=False) as descriptor,
            socket.socket(fileno=os.dup(descriptor)) as channel,
        ):
            channel.settimeout(60)
            with its:
                socket.send_fds(channel, [SET_DATAFD], [its.fileno()])
            assert channel.recv(4) == bytes(4)
            assert not is_free(tmp_path, 0)
        assert is_free(tmp_path, 60)
