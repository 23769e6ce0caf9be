from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from aurora.errors import DeadlineExceeded, Denied, HostError, InputError, NotFound
from aurora.link import aio
from aurora.link.aio import AsyncLink
from aurora.link.backoff import Absence
from aurora.link.phrases import UNREAD_MAX, Gone, Message
from aurora.link.rules import ModuleRules

from .served import DEADLINE_SEC, Served
from .talking import STRANGER, kept, module


def run[T](body: Coroutine[object, object, T]) -> T:
    async def bounded() -> T:
        async with asyncio.timeout(DEADLINE_SEC):
            return await body

    return asyncio.run(bounded())


def link_to(place: Path, lines: list[str] | None = None) -> AsyncLink:
    said = lines if lines is not None else []
    absence = Absence(lambda text: said.append("!" + text), said.append)
    return AsyncLink(str(place / "link.sock"), absence, timeout_sec=DEADLINE_SEC)


async def once(link: AsyncLink) -> Message:
    return await anext(link.messages())


async def until_done(act: Callable[[], Awaitable[object]]) -> None:
    """Until the hub is there for it."""
    while True:
        try:
            await act()
        except HostError:
            await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=0.05)
        else:
            return


def test_it_publishes_subscribes_and_reads(tmp_path: Path) -> None:
    async def body() -> None:
        async with link_to(tmp_path) as reader, link_to(tmp_path) as weather:
            assert {reader.name, weather.name} == {"reader", "weather"}
            await weather.publish("site/wind", 3, retain=True)
            await reader.subscribe("site/#")
            await weather.publish("site/temp", {"celsius": 21.5})
            first, second = await once(reader), await once(reader)
            assert (first["topic"], first["data"], first["retained"]) == ("site/wind", 3, True)
            assert (second["topic"], second["data"]) == ("site/temp", {"celsius": 21.5})
            assert [one async for one in reader.messages(within_sec=0.01)] == []

    with Served(tmp_path, module("reader"), module("weather")):
        run(body())


def test_many_requests_wait_at_a_time_and_each_gets_its_own_answer(tmp_path: Path) -> None:
    async def serve(lamp: AsyncLink) -> None:
        early: list[Message] = []
        async for request in lamp.messages():
            early.append(request)
            if len(early) == 20:
                for one in reversed(early):
                    await lamp.reply(one, ["it is", one["data"]])

    async def body() -> None:
        async with link_to(tmp_path) as lamp, link_to(tmp_path) as switch:
            await lamp.serve("lamp/set")
            serving = asyncio.create_task(serve(lamp))
            answers = await asyncio.gather(*(switch.request("lamp/set", n, deadline_sec=20) for n in range(20)))
            assert answers == [["it is", n] for n in range(20)]
            serving.cancel()

    with Served(tmp_path, module("lamp"), module("switch")):
        run(body())


def test_a_request_that_is_cancelled_is_withdrawn_and_leaves_the_connection_as_it_was(tmp_path: Path) -> None:
    async def body() -> None:
        async with link_to(tmp_path) as lamp, link_to(tmp_path) as switch:
            await lamp.serve("lamp/set")
            for answered in (False, True):
                asked = asyncio.create_task(switch.request("lamp/set", 1, deadline_sec=20))
                request = await once(lamp)
                if answered:  # both are under way at the same time
                    await lamp.reply(request, "on")
                asked.cancel()
                await lamp.publish("x", 1)  # the hub has told it of the withdrawal, if it was in time
                await lamp.reply(request, "too late")
            assert served.ask(lambda: len(served.server.router._acts.requests)) == 0
            assert [one async for one in switch.messages(within_sec=0.05)] == []
            answer = asyncio.create_task(switch.request("lamp/set", 2, deadline_sec=20))
            await lamp.reply(await once(lamp), "still there")
            assert await answer == "still there"

    with Served(tmp_path, module("lamp"), module("switch")) as served:
        run(body())


def test_errors_have_their_types(tmp_path: Path) -> None:
    async def body() -> None:
        async with link_to(tmp_path) as link, link_to(tmp_path) as lamp:
            with pytest.raises(Denied, match="the manifest of weather"):
                await link.publish("lamp", 1)
            with pytest.raises(InputError, match="wildcards"):
                await link.publish("site/+", 1)
            with pytest.raises(InputError, match="JSON cannot hold it"):
                await link.publish("site/a", float("nan"))
            with pytest.raises(NotFound):
                await link.request("site/lamp", 1, deadline_sec=5)
            await lamp.serve("site/lamp")
            with pytest.raises(DeadlineExceeded):
                await link.request("site/lamp", 1, deadline_sec=0.05)
            await lamp.reply(await once(lamp), "too late")
            asked = asyncio.create_task(link.request("site/lamp", 2, deadline_sec=20))
            await lamp.fail(await once(lamp), "it is broken")
            with pytest.raises(HostError, match="it is broken"):
                await asked
            await link.publish("site/a", 1)

    rules = ModuleRules(publish=("site/#",), request=("site/#",), serve=("site/#",))
    with Served(tmp_path, module("weather"), weather=rules):
        run(body())


