"""Many at once, and slow ones: the hub, a process of its own, keeps its memory in bounds, and others their answers.

What the kernel keeps for its sockets is not in these figures: tests/vm/test_link.py has the unit's MemoryMax for that.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from select import select
from time import monotonic

import pytest

from aurora.link.bounds import Bounds

from .served import DEADLINE_SEC, Wire
from .test_main import Systemd

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="root is let in")

ATTEMPTS = 10_000
MEDIAN_MAX_SEC = 0.25
"""Of answers while all that goes on; the machine may be a slow one with other tests beside."""
MIB = 1024 * 1024

# Connects again and again, says something, and closes nothing.
FLOOD = """
import resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (20_000, 20_000))
kept = []
for _ in range(int(sys.argv[2])):
    one = socket.socket(socket.AF_UNIX if "/" in sys.argv[1] else socket.AF_INET)
    one.connect(sys.argv[1] if "/" in sys.argv[1] else ("127.0.0.1", int(sys.argv[1])))
    kept.append(one)
    try:
        one.send(sys.argv[3].encode())
    except OSError:  # it is refused already
        pass
print(len(kept), flush=True)
sys.stdin.read()
"""


class Flooded:
    """The hub, and one client that asks how long an answer takes."""

    def __init__(self, folder: Path) -> None:
        self.systemd = Systemd(folder, "3600")
        for listener in (self.systemd.listener, self.systemd.tcp):
            listener.listen(1024)  # as Backlog= in the units has it
        self.systemd.wait_for("READY=1")
        threading.Thread(target=self._listen, daemon=True).start()
        self.steady = Wire(self.systemd.place)
        self.steady.say({"type": "sub", "topic": "steady", "id": "sub"})
        self.steady.read()
        self.took_sec: list[float] = []
        self.before = self.status("VmRSS")

    def _listen(self) -> None:
        """To what it tells systemd, so that it can go on."""
        self.systemd.notified.settimeout(None)
        while self.systemd.notified.recv(4096):
            pass

    def wires(self, count: int) -> list[Wire]:
        """So many clients, each of them taken in."""
        found = []
        for _ in range(count):
            found.append(Wire(self.systemd.place))
            found[-1].say({"type": "ping"})
            found[-1].read()
        return found

    def status(self, name: str) -> int:
        """In bytes, of the hub's process."""
        text = Path(f"/proc/{self.systemd.hub.pid}/status").read_text()
        return int(text.partition(f"{name}:")[2].split()[0]) * 1024

    def grew(self) -> int:
        """By how much it has ever been larger than before."""
        return self.status("VmHWM") - self.before

    def ask(self) -> None:
        began = monotonic()
        self.steady.say({"topic": "steady", "data": began})
        self.steady.until(lambda one: one.get("data") == began)
        self.took_sec.append(monotonic() - began)

    def check(self) -> None:
        """It is all there, and answers."""
        self.ask()
        assert statistics.median(self.took_sec) < MEDIAN_MAX_SEC
        assert self.systemd.hub.poll() is None


@pytest.fixture
def flooded(tmp_path: Path) -> Iterator[Flooded]:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (20_000, max(20_000, most[1])))  # the hub's, by LimitNOFILE=
    found = Flooded(tmp_path)
    yield found
    found.systemd.hub.kill()
    found.systemd.hub.wait(DEADLINE_SEC)
    resource.setrlimit(resource.RLIMIT_NOFILE, most)


@pytest.mark.parametrize(("way", "says"), [("lines", '{"type":"ping"}\n'), ("websocket", "GET / HTTP/1.1\r\n")])
def test_ten_thousand_connections_cost_little_and_others_are_answered(way: str, says: str, flooded: Flooded) -> None:
    """By lines as many of them are taken in as one may have. By WebSocket each is asked about, and refused: the build
    tree shows no control groups."""
    place = flooded.systemd.place if way == "lines" else str(flooded.systemd.tcp.getsockname()[1])
    flood = subprocess.Popen(
        [sys.executable, "-c", FLOOD, place, str(ATTEMPTS), says],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert flood.stdin is not None
    assert flood.stdout is not None
    while not select([flood.stdout], [], [], 0.005)[0]:
        flooded.ask()
    assert flood.stdout.readline() == b"%d\n" % ATTEMPTS
    flooded.check()
    assert flooded.grew() < 16 * MIB
    flood.stdin.close()
    assert flood.wait(DEADLINE_SEC) == 0


def test_clients_that_send_a_byte_at_a_time_hold_up_nobody(flooded: Flooded) -> None:
    drips = flooded.wires(400)
    line = json.dumps({"type": "ping", "id": "at last"}).encode() + b"\n"
    for place in range(len(line)):
        for one in drips:
            one.socket.send(line[place : place + 1])
        flooded.ask()
    for one in drips:
        assert one.until(lambda told: told["type"] == "pong")[-1]["id"] == "at last"
    flooded.check()
    assert flooded.grew() < 16 * MIB


def test_subscribers_that_do_not_read_hold_up_nobody_and_are_bounded_together(flooded: Flooded) -> None:
    slow = flooded.wires(300)
    for one in slow:
        one.say({"type": "sub", "topic": "#", "queue_bytes": 1_000_000, "queue_messages": 16_000})
    text = "x" * 1000
    writer = Wire(flooded.systemd.place)
    for _ in range(60):
        writer.say(*({"topic": "a", "data": text} for _ in range(50)), {"type": "ping"})
        writer.until(lambda one: one["type"] == "pong")
        flooded.ask()
    flooded.check()
    # 900 MB were to be given out. What waits for one peer is bounded, however many connections it has.
    assert flooded.grew() < Bounds().queues_of_one_max_bytes * 4


def test_who_never_ends_a_line_or_a_handshake_is_bounded(flooded: Flooded) -> None:
    endless = flooded.wires(20)  # with more, what is their peer's is full, and who is steady is of the same peer
    piece = b"x" * 16_384
    for _ in range(20):
        for one in endless:
            with suppress(OSError):
                one.socket.send(piece, socket.MSG_DONTWAIT)
        flooded.ask()
    flooded.check()
    assert flooded.grew() < Bounds().queues_of_one_max_bytes * 4
