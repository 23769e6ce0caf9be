"""When a QEMU counts as ended: what it held must be free for the next one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vm.qemu import Process

LEADERLESS = """
import ctypes, os, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
print(flush=True)
ctypes.CDLL(None).syscall(60 if os.uname().machine == "x86_64" else 93, 0)
"""
"""A program whose first thread ends (exit(2), not exit_group(2)) while another one goes on."""


def state(pid: int) -> list[str]:
    """/proc/PID/stat from field 3 on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


@pytest.fixture
def leaderless() -> Iterator[subprocess.Popen[bytes]]:
    """A process whose first thread has ended and is a zombie."""
    with subprocess.Popen([sys.executable, "-c", LEADERLESS], stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            child.stdout.readline()
            while state(child.pid)[0] != "Z":
                pass  # it has nothing else left to do
            yield child
        finally:
            child.kill()


def test_a_process_lives_until_its_last_thread_has_ended(leaderless: subprocess.Popen[bytes]) -> None:
    one = Process(pid=leaderless.pid, started_ticks=int(state(leaderless.pid)[19]))
    assert one.alive()
    assert not one.wait(0)
    one.kill()
    assert not one.alive()
    assert state(leaderless.pid)[0] == "Z", "nobody has reaped it"


def test_another_process_of_the_same_number_is_not_it() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        assert not Process(pid=child.pid, started_ticks=1).alive()
        child.kill()
