"""The asyncio half of the SDK: its beat, and that the link is the one that the environment names."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from aurora import sdk
from aurora.sdk import aio

from .link.served import DEADLINE_SEC, Served
from .link.talking import module


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(DEADLINE_SEC)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listener


def heard(systemd: socket.socket) -> str:
    return systemd.recv(4096).decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_turns_come_at_their_interval_until_a_signal_ends_the_wait(
    systemd: socket.socket, number: signal.Signals
) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever starts us may have it ignored

    async def body() -> list[float]:
        loop, turns = asyncio.get_running_loop(), []
        async for _ in aio.heartbeat(0.05):
            turns.append(loop.time())
            if len(turns) == 3:
                os.kill(os.getpid(), number)
        return turns

    turns = asyncio.run(body())
    assert len(turns) == 3
    assert turns[2] - turns[0] > 0.09
    said = []
    while "STOPPING=1" not in said:
        said.append(heard(systemd))
    assert said[0] == "WATCHDOG=1"
    handlers = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)]
    signal.signal(signal.SIGINT, before)
    assert handlers == [signal.SIG_DFL, signal.default_int_handler]


def test_the_watchdog_is_fed_while_a_long_interval_is_waited_for(
    systemd: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "50000")

    async def body() -> None:
        beats = aio.heartbeat(100_000)
        await anext(beats)
        waiting = asyncio.ensure_future(anext(beats))
        for _ in range(4):
            assert await asyncio.to_thread(heard, systemd) == "WATCHDOG=1"
        assert not waiting.done()
        waiting.cancel()

    asyncio.run(body())


def test_an_interval_that_is_not_above_0_is_refused() -> None:
    async def body() -> None:
        with pytest.raises(ValueError, match="above 0 seconds"):
            await anext(aio.heartbeat(0))

    asyncio.run(body())


def test_the_link_is_the_one_that_the_environment_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        async with aio.link() as link:
            await link.subscribe("site/#")
            await link.publish("site/a", 1)
            async for message in link.messages():
                assert (message["data"], message["from"]) == (1, "weather")
                break

    with Served(tmp_path, module("weather")) as hub:
        monkeypatch.setenv("AURORA_LINK", f"unix:{hub.place}")
        asyncio.run(asyncio.wait_for(body(), DEADLINE_SEC))


def test_what_is_public_is_documented() -> None:
    assert all(getattr(aio, name).__doc__ for name in aio.__all__)
    assert set(aio.__all__) <= set(sdk.__all__), "the same names mean the same"
