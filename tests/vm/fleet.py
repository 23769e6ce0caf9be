"""Run in the machine: very many clients of AuroraLink at once, which notice whatever goes wrong while it is restarted.

    fleet.py READERS MESSAGES COMMAND...
    fleet.py ends COMMAND

Readers of 50 topics, a few of them by WebSocket; a publisher that always waits for some acks; and one who asks at the
beginning and is answered at the end. Each COMMAND is run amid all that, with as many messages before and behind it. One
line of JSON says what was seen. With `ends` there are but a few clients, and how their connections end is what it says.
"""

from __future__ import annotations

import base64
import grp
import json
import os
import pwd
import resource
import selectors
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

PLACE = "/run/aurora/link.sock"
WEB = ("127.0.0.1", 9801)
TOPICS = 50
WEBS = 10
AHEAD = 200
"""Messages that are published ahead of their acks."""
OF_ONE = 400
"""Connections of one user, of whom the hub lets in 500."""
DEADLINE_SEC = 700.0


class Wire:
    """A connection that cuts what it reads into messages, by lines or by frames."""

    def __init__(self, handle: socket.socket, *, frames: bool = False) -> None:
        self.socket = handle
        self.frames = frames
        self.rest = b""
        self.unsent = b""
        self.ended = ""
        self.next = 0
        """The number of the next message that has to come."""
        self.topic = 0

    def say(self, message: dict[str, object]) -> None:
        line = json.dumps(message, separators=(",", ":")).encode()
        if self.frames:
            assert len(line) < 126
            self.unsent += bytes((0x81, 0x80 | len(line))) + bytes(4) + line  # a mask of zeros
        else:
            self.unsent += line + b"\n"
        self.write()

    def write(self) -> None:
        try:
            self.unsent = self.unsent[self.socket.send(self.unsent) :] if self.unsent else b""
        except BlockingIOError:
            pass
        except OSError as error:
            self.ended = self.ended or str(error)

    def read(self) -> list[dict[str, object]]:
        try:
            data = self.socket.recv(1 << 18)
        except BlockingIOError:
            return []
        except OSError as error:
            self.ended = str(error)
            return []
        if not data:
            self.ended = self.ended or "end"
        self.rest += data
        return [json.loads(one) for one in (self._frames() if self.frames else self._lines())]

    def _lines(self) -> list[bytes]:
        *lines, self.rest = self.rest.split(b"\n")
        return lines

    def _frames(self) -> list[bytes]:
        found, at, data = [], 0, self.rest
        while at + 2 <= len(data):
            size, start = data[at + 1], at + 2
            if data[at] == 0x89:
                assert not size, "the hub's pings have no payload"
                self.unsent += bytes((0x8A, 0x80)) + bytes(4)
                self.write()
                at += 2
                continue
            assert data[at] == 0x81, f"no whole text frame: {data[at : at + 20]!r}"
            if size == 126:
                size, start = int.from_bytes(data[at + 2 : at + 4]), at + 4
            if start + size > len(data):
                break
            found.append(data[start : start + size])
            at = start + size
        self.rest = data[at:]
        return found


