from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from aurora.host.screen import FALLBACK_SIZE, Screen, screen

MINUTE_SEC = 60.0


@pytest.fixture(autouse=True)
def signals_as_they_were() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGWINCH, signal.SIGTSTP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of one: its owner's, and that of the program."""
    master, slave = pty.openpty()
    yield master, slave
    os.close(master)
    os.close(slave)


def written(master: int) -> str:
    found = b""
    while select.select([master], [], [], 0.2)[0]:
        found += os.read(master, 65536)
    return found.decode()


def soon() -> float:
    return time.monotonic() + MINUTE_SEC


def test_the_terminal_is_given_back_as_it_was_whatever_happens(terminal: tuple[int, int]) -> None:
    master, slave = terminal
    before = termios.tcgetattr(slave)
    for failure in (KeyboardInterrupt, ValueError):
        with suppress(failure), screen(slave, slave) as taken:
            assert termios.tcgetattr(slave) != before, "keys come at once and unseen"
            taken.show(["one", "two"])
            raise failure
        assert termios.tcgetattr(slave) == before
        said = written(master).replace("\r\r\n", "\r\n")
        assert said.startswith("\x1b[?1049h\x1b[?25l")
        assert "\x1b[Hone\x1b[K\r\ntwo\x1b[K\x1b[J" in said
        assert said.endswith("\x1b[?25h\x1b[?1049l")


def test_a_key_ends_the_wait_and_a_sequence_is_no_key(terminal: tuple[int, int]) -> None:
    master, slave = terminal
    with screen(slave, slave) as taken:
        for pressed, key in (("q", "q"), ("m", "m"), ("\x1b[A", ""), ("\x1bOP", "")):
            os.write(master, pressed.encode())
            assert taken.wait(soon()) == key


def test_the_wait_ends_at_its_time_and_at_a_resize(terminal: tuple[int, int]) -> None:
    _, slave = terminal
    with screen(slave, slave) as taken:
        assert taken.wait(time.monotonic() + 0.05) == ""
        os.kill(os.getpid(), signal.SIGWINCH)
        begun = time.monotonic()
        assert taken.wait(soon()) == ""
        assert time.monotonic() - begun < MINUTE_SEC / 2


def test_the_size_is_the_one_of_now(terminal: tuple[int, int]) -> None:
    _, slave = terminal
    with screen(slave, slave) as taken:
        for columns, lines in ((80, 24), (33, 7)):
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
            assert taken.size() == (columns, lines)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 0, 0, 0, 0))
        assert taken.size() == FALLBACK_SIZE


def test_without_a_keyboard_there_are_no_keys(terminal: tuple[int, int]) -> None:
    _, slave = terminal
    with open(os.devnull, encoding="ascii") as nothing, screen(slave, nothing.fileno()) as taken:  # noqa: PTH123  # a device
        assert taken.wait(time.monotonic() + 0.05) == ""


def test_a_keyboard_that_is_gone_ends_the_keys() -> None:
    master, slave = pty.openpty()
    taken = Screen(slave, slave)
    taken.enter()
    os.close(master)
    assert taken.wait(soon()) is None
    taken.leave()
    taken.close()
    os.close(slave)
