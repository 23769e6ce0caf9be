from __future__ import annotations

import os
import shutil
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
CONFIG = (HERE / "mosquitto.conf").read_text()
MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin")
needs_mosquitto = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")
DEADLINE_SEC = 30


def test_it_listens_on_this_machine_only() -> None:
    listeners = [line for line in CONFIG.splitlines() if line.startswith("listener ")]
    assert listeners == ["listener 18830 127.0.0.1"]


def test_it_keeps_its_messages_in_the_state_directory_of_the_manifest() -> None:
    assert "persistence_location /var/lib/aurora/broker" in CONFIG.splitlines()
    assert "state = true" in (HERE / "module.toml").read_text()


@pytest.fixture
def broker(start: Callable[..., Any], systemd: Any, tmp_path: Path) -> Callable[[], tuple[Any, int]]:
    """Starts the module's program with its own configuration, but for the port and the state directory."""
    folder, state = tmp_path / "module", tmp_path / "state"
    shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    state.mkdir()

    def run() -> tuple[Any, int]:
        port = free_port()
        config = CONFIG.replace("18830", str(port)).replace("/var/lib/aurora/broker", str(state))
        # Where root runs the test, mosquitto would become another user, who cannot write to the state directory.
        (folder / "mosquitto.conf").write_text(config + ("user root\n" if os.geteuid() == 0 else ""))
        program = start(folder)
        systemd.wait_for("READY=1")
        return program, port

    return run


@needs_mosquitto
def test_it_says_ready_and_what_it_does(broker: Callable[[], tuple[Any, int]]) -> None:
    program, port = broker()
    assert program.log_line("starting").startswith("mosquitto version ")
    assert program.log_line("Opening") == f"Opening ipv4 listen socket on port {port}."
    assert program.log_line("running")


@needs_mosquitto
def test_it_hands_a_message_to_a_subscriber(broker: Callable[[], tuple[Any, int]]) -> None:
    _, port = broker()
    with client(port, b"reader") as reader, client(port, b"writer") as writer:
        subscribe(reader, b"kitchen/temperature")
        publish(writer, b"kitchen/temperature", b"21.5", retain=False)
        assert receive(reader) == (b"kitchen/temperature", b"21.5")


@needs_mosquitto
def test_a_retained_message_outlives_a_restart(broker: Callable[[], tuple[Any, int]]) -> None:
    program, port = broker()
    with client(port, b"writer") as writer:
        publish(writer, b"door", b"shut", retain=True)
    assert program.stop() == 0
    _, port = broker()
    with client(port, b"reader") as reader:
        subscribe(reader, b"door")
        assert receive(reader) == (b"door", b"shut")


# Just enough of MQTT 3.1.1 (http://docs.oasis-open.org/mqtt/mqtt/v3.1.1/), quality of service 1 for publishing,
# so that the broker has the message when publish() returns. Packets here are shorter than 128 bytes.

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK = 0x10, 0x20, 0x30, 0x40, 0x82, 0x90


@contextmanager
def client(port: int, name: bytes) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_SEC) as connection:
        send(connection, CONNECT, text(b"MQTT") + bytes((4, 2)) + struct.pack(">H", 60) + text(name))
        assert packet(connection) == (CONNACK, b"\0\0")
        yield connection


def publish(connection: socket.socket, topic: bytes, message: bytes, *, retain: bool) -> None:
    send(connection, PUBLISH | 2 | retain, text(topic) + b"\0\1" + message)
    assert packet(connection) == (PUBACK, b"\0\1")


def subscribe(connection: socket.socket, topic: bytes) -> None:
    send(connection, SUBSCRIBE, b"\0\1" + text(topic) + b"\0")
    assert packet(connection) == (SUBACK, b"\0\1\0")


def receive(connection: socket.socket) -> tuple[bytes, bytes]:
    kind, body = packet(connection)
    assert kind & 0xF0 == PUBLISH
    end = 2 + int.from_bytes(body[:2])
    return body[2:end], body[end:]


def text(value: bytes) -> bytes:
    return struct.pack(">H", len(value)) + value


def send(connection: socket.socket, kind: int, body: bytes) -> None:
    connection.sendall(bytes((kind, len(body))) + body)


def packet(connection: socket.socket) -> tuple[int, bytes]:
    kind, size = exactly(connection, 2)
    return kind, exactly(connection, size)


def exactly(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = connection.recv(size - len(found))
        assert part, "the broker hung up"
        found += part
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port
