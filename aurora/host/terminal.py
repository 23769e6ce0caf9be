"""Waiting for one process and for the terminal's Ctrl-C at once."""

from __future__ import annotations

import os
import select

from aurora.errors import HostError

__all__ = ["wait_for_exit"]


def wait_for_exit(pid: int) -> None:
    """Return when the process is gone (pidfd_open(2): free of reuse); KeyboardInterrupt comes through."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except OSError as error:
        raise HostError(f"watch process {pid}", str(error)) from error
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        poll.poll()
    finally:
        os.close(handle)
