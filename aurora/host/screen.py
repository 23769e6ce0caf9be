"""A whole terminal, taken for a while and given back as it was, whatever ends the program."""

from __future__ import annotations

import os
import select
import signal
import termios
import time
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from aurora.host.caller import end_by_interrupt

__all__ = ["Screen", "pause", "screen"]

# xterm's control sequences (ctlseqs): the second screen, the cursor, and clearing.
_ENTER = "\x1b[?1049h\x1b[?25l\x1b[H\x1b[2J"
_LEAVE = "\x1b[0m\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"
_KEYS_MAX = 64
FALLBACK_SIZE = (80, 24)


def pause(seconds: float) -> None:
    """Wait; a signal whose handler raises ends it."""
    select.poll().poll(max(0, int(seconds * 1000)))


class Screen:
    """The terminal at `output`; keys come from `keys` where that is a terminal too, else there are none."""

    def __init__(self, output: int, keys: int | None) -> None:
        self._output = output
        self._keys = keys
        self._before = termios.tcgetattr(keys) if keys is not None else None
        self._stopped = False
        self._wake, self._wake_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def size(self) -> tuple[int, int]:
        """Columns and lines as they are now."""
        try:
            columns, lines = os.get_terminal_size(self._output)
        except OSError:
            return FALLBACK_SIZE
        return columns or FALLBACK_SIZE[0], lines or FALLBACK_SIZE[1]

    def show(self, lines: Sequence[str]) -> None:
        """Replace what is shown, in one write; the caller keeps to `size`."""
        body = (_REST_OF_LINE + "\r\n").join(lines)
        self._write(_HOME + body + _REST_OF_LINE + _REST_OF_SCREEN)

    def wait(self, until: float) -> str | None:
        """Wait for a key, a resize, or that monotonic time: the key, "" for the others, None when keys have ended."""
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        if self._keys is not None:
            poll.register(self._keys, select.POLLIN)
        ready = dict(poll.poll(max(0, int((until - time.monotonic()) * 1000) + 1)))
        if self._wake in ready:
            os.read(self._wake, _KEYS_MAX)
        if self._stopped:
            self._stop()
            return ""
        if self._keys is None or self._keys not in ready:
            return ""
        try:
            pressed = os.read(self._keys, _KEYS_MAX)
        except OSError:  # the terminal is gone
            return None
        # An arrow or a function key is a sequence: none of its letters is meant.
        return None if not pressed else "" if pressed.startswith(b"\x1b") else pressed[:1].decode("ascii", "replace")

    def enter(self) -> None:
        """Take the terminal."""
        for number in (signal.SIGWINCH, signal.SIGTSTP):
            signal.signal(number, self._signalled)
        signal.set_wakeup_fd(self._wake_end, warn_on_full_buffer=False)
        if self._keys is not None:
            tty.setcbreak(self._keys, termios.TCSADRAIN)
        self._write(_ENTER)

    def leave(self) -> None:
        """Give it back as it was."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGWINCH, signal.SIGTSTP):
            signal.signal(number, signal.SIG_DFL)
        try:
            self._write(_LEAVE)
            if self._keys is not None and self._before is not None:
                termios.tcsetattr(self._keys, termios.TCSADRAIN, self._before)
        except (OSError, termios.error):  # a terminal that is gone needs nothing
            return

    def close(self) -> None:
        """Let go of what it holds beside the terminal."""
        os.close(self._wake)
        os.close(self._wake_end)

    def _signalled(self, number: int, _frame: FrameType | None) -> None:
        self._stopped = self._stopped or number == signal.SIGTSTP

    def _stop(self) -> None:
        """Ctrl-Z: give the terminal back, stop, and take it again when told to go on."""
        self._stopped = False
        self.leave()
        os.kill(os.getpid(), signal.SIGTSTP)
        self.enter()

    def _write(self, text: str) -> None:
        data = text.encode(errors="replace")
        while data:
            data = data[os.write(self._output, data) :]


@contextmanager
def screen(output: int, keys: int) -> Iterator[Screen]:
    """The terminal while the body runs; KeyboardInterrupt comes through, also for SIGTERM and SIGHUP."""
    end_by_interrupt()
    taken = Screen(output, keys if os.isatty(keys) else None)
    try:
        taken.enter()
        yield taken
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # nothing comes between the terminal and its owner
        taken.leave()
        taken.close()
