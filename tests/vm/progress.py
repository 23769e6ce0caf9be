"""Telling on stderr what takes long, and how long it took. Short steps are not mentioned."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

QUIET_SEC = 2.0
"""A step that is over within this time prints nothing."""


def say(text: str) -> None:
    """One line on stderr, at once."""
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(what: str) -> Iterator[None]:
    """Run the body; if it takes longer than QUIET_SEC, say so then, and again with the time at its end."""
    started = time.monotonic()
    timer = threading.Timer(QUIET_SEC, say, [f"{what} …"])
    timer.daemon = True
    timer.start()
    verdict = "failed after "
    try:
        yield
        verdict = ""
    finally:
        timer.cancel()
        elapsed_sec = time.monotonic() - started
        if elapsed_sec >= QUIET_SEC:
            say(f"{what} … {verdict}{elapsed_sec:.0f} s")
