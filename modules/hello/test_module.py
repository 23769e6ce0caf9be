"""Runs the program as systemd would, without systemd: `python3 -m pytest` in this folder.

What the module says to systemd goes to a datagram socket, so a test can listen there.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE

import pytest

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent  # where aurora.sdk is found when it is not installed
DEADLINE_SEC = 30


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.settimeout(DEADLINE_SEC)
        listener.bind(str(tmp_path / "notify"))
        yield listener


@pytest.fixture
def module(systemd: socket.socket) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {
        "AURORA_MODULE": "mine",
        "INTERVAL_SEC": "0.05",
        "NOTIFY_SOCKET": systemd.getsockname(),
        "PYTHONPATH": f"{CHECKOUT}:{os.environ.get('PYTHONPATH', '')}",
    }
    command = [sys.executable, "-B", str(HERE / "run.py")]
    with subprocess.Popen(command, env=environment, stdout=PIPE, stderr=PIPE, text=True) as program:
        yield program
        program.kill()


def wait_for(listener: socket.socket, text: str) -> None:
    """Until the module says `text`; TimeoutError or a failed test where it does not in time."""
    deadline = time.monotonic() + DEADLINE_SEC
    while text not in listener.recv(4096).decode():
        assert time.monotonic() < deadline, f"the module never said {text}"


def test_it_says_hello_and_feeds_the_watchdog(module: subprocess.Popen[str], systemd: socket.socket) -> None:
    wait_for(systemd, "READY=1")
    wait_for(systemd, "WATCHDOG=1")
    wait_for(systemd, "STATUS=said hello 2 times")
    assert module.stdout is not None
    assert module.stdout.readline() == "hello number 1 from mine\n"
    assert module.stdout.readline() == "hello number 2 from mine\n"


def test_it_stops_when_asked_and_says_goodbye(module: subprocess.Popen[str], systemd: socket.socket) -> None:
    wait_for(systemd, "STATUS=said hello 1 times")
    module.send_signal(signal.SIGTERM)
    wait_for(systemd, "STOPPING=1")
    _, errors = module.communicate(timeout=DEADLINE_SEC)
    assert module.returncode == 0
    assert errors.splitlines()[-1] == "<6>mine says goodbye"
