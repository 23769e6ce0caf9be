from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from aurora.errors import InputError
from aurora.link.backoff import DELAY_MAX_SEC, FIRST_DELAY_SEC, delay_sec
from aurora.link.edge import ID_MAX_CHARS, answer, checked, hello
from aurora.link.edge_main import main
from aurora.link.rules import ModuleRules

from .served import DEADLINE_SEC, Served
from .talking import module

ROOT = Path(__file__).resolve().parents[3]
TAKES_PART = ModuleRules(publish=("$broadcast",), subscribe=("$broadcast",))


def test_a_ping_is_answered_and_nothing_else() -> None:
    said = answer('{"from":"user:root","type":"ping","id":"x"}', "edge-1", 1_700_000_000_000)
    assert json.loads(said) == {"type": "pong", "id": "edge-1", "ts": 1_700_000_000_000}
    assert answer(b'{"type":"ping"}', "\u00e4", 1) == '{"type": "pong", "id": "\u00e4", "ts": 1}'
    for text in ("ping", "[]", '"ping"', "{}", '{"type":"pong"}', '{"type":["ping"]}', "[" * 100_000, b"\xff", ""):
        assert answer(text, "edge-1", 1) == ""


def test_it_says_hello_as_an_older_client() -> None:
    assert json.loads(hello("edge-1")) == {"type": "hello", "id": "edge-1"}


def test_delays_double_up_to_a_bound_and_are_spread() -> None:
    longest = [delay_sec(failures, 0) for failures in range(1, 200)]
    assert longest[:3] == [FIRST_DELAY_SEC, FIRST_DELAY_SEC * 2, FIRST_DELAY_SEC * 4]
    assert longest == sorted(longest)
    assert longest[-1] == DELAY_MAX_SEC
    for failures in (1, 5, 100, 10**9):
        assert delay_sec(failures, 1) == delay_sec(failures, 0) / 2
        assert delay_sec(failures, 0.5) == delay_sec(failures, 0) * 0.75


@pytest.mark.parametrize("address", ["", "unix:/run/aurora/link.sock", "http://127.0.0.1", "127.0.0.1:9801"])
def test_what_is_no_address_is_named(address: str) -> None:
    with pytest.raises(InputError, match="AURORA_LINK"):
        checked(address, "edge-1")


@pytest.mark.parametrize("name", ["", "a\nb", "x" * (ID_MAX_CHARS + 1)])
def test_what_is_no_id_is_named(name: str) -> None:
    with pytest.raises(InputError, match="AURORA_EDGE_ID"):
        checked("ws://127.0.0.1:1", name)


def test_help_says_what_it_reads(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert "AURORA_LINK" in said
    assert "AURORA_EDGE_ID" in said


@contextmanager
def edge(address: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """The program, which is told to end afterwards, and has to end well."""
    process = subprocess.Popen(
        [sys.executable, "-m", "aurora.link.edge_main"], text=True, stderr=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "AURORA_LINK": address, **environment},
    )  # fmt: skip
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_SEC) == 0
    finally:
        process.kill()
        process.communicate()


def heard(web: Any, **wanted: object) -> dict[str, Any]:
    """The first message with these members."""
    while True:
        found = json.loads(web.recv(DEADLINE_SEC))
        if wanted.items() <= found.items():
            assert isinstance(found, dict)
            return found


def test_a_device_takes_part_in_the_broadcast_group(tmp_path: Path) -> None:
    with Served(tmp_path, module("boss"), module("device"), boss=TAKES_PART, device=TAKES_PART) as hub:
        address = f"ws://127.0.0.1:{hub.port}"
        with connect(address, compression=None, proxy=None) as boss:
            boss.send('{"type":"hello","id":"boss"}')
            hub.wait_for_clients(1)
            with edge(address, AURORA_EDGE_ID="edge-1") as process:
                assert process.stderr is not None
                assert "as edge-1" in process.stderr.readline()
                while True:
                    boss.send('{"type":"ping"}')
                    with suppress(TimeoutError):
                        pong = json.loads(boss.recv(0.2))
                        break
                assert (pong["from"], pong["type"], pong["id"]) == ("device", "pong", "edge-1")
                assert pong["ts"] > 1_700_000_000_000
            hub.wait_for_clients(1)


def test_it_comes_back_when_the_hub_ends_the_connection_or_is_not_there() -> None:
    hellos: list[Any] = []
    third = threading.Event()

    def end_it(connection: ServerConnection) -> None:
        hellos.append(json.loads(connection.recv(DEADLINE_SEC)))
        if len(hellos) == 3:
            third.set()
            with suppress(ConnectionClosed):
                connection.recv(DEADLINE_SEC)

    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    with edge(f"ws://127.0.0.1:{port}", AURORA_EDGE_ID="edge-1") as process:
        assert process.stderr is not None
        assert "not connected" in process.stderr.readline()
        with serve(end_it, "127.0.0.1", port) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            assert third.wait(DEADLINE_SEC)
            assert hellos == [{"type": "hello", "id": "edge-1"}] * 3
            process.send_signal(signal.SIGTERM)
            assert process.wait(DEADLINE_SEC) == 0
            server.shutdown()
            thread.join(DEADLINE_SEC)


def test_a_wrong_environment_ends_it_with_its_reason() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "aurora.link.edge_main"], text=True, capture_output=True, timeout=DEADLINE_SEC,
        env={"PYTHONPATH": str(ROOT), "AURORA_LINK": "unix:/run/aurora/link.sock"}, check=False,
    )  # fmt: skip
    assert done.returncode == os.EX_DATAERR
    assert "ws://127.0.0.1:9801" in done.stderr
