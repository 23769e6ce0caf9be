"""What the author of a Python module imports: readiness, watchdog, AuroraLink, own directories, log.

    from aurora import sdk

    sdk.ready()
    for _ in sdk.heartbeat():
        do_work()

Each call speaks to systemd (sd_notify(3)) about the unit that the process belongs to. Outside systemd, where
nobody listens, every notification does nothing, so a module runs unchanged from a shell. Nothing here needs
threads or asyncio, and importing it is cheap. A module that does not import it is as welcome: all of it is
plain systemd protocol.

    aio     heartbeat and link for programs with asyncio; all else is the same there
    turns   when a turn of the beat is due
"""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType

from sdnotify import SystemdNotifier

from aurora.errors import NotFound
from aurora.sdk.turns import STOP_SIGNALS, Turns

TYPE_CHECKING = False  # to type checkers it is true, wherever it comes from; typing's own costs a tenth of a start
if TYPE_CHECKING:
    from aurora.link.lasting import Link

__all__ = [
    "alive",
    "cache_directory",
    "heartbeat",
    "link",
    "log",
    "logs_directory",
    "ready",
    "runtime_directory",
    "state_directory",
    "status",
    "stopping",
    "watchdog_interval_sec",
]


# --- what is said to systemd ------------------------------------------------------------------------------


def ready(status: str = "") -> None:
    """Say that the module is up (READY=1), with an optional line for `systemctl status`.

    With `readiness = "notify"` in the manifest, systemd counts the module as started from here on.
    """
    _notify("READY=1", *_status_lines(status))


def status(text: str) -> None:
    """Show `text` as the module's state in `systemctl status` and `auroractl status`; one line, replaced each time."""
    _notify(*_status_lines(text) or ("STATUS=",))


def alive() -> None:
    """Feed the watchdog (WATCHDOG=1). A module that stops doing so for longer than its declared timeout is
    killed and started again, so call it only where the work really goes on; `heartbeat()` does.
    """
    _notify("WATCHDOG=1")


def stopping() -> None:
    """Say that the module is on its way out (STOPPING=1); `heartbeat()` says it by itself on a signal."""
    _notify("STOPPING=1")


def _status_lines(text: str) -> tuple[str, ...]:
    # A line break would start an assignment of its own in the notification.
    line = " ".join(text.split())
    return (f"STATUS={line}",) if line else ()


def _notify(*assignments: str) -> None:
    # sdnotify 0.3.2 encodes as Latin-1 and swallows the error where that cannot be, READY=1 included: hand it
    # text whose Latin-1 bytes are the UTF-8 that systemd wants.
    utf8 = "\n".join(assignments).encode("utf-8", "replace")
    SystemdNotifier().notify(utf8.decode("latin-1"))


# --- the beat ---------------------------------------------------------------------------------------------


def watchdog_interval_sec() -> float | None:
    """How often to call `alive()`: half of the watchdog's timeout; None where none watches this process.

    Read from $WATCHDOG_USEC and $WATCHDOG_PID, as sd_watchdog_enabled(3) does: a child of the process that is
    watched gets None.
    """
    watched_pid = os.environ.get("WATCHDOG_PID", "")
    if watched_pid and watched_pid != str(os.getpid()):
        return None
    timeout = os.environ.get("WATCHDOG_USEC", "")
    if not (timeout.isascii() and timeout.isdigit()) or int(timeout) == 0:
        return None
    return int(timeout) / 2 / 1_000_000


def heartbeat(interval_sec: float | None = None) -> Iterator[None]:
    """Yield at once, then every `interval_sec`, until SIGTERM or SIGINT; then say STOPPING=1 and end the loop.

    The watchdog is fed before every turn, and while waiting as often as it wants, so the interval may be longer
    than its timeout: only a turn of the caller's work that hangs is a hang. Left out, the interval is
    `watchdog_interval_sec()`, or one second. A wait ends the moment a signal comes; a turn of work is not
    interrupted. A turn that overruns delays the next one; turns that were missed meanwhile are left out.

    For the main thread, as signal handlers are (ValueError elsewhere); those that stood before are put back at
    the end of the loop. ValueError for an interval that is not above 0.
    """
    return _beats(Turns(interval_sec, watchdog_interval_sec()))


def _beats(turns: Turns) -> Iterator[None]:
    with _StopSignal() as stop:
        while not stop.received:
            alive()
            if wait_sec := turns.wait_sec(time.monotonic()):
                stop.wait(wait_sec)
            else:
                yield
        stopping()