def connect(number: int) -> Wire:
    """As one of three users, all of them operators: who connects is known by the user that connects."""
    user = pwd.getpwnam(("games", "man", "lp")[number // OF_ONE])
    os.setgroups([grp.getgrnam("aurora").gr_gid])
    os.seteuid(user.pw_uid)
    handle = socket.socket(socket.AF_UNIX)
    handle.connect(PLACE)
    os.seteuid(0)
    handle.setblocking(False)
    return Wire(handle)


def connect_web() -> Wire:
    handle = socket.create_connection(WEB)
    key = base64.b64encode(os.urandom(16)).decode()
    head = (
        "GET / HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13", "", "",
    )  # fmt: skip
    handle.sendall("\r\n".join(head).encode())
    said = b""
    while not said.endswith(b"\r\n\r\n"):
        said += handle.recv(1)
    assert said.startswith(b"HTTP/1.1 101"), said
    handle.setblocking(False)
    return Wire(handle, frames=True)


class Fleet:
    def __init__(self, readers: int) -> None:
        self.faults: list[str] = []
        self.acked: Counter[int] = Counter()
        self.sent = 0
        self.got = 0
        self.gap_sec = 0.0
        self.loop = selectors.EpollSelector()
        self.publisher, self.server, self.asker = (self._join(connect(0)) for _ in range(3))
        self.server.say({"type": "sub", "topic": "slow", "serve": True, "id": "sub"})
        self.publisher.say({"topic": "kept", "data": "kept by the hub alone", "retain": True, "id": "kept"})
        self.readers = [self._join(connect(number)) for number in range(readers - WEBS)]
        self.readers += [self._join(connect_web()) for _ in range(WEBS)]
        for number, reader in enumerate(self.readers):
            reader.topic = number % TOPICS
            reader.say({"type": "sub", "topic": f"load/{reader.topic}", "bound": "disconnect", "id": "sub"})
        self.subscribed = 0
        self.request = ""
        self.answer: object = None
        self.last_at = time.monotonic()
        self.until = self.last_at + DEADLINE_SEC

    def _join(self, wire: Wire) -> Wire:
        self.loop.register(wire.socket, selectors.EVENT_READ, wire)
        return wire

    def turn(self) -> None:
        assert time.monotonic() < self.until, f"{self.sent} sent, {self.acked.total()} acked, {self.got} read"
        for key, _ in self.loop.select(0.05):
            wire: Wire = key.data
            for message in wire.read():
                self.take(wire, message)
            if wire.ended:
                self.faults.append(f"a connection ended: {wire.ended}")
                self.loop.unregister(wire.socket)
        for wire in (self.publisher, self.server, self.asker, *self.readers[-WEBS:]):
            wire.write()

    def take(self, wire: Wire, message: dict[str, object]) -> None:
        if message["type"] == "error":
            self.faults.append(f"error: {message}")
        elif message["type"] == "req":
            self.request = str(message["id"])
        elif message["type"] == "rep":
            self.answer = message["data"]
        elif message["type"] == "pub":
            self.got += 1
            if message["data"] != wire.next:
                self.faults.append(f"{message['data']} came instead of {wire.next}")
            wire.next += 1
        elif message["id"] == "sub":
            self.subscribed += 1
        elif str(message["id"]).isdigit():
            number = int(str(message["id"]))
            if number != self.acked.total():
                self.faults.append(f"the ack of {number} came instead of that of {self.acked.total()}")
            self.acked[number % TOPICS] += 1
            now = time.monotonic()
            self.gap_sec, self.last_at = max(self.gap_sec, now - self.last_at), now

    def publish(self, number: int, *, further: int = 0) -> None:
        """Until `number` more are acknowledged; so many as `further` says may be on their way beyond."""
        number += self.acked.total()
        while self.acked.total() < number:
            while self.sent < number + further and self.sent - self.acked.total() < AHEAD:
                topic, count = self.sent % TOPICS, self.sent // TOPICS
                self.publisher.say({"topic": f"load/{topic}", "data": count, "id": str(self.sent)})
                self.sent += 1
            self.turn()

    def finish(self) -> None:
        """Until all is read that was acknowledged."""
        while any(reader.next < self.acked[reader.topic] and not reader.ended for reader in self.readers):
            self.turn()

    def kept(self) -> object:
        late = self._join(connect(0))
        late.say({"type": "sub", "topic": "kept"})
        late.socket.setblocking(True)
        message = late.read()[0]
        self.loop.unregister(late.socket)
        return message["data"]


def hub() -> dict[str, int]:
    """The hub's process, and its memory in KiB."""
    shown = subprocess.run(
        ["systemctl", "show", "-P", "MainPID", "aurora-link.service"], capture_output=True, text=True, check=True
    )  # fmt: skip
    pid = int(shown.stdout)
    memory = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return {"pid": pid, "pss_kib": next(int(line.split()[1]) for line in memory if line.startswith("Pss:"))}


def see_ends(command: str) -> None:
    """How connections end when `command` is run: what each read last, and after how long the last one ended."""
    wires = [connect(number) for number in range(40)] + [connect_web() for _ in range(WEBS)]
    for wire in wires:
        wire.say({"type": "ping", "id": "up"})
        wire.socket.settimeout(DEADLINE_SEC)
        wire.socket.recv(4096)
    subprocess.run(command, shell=True, check=True, stdout=subprocess.DEVNULL)
    begun = time.monotonic()
    last: Counter[str] = Counter()
    for wire in wires:
        data = more = wire.socket.recv(4096)
        while more:
            if more == b"\x88\x02\x03\xe9":  # going away: who speaks WebSocket says so, too
                wire.socket.sendall(b"\x88\x82\0\0\0\0\x03\xe9")
            more = wire.socket.recv(4096)
        last[data.hex()] += 1
    print(json.dumps({"last": last, "ended_sec": round(time.monotonic() - begun, 2)}))


def main(readers: int, messages: int, commands: list[str]) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
    fleet = Fleet(readers)
    while fleet.subscribed < readers + 1:
        fleet.turn()
    fleet.asker.say({"type": "req", "topic": "slow", "id": "asked", "data": 1, "deadline_ms": 300_000})
    fleet.publish(messages)
    hubs, gaps = [hub()], []
    for command in commands:
        fleet.last_at, fleet.gap_sec = time.monotonic(), 0.0
        running = subprocess.Popen(command, shell=True, stdout=subprocess.DEVNULL)
        while running.poll() is None:
            fleet.publish(1, further=AHEAD)
        if running.returncode:
            fleet.faults.append(f"{command} ended with {running.returncode}")
        fleet.publish(messages)
        hubs.append(hub())
        gaps.append(round(fleet.gap_sec, 2))
    fleet.publish(fleet.sent - fleet.acked.total())
    fleet.server.say({"type": "rep", "id": fleet.request, "data": "in the end"})
    while fleet.answer is None:
        fleet.turn()
    fleet.finish()
    found = {
        "faults": fleet.faults[:20], "acked": fleet.acked.total(), "read": fleet.got, "answer": fleet.answer,
        "expected": sum(fleet.acked[reader.topic] for reader in fleet.readers), "kept": fleet.kept(),
        "gaps_sec": gaps, "hubs": hubs,
    }  # fmt: skip
    print(json.dumps(found))


if __name__ == "__main__":
    if sys.argv[1] == "ends":
        see_ends(sys.argv[2])
    else:
        main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
