"""Running this machine's programs for their effect."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from tests.vm.errors import RigError, tail

PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
"""mke2fs and chroot are not on everybody's PATH."""


def must(what: str, command: Sequence[str]) -> str:
    """The stdout of `command`, which succeeded; RigError "cannot `what`" with what it said otherwise.

    It has no stdin, and nothing of it reaches our stdout, which belongs to others.
    """
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "PATH": PATH, "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise RigError(what, f"{command[0]} does not run: {error}") from error
    if done.returncode != 0:
        raise RigError(what, f"{command[0]} ended with status {done.returncode}", "", tail(done.stdout + done.stderr))
    return done.stdout
