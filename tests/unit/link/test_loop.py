"""When a turn of the hub's loop is over, and how it waits for the next."""

from __future__ import annotations

import asyncio
import os
import selectors
import socket
from collections.abc import Coroutine
from typing import Any

import pytest

from aurora.link import loop as loops
from aurora.link.loop import TurnLoop


def run(body: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(body, 20), loop_factory=TurnLoop)


def running() -> TurnLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, TurnLoop)
    return loop


def test_a_turn_ends_once_when_all_that_was_there_is_read() -> None:
    async def body() -> None:
        loop, seen = running(), list[str]()

        def read(name: str, wire: socket.socket) -> None:
            seen.append(name + wire.recv(10).decode())
            loop.at_end(lambda: seen.append("end"))

        pairs = [socket.socketpair() for _ in range(3)]
        for number, (ours, theirs) in enumerate(pairs):
            loop.add_reader(ours, read, str(number), ours)
            theirs.send(b"!")
        while "end" not in seen:
            await asyncio.sleep(0)
        assert (sorted(seen[:-1]), seen[-1]) == (["0!", "1!", "2!"], "end")
        await asyncio.sleep(0.001)
        assert seen.count("end") == 1
        for ours, theirs in pairs:
            loop.remove_reader(ours)
            ours.close()
            theirs.close()

    run(body())


def test_what_the_end_of_a_turn_brings_is_done_at_once() -> None:
    async def body() -> None:
        loop = running()
        for begin in (
            lambda done: loop.call_soon(done.set),
            lambda done: loop.call_later(0.0, done.set),
            lambda done: loop.at_end(done.set),
        ):
            done = asyncio.Event()
            loop.at_end(lambda begin=begin, done=done: begin(done))  # type: ignore[misc]  # mypy sees no defaults
            await asyncio.wait_for(done.wait(), 10)

    run(body())


def test_an_error_at_the_end_of_a_turn_is_told_and_the_loop_goes_on() -> None:
    async def body() -> None:
        loop, told = running(), list[dict[str, Any]]()
        loop.set_exception_handler(lambda _loop, context: told.append(context))

        def fails() -> None:
            raise ValueError("no")

        loop.at_end(fails)
        await asyncio.sleep(0.001)
        assert [str(one["exception"]) for one in told] == ["no"]

    run(body())


@pytest.mark.parametrize(("cpus", "looks"), [({0, 1}, True), ({0}, False)])
def test_after_something_came_soon_it_looks_before_it_sleeps(
    monkeypatch: pytest.MonkeyPatch, cpus: set[int], looks: bool
) -> None:
    """By a clock that goes on by a tenth of WATCH_SEC with each look at it, and a kernel that has something soon."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: cpus)
    now, asked = [0.0], list[float | None]()
    pauses_sec = [0.0]

    def clock() -> float:
        now[0] += loops.WATCH_SEC / 10
        return now[0]

    def select(_self: object, timeout: float | None = None) -> list[str]:
        asked.append(timeout)
        if timeout == 0 and len([one for one in asked if one == 0]) % 3:
            return []
        now[0] += pauses_sec[0]
        return ["event"] if timeout is None or not pauses_sec[0] else []

    monkeypatch.setattr(loops, "monotonic", clock)
    monkeypatch.setattr(selectors.EpollSelector, "select", select)
    selector = loops._Selector(lambda _: None)

    def turn() -> list[float | None]:
        asked.clear()
        selector.at_end = lambda: None
        assert selector.select(None)
        return list(asked)

    assert turn() == [None], "nothing is known yet"
    assert turn() == ([0, 0, 0] if looks else [None]), "the last one came at once"
    pauses_sec[0] = 1.0
    slow = turn()
    assert slow[-1] is None
    assert turn() == [None], "the last one did not"
    selector.close()


def test_who_comes_after_a_turn_is_answered(tmp_path: Any) -> None:
    async def body() -> None:
        loop = running()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        for number in range(100):
            loop.at_end(lambda number=number: theirs.send(b"%d" % number))  # type: ignore[misc]  # as above
            assert await loop.sock_recv(ours, 10) == b"%d" % number
        ours.close()
        theirs.close()

    run(body())
