"""What all programs have in common that take part in AuroraLink in one language each: they relay numbers."""

from __future__ import annotations

import signal
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
RELAYS = sorted(path.parent for path in HERE.glob("link-*/module.toml"))
DEADLINE_SEC = 60.0
ENDED_WELL = (0, -signal.SIGTERM)
"""What systemd takes for a stop that it asked for."""
each = pytest.mark.parametrize("folder", RELAYS, ids=lambda folder: folder.name)


@pytest.fixture
def run(start: Callable[..., Any], systemd: Any, hub: Any, built: Callable[[Path], Path]) -> Callable[..., Any]:
    """Start the module of a folder and wait until it listens; its hub may come by WebSocket, at this port."""

    def run(folder: Path, served: Any) -> Any:
        program = start(built(folder), AURORA_LINK=hub.address, LINK_URL=f"ws://127.0.0.1:{served.port}")
        systemd.wait_for("READY=1")
        return program

    return run


def topics(folder: Path) -> tuple[str, str]:
    """Where it reads, and where it tells."""
    variables = tomllib.loads((folder / "module.toml").read_text())["environment"]
    return variables["HEAR"], variables["TELL"]


@contextmanager
def root(hub: Any, topic: str) -> Iterator[Any]:
    with hub.client() as root:
        root.subscribe(topic)
        yield root


def heard(root: Any) -> tuple[str, Any]:
    message = next(root.messages(within_sec=DEADLINE_SEC))
    return message["from"], message["data"]


def test_there_is_one_in_each_language() -> None:
    assert {"link-shell", "link-c", "link-python", "link-asyncio", "link-js"} == {folder.name for folder in RELAYS}


@each
def test_it_tells_each_number_one_larger_and_ends_when_asked(folder: Path, run: Callable[..., Any], hub: Any) -> None:
    hear, tell = topics(folder)
    with hub.up() as served:
        program = run(folder, served)
        with root(hub, tell) as other:
            for number in (1, 41, 999):
                other.publish(hear, number)
                assert heard(other) == (folder.name, number + 1)
        assert program.stop() in ENDED_WELL


@each
def test_what_is_no_number_is_said_and_harms_nothing(folder: Path, run: Callable[..., Any], hub: Any) -> None:
    hear, tell = topics(folder)
    odd = ["one", None, True, {"data": 5}, {"type": "ack"}, [1], 1.5, 'x","data":7}', "\u2028", "x" * 100_000]
    with hub.up() as served:
        program = run(folder, served)
        with root(hub, tell) as other:
            for data in odd:
                other.publish(hear, data)
                assert "no number" in program.log_line("no number")
            other.publish(hear, 7)
            assert heard(other) == (folder.name, 8)


@each
def test_it_is_there_again_when_the_hub_is(folder: Path, run: Callable[..., Any], systemd: Any, hub: Any) -> None:
    hear, tell = topics(folder)
    with hub.up() as served:
        program = run(folder, served)
        port = served.port
    assert "AuroraLink" in program.log_line("AuroraLink")
    with hub.up(port=port), root(hub, tell) as other:
        until = monotonic() + DEADLINE_SEC
        found = []
        while not found:
            assert monotonic() < until
            other.publish(hear, 1)  # nobody may listen yet
            found = [one["data"] for one in other.messages(within_sec=0.5)]
        assert found[0] == 2
        assert program.stop() in ENDED_WELL


def test_a_number_goes_through_all_of_them(run: Callable[..., Any], hub: Any) -> None:
    with hub.up() as served, root(hub, "relay/done") as other:
        for folder in RELAYS:
            run(folder, served)
        for number in (1, 2, 3):
            other.publish("relay/shell", number)
            assert heard(other) == ("link-js", number + len(RELAYS))
