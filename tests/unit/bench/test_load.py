"""The load generator believes no broker: whatever is wrong with a delivery, it says so."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bench.link import driver
from tests.unit.link.served import Served
from tests.unit.link.talking import module

WRONG = 3
DEADLINE_SEC = 60.0
SPOILT = 5
"""The message with which something happens."""

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("load") / "load"
    subprocess.run(driver.build(driver.SOURCES, place), check=True)
    return place


def load(generator: Path, *words: object) -> subprocess.CompletedProcess[str]:
    command = [str(generator), *map(str, words)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=DEADLINE_SEC)


class Spoiling:
    """A hub for the generator alone, whose deliveries of the first topic go through `spoil` once there are enough."""

    def __init__(self, place: Path, spoil: Callable[[list[bytes]], list[bytes]]) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(place))
        self._listener.listen()
        self._spoil = spoil
        self._readers: dict[str, list[socket.socket]] = {}
        self._waiting: list[bytes] = []
        self._spoilt = False

    def serve(self) -> None:
        while True:
            try:
                one, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(one,), daemon=True).start()

    def _talk(self, one: socket.socket) -> None:
        with one, one.makefile("rb") as lines:
            try:
                for line in lines:
                    self._take(one, json.loads(line))
            except OSError:
                return

    def _take(self, one: socket.socket, said: dict[str, str]) -> None:
        if said.get("type") == "sub":
            self._readers.setdefault(said["topic"], []).append(one)
        elif said.get("type") == "ping":
            one.sendall(b'{"type":"pong","id":"up","ts":1}\n')
        elif "type" not in said:
            self._deliver(said["topic"], json.dumps(said["data"]).encode())

    def _deliver(self, topic: str, data: bytes) -> None:
        sent = [data]
        if topic == "bench/0" and not self._spoilt:
            self._waiting.append(data)
            sent = []
            if len(self._waiting) > SPOILT:
                sent, self._spoilt = self._spoil(self._waiting), True
        for reader in self._readers.get(topic, []):
            for one in sent:
                reader.sendall(b'{"type":"pub","topic":"%b","from":"x","ts":1,"data":%b}\n' % (topic.encode(), one))

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[Callable[[Callable[[list[bytes]], list[bytes]]], Path]]:
    up: list[Spoiling] = []

    def begin(spoil: Callable[[list[bytes]], list[bytes]]) -> Path:
        place = tmp_path / "broken"
        up.append(Spoiling(place, spoil))
        threading.Thread(target=up[0].serve, daemon=True).start()
        return place

    yield begin
    up[0].close()


SPOILERS: dict[str, tuple[Callable[[list[bytes]], list[bytes]], str]] = {
    "one is lost": (lambda kept: kept[:2] + kept[3:], "got message 3 of publisher 0 in place of 2"),
    "two change places": (lambda kept: [kept[1], kept[0], *kept[2:]], "got message 1 of publisher 0 in place of 0"),
    "one comes twice": (lambda kept: [*kept, kept[-1]], "got message 5 of publisher 0 in place of 6"),
    "one is changed": (lambda kept: [kept[0], kept[1].replace(b"x", b"y", 1), *kept[2:]], "with other bytes"),
    "one is cut": (lambda kept: [kept[0], kept[1].replace(b"x", b"", 1), *kept[2:]], "of 127 bytes in place of 128"),
    "one is another's": (lambda kept: [kept[0].replace(b'"00-', b'"01-'), *kept[1:]], "a message of publisher 1"),
}


@pytest.mark.parametrize("spoiler", SPOILERS)
def test_a_wrong_delivery_is_said_and_fails(
    spoiler: str, generator: Path, broken: Callable[[Callable[[list[bytes]], list[bytes]]], Path]
) -> None:
    spoil, said = SPOILERS[spoiler]
    done = load(generator, "aurora", "unix", broken(spoil), "stream", os.getpid(), 1, 1, 128, 8, 64, 20, 50)
    assert done.returncode == WRONG
    assert said in done.stderr


def test_messages_that_never_come_fail(
    generator: Path, broken: Callable[[Callable[[list[bytes]], list[bytes]]], Path]
) -> None:
    place = broken(lambda kept: kept[:1])  # the rest is lost, and nothing follows it
    done = load(generator, "aurora", "unix", place, "stream", os.getpid(), 1, 1, 128, SPOILT + 1, SPOILT + 1, 20, 50)
    assert done.returncode == WRONG
    assert "of 6 messages of publisher 0 a reader got 1, and no more" in done.stderr


@pytest.mark.parametrize("fan", [(1, 1), (1, 3), (2, 1)])
@pytest.mark.parametrize("way", ["unix", "websocket"])
def test_the_hub_delivers_everything_once_and_in_order(
    way: str, fan: tuple[int, int], generator: Path, tmp_path: Path
) -> None:
    with Served(tmp_path, module("bench")) as served:
        address = served.place if way == "unix" else str(served.port)
        for batch in (1, 16):
            done = load(generator, "aurora", way, address, "stream", os.getpid(), *fan, 128, batch, 128, 20, 100)
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["deliveries"] > 0
        assert load(generator, "aurora", way, address, "pingpong", os.getpid(), 128, 20).returncode == 0