def test_a_stranger_is_told_why_by_every_call(tmp_path: Path) -> None:
    lines: list[str] = []

    async def body() -> None:
        async with link_to(tmp_path, lines) as link:
            for call in (lambda: link.publish("a", 1), lambda: link.subscribe("a"), lambda: once(link)):
                with pytest.raises(Denied, match="neither a module nor a member"):
                    await call()

    with Served(tmp_path, STRANGER):
        run(body())
    assert len(lines) == 1


def test_it_works_before_the_hub_and_after_another_one(tmp_path: Path) -> None:
    lines: list[str] = []

    async def body() -> None:
        async with link_to(tmp_path, lines) as link:
            await link.subscribe("site/#")
            with pytest.raises(Gone, match="nothing listens there"):
                await link.publish("site/a", 0)
            assert [one async for one in link.messages(within_sec=0.01)] == []
            for number in (1, 2):
                async with hub(tmp_path):
                    await until_done(lambda number=number: link.publish("site/a", number))  # type: ignore[misc]  # a lambda
                    assert (await once(link))["data"] == number
                (tmp_path / "link.sock").unlink()
            with pytest.raises(HostError):
                await until_gone(link)

    run(body())
    assert [line.partition(",")[0].lstrip("!") for line in lines] == [
        "cannot reach AuroraLink",
        "connected with AuroraLink again",
        "cannot talk with AuroraLink",
        "connected with AuroraLink again",
        "cannot talk with AuroraLink",
    ]


async def until_gone(link: AsyncLink) -> None:
    while True:
        await link.publish("site/a", 0)


@asynccontextmanager
async def hub(place: Path) -> AsyncIterator[Served]:
    """A hub whose begin and end do not hold the loop up."""
    served = await asyncio.to_thread(lambda: Served(place, module("weather")).__enter__())
    try:
        yield served
    finally:
        await asyncio.to_thread(served.__exit__)


def test_what_is_durable_comes_again_until_it_is_acknowledged(tmp_path: Path) -> None:
    async def body() -> None:
        async with link_to(tmp_path) as link:
            await link.publish("alarm/fire", 1)
            await link.publish("alarm/fire", 2)
            await link.subscribe("alarm/#", cursor="mine")
            first = await once(link)
        async with link_to(tmp_path) as link:
            await link.subscribe("alarm/#", cursor="mine")
            again = await once(link)
            assert (again["data"], again["id"]) == (first["data"], first["id"])
            await link.acknowledge(first)  # by another connection: it goes nowhere
            await link.acknowledge(again)
            await link.publish("x", 1)
        async with link_to(tmp_path) as link:
            await link.subscribe("alarm/#", cursor="mine")
            assert (await once(link))["data"] == 2
            await link.forget("alarm/#", "mine")

    with Served(tmp_path, module("alarm"), alarm=kept("alarm/#")) as served, served.disk(tmp_path):
        run(body())


def test_what_nobody_reads_waits_in_the_hub_and_answers_come_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aio, "UNREAD_PAUSE", 10)

    async def body() -> None:
        async with link_to(tmp_path) as link, link_to(tmp_path) as writer:
            await link.subscribe("n")
            for number in range(100):
                await writer.publish("n", number)
            assert len(link._arrived) <= 10
            await link.publish("m", 0)
            numbers = [message["data"] async for message in link.messages(within_sec=0.5)]
            assert numbers == list(range(100))

    with Served(tmp_path, module("one")):
        run(body())


def test_a_flood_does_not_keep_others_from_running_or_an_answer_from_coming(tmp_path: Path) -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'{"type":"hello","id":"me"}\n')
        await reader.readline()
        line = b'{"type":"pub","topic":"n","data":0}\n'
        number = json.loads(await reader.readline())["id"]
        for _ in range(3 * UNREAD_MAX // 100):
            writer.write(line * 100)
            await writer.drain()
        writer.write(json.dumps({"type": "ack", "id": number}).encode() + b"\n")
        await writer.drain()

    async def count(link: AsyncLink) -> int:
        return sum([1 async for _ in link.messages(within_sec=1)])

    async def body() -> None:
        server = await asyncio.start_unix_server(flood, tmp_path / "link.sock")
        async with server, link_to(tmp_path) as link:
            counting = asyncio.create_task(count(link))
            await link.publish("a", 1)
            assert await counting == 3 * UNREAD_MAX // 100 * 100

    run(body())


def test_a_hub_that_sends_no_json_ends_the_connection(tmp_path: Path) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(json.dumps({"type": "hello", "id": "me"}).encode() + b"\n")
        await reader.readline()
        writer.write(b"nonsense\n")

    async def body() -> None:
        server = await asyncio.start_unix_server(talk, tmp_path / "link.sock")
        async with server, link_to(tmp_path) as link:
            with pytest.raises(Gone, match="no JSON"):
                await link.publish("a", 1)

    run(body())