class _StopSignal:
    """SIGTERM and SIGINT, noted instead of acted upon, between enter and exit.

    The wake-up descriptor is written by the signal's C handler, so a signal that comes between the look at
    `received` and the wait still ends the wait. The signals are not blocked, as sigtimedwait(2) would want:
    programs that the module starts would inherit that, and not hear SIGTERM.
    """

    def __enter__(self) -> _StopSignal:
        self.received = False
        self._read_fd, self._write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        os.set_blocking(self._write_fd, False)
        self._poll = select.poll()
        self._poll.register(self._read_fd, select.POLLIN)
        try:
            self._wakeup_before = signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
            self._handlers_before = {number: signal.signal(number, self._note) for number in STOP_SIGNALS}
        except ValueError:  # not the main thread; the first of the two calls says so already
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._handlers_before.items():
            # None: the handler was not set from Python, and cannot be set again from here.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        signal.set_wakeup_fd(self._wakeup_before)
        self._close()

    def wait(self, timeout_sec: float) -> None:
        """Until a signal, any that Python handles, or the end of the time."""
        # The bytes are signal numbers; they may be here before the Python handler has run.
        if self._poll.poll(timeout_sec * 1000) and any(n in STOP_SIGNALS for n in os.read(self._read_fd, 4096)):
            self.received = True

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.received = True

    def _close(self) -> None:
        os.close(self._read_fd)
        os.close(self._write_fd)


# --- AuroraLink -------------------------------------------------------------------------------------------


def link(*, timeout_sec: float = 15.0) -> Link:
    """AuroraLink, for as long as the body of a `with` runs; aurora.sdk.aio.link is the same for asyncio.

        with sdk.link() as link:
            link.subscribe("site/lamp")
            link.serve("wind/now")
            sdk.ready()
            for _ in sdk.heartbeat(0.1):
                for message in link.messages(within_sec=1.0):
                    if message["type"] == "req":
                        link.reply(message, 3.5)
                    else:
                        link.publish("site/wind", {"speed_m_s": 3.5})

    What the module may do is in [link] of its manifest; the machine's owner may want some of it approved. It outlives
    the hub, and does without: it connects by itself, again and again with growing delays, and then subscribes and
    serves as before. That the hub is away, and that it is back, is said in the log, once each.

    Each call waits for its answer, `timeout_sec` at most, as the hub may have to be started first; `messages` waits as
    long as it is told: between two turns of `heartbeat()` that is, so that the watchdog is fed. An answer may be an
    error (aurora.errors): Denied where the hub refuses, InputError where what is asked is wrong, NotFound where nobody
    serves, DeadlineExceeded, HostError when the hub is away or full, or who serves has failed. auroralink(7) has the
    protocol for other languages.
    """
    # Most modules talk with nobody, and JSON and sockets cost more than all else here.
    from aurora.link.backoff import Absence  # noqa: PLC0415  # see above
    from aurora.link.client import connect  # noqa: PLC0415  # see above
    from aurora.link.lasting import Link  # noqa: PLC0415  # see above

    return Link(lambda: connect(timeout_sec=timeout_sec), Absence(log.warning, log.info))


# --- own directories --------------------------------------------------------------------------------------


def state_directory() -> Path:
    """Where the module keeps what must survive (/var/lib/aurora/NAME). NotFound unless the manifest declares it."""
    return _directory("state", "STATE_DIRECTORY")


def cache_directory() -> Path:
    """Where the module keeps what it can make again (/var/cache/aurora/NAME). NotFound unless declared."""
    return _directory("cache", "CACHE_DIRECTORY")


def logs_directory() -> Path:
    """Where the module keeps log files (/var/log/aurora/NAME). NotFound unless declared."""
    return _directory("logs", "LOGS_DIRECTORY")


def runtime_directory() -> Path:
    """Where the module keeps sockets and the like (/run/aurora-modules/NAME). NotFound unless declared."""
    return _directory("runtime", "RUNTIME_DIRECTORY")


def _directory(key: str, variable: str) -> Path:
    # systemd separates several directories by colons; a module has one of each kind.
    place = os.environ.get(variable, "").partition(":")[0]
    if not place:
        raise NotFound(
            f"use the module's {key} directory",
            f"${variable} is not set: the module was started without one",
            where="[directories] in module.toml",
            remedy=f"{key} = true there; by hand, {variable}=/some/folder before the command",
        )
    return Path(place)


# --- log --------------------------------------------------------------------------------------------------


class _PriorityFormatter(logging.Formatter):
    """Each line with the `<N>` of its priority in front (sd-daemon(3)), which journald takes as the level.

    Every line of a record gets it, those of a traceback too: journald makes each line an entry of its own.
    """

    def format(self, record: logging.LogRecord) -> str:
        prefix = f"<{_priority(record.levelno)}>"
        return "\n".join(prefix + line for line in super().format(record).splitlines() or [""])


def _priority(level: int) -> int:
    if level >= logging.CRITICAL:
        return 2
    if level >= logging.ERROR:
        return 3
    if level >= logging.WARNING:
        return 4
    return 6 if level >= logging.INFO else 7


def _make_log() -> logging.Logger:
    handler = logging.StreamHandler()
    # On a terminal the prefix would be noise; everywhere else it is journald that reads, or might.
    if sys.stderr is None or not sys.stderr.isatty():
        handler.setFormatter(_PriorityFormatter())
    logger = logging.getLogger("aurora.module")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    logger.propagate = False
    return logger


log: logging.Logger = _make_log()
"""A `logging.Logger` to stderr, from INFO upwards, that keeps its levels in the journal: `journalctl -p warning`.
`log.setLevel("DEBUG")` shows more; `logging.getLogger().handlers = log.handlers` brings a library's lines along.
"""
