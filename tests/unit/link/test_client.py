from __future__ import annotations

import threading
from pathlib import Path

import pytest

from aurora import sdk
from aurora.errors import DeadlineExceeded, Denied, HostError, InputError, NotFound
from aurora.link.client import LinkClient, address
from aurora.link.rules import ModuleRules
from aurora.paths import Paths

from .served import DEADLINE_SEC, Served
from .talking import ROOT, STRANGER, kept, module


def client(hub: Served) -> LinkClient:
    return LinkClient(hub.place, timeout_sec=DEADLINE_SEC)


def test_the_address_is_the_variables_or_the_machines() -> None:
    assert address("", Paths()) == "/run/aurora/link.sock"
    assert address("unix:/tmp/x.sock", Paths()) == "/tmp/x.sock"
    with pytest.raises(InputError, match="is no address"):
        address("tcp:localhost", Paths())


def test_it_publishes_subscribes_and_reads(tmp_path: Path) -> None:
    with Served(tmp_path, ROOT, module("weather")) as hub, client(hub) as reader, client(hub) as weather:
        assert (reader.name, weather.name) == ("user:root", "weather")
        weather.publish("site/wind", 3, retain=True)
        reader.subscribe("site/#")
        weather.publish("site/temp", {"celsius": 21.5})
        messages = reader.messages(within_sec=DEADLINE_SEC)
        first, second = next(messages), next(messages)
        assert (first["topic"], first["data"], first["retained"]) == ("site/wind", 3, True)
        assert (second["topic"], second["data"], second["from"]) == ("site/temp", {"celsius": 21.5}, "weather")
        assert list(reader.messages(within_sec=0.01)) == []


def test_it_reads_durable_messages_by_a_cursor_until_it_forgets_it(tmp_path: Path) -> None:
    with (
        Served(tmp_path, module("alarm"), ROOT, alarm=kept("alarm/#")) as hub,
        hub.disk(tmp_path),
        client(hub) as alarm,
    ):
        alarm.publish("alarm/fire", 1)
        alarm.publish("alarm/fire", 2)
        with client(hub) as reader:
            reader.subscribe("alarm/#", cursor="mine")
            messages = reader.messages(within_sec=DEADLINE_SEC)
            first = next(messages)
            assert (first["data"], first["id"], first["cursor"]) == (1, "d1", "mine")
            reader.acknowledge(first)
        with client(hub) as reader:
            reader.subscribe("alarm/#", cursor="mine")
            assert next(reader.messages(within_sec=DEADLINE_SEC))["data"] == 2
            reader.forget("alarm/#", "mine")
        with client(hub) as reader:
            reader.subscribe("alarm/#", cursor="mine")
            assert next(reader.messages(within_sec=DEADLINE_SEC))["data"] == 1


def test_what_the_hub_refuses_is_an_error_that_says_why(tmp_path: Path) -> None:
    rules = ModuleRules(publish=("site/#",))
    with Served(tmp_path, module("weather"), weather=rules) as hub, client(hub) as weather:
        with pytest.raises(Denied, match=r"cannot publish 'lamp', because the manifest of weather"):
            weather.publish("lamp", 1)
        with pytest.raises(InputError, match="wildcards"):
            weather.publish("site/+", 1)
        weather.publish("site/a", 1)


def test_a_stranger_is_told_why_it_is_refused(tmp_path: Path) -> None:
    with Served(tmp_path, STRANGER) as hub, pytest.raises(Denied, match="neither a module nor a member"):
        client(hub)


def test_a_request_that_nobody_serves_or_answers_says_so(tmp_path: Path) -> None:
    with Served(tmp_path) as hub, client(hub) as one, client(hub) as server:
        with pytest.raises(NotFound, match="lamp"):
            one.request("lamp", 1, deadline_sec=5)
        server.send({"type": "sub", "topic": "lamp", "serve": True, "id": "s"})
        server.publish("x", 1)  # answered after the subscription
        with pytest.raises(DeadlineExceeded):
            one.request("lamp", 1, deadline_sec=0.05)


def test_where_nothing_listens_it_says_what_to_start(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"aurora-link\.socket"):
        LinkClient(str(tmp_path / "none"), timeout_sec=1)


def test_a_module_serves_requests_and_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Served(tmp_path, module("lamp"), module("switch")) as hub:
        monkeypatch.setenv("AURORA_LINK", f"unix:{hub.place}")
        with sdk.link() as lamp, sdk.link() as switch:
            lamp.serve("lamp/set")
            lamp.subscribe("lamp/#")
            switch.publish("lamp/colour", "red")
            asked: list[object] = []
            thread = threading.Thread(target=lambda: asked.append(switch.request("lamp/set", "on", deadline_sec=20)))
            thread.start()
            for message in lamp.messages(within_sec=DEADLINE_SEC):
                if message["type"] == "req":
                    assert (message["from"], message["data"]) == ("switch", "on")
                    lamp.reply(message, ["it is", message["data"]])
                    break
                assert (message["type"], message["data"]) == ("pub", "red")
            thread.join(DEADLINE_SEC)
            assert asked == [["it is", "on"]]


def test_what_is_asked_while_an_answer_is_waited_for_is_not_lost(tmp_path: Path) -> None:
    with Served(tmp_path, module("lamp"), ROOT) as hub, client(hub) as lamp, client(hub) as root:
        lamp.serve("lamp/set")
        root.send({"type": "req", "topic": "lamp/set", "id": "r", "data": 1})
        root.publish("x", 1)  # the request has been given out before this is acknowledged
        lamp.publish("lamp/busy", True)
        (first,) = lamp.messages(within_sec=0.01)
        assert (first["type"], first["data"]) == ("req", 1)


def test_a_module_outside_aurora_is_told_where_it_looked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AURORA_LINK", f"unix:{tmp_path}/none")
    with sdk.link() as link, pytest.raises(HostError, match="none"):
        link.publish("a", 1)


def test_after_it_has_said_that_this_was_all_it_is_given_what_there_is_and_no_error(tmp_path: Path) -> None:
    with Served(tmp_path, ROOT, module("weather")) as hub, client(hub) as reader, client(hub) as weather:
        reader.subscribe("site/#")
        for number in range(500):
            weather.publish("site/wind", number)
        reader.finish()
        assert [message["data"] for message in reader.messages()] == list(range(500))


def test_where_the_hub_went_before_that_is_raised(tmp_path: Path) -> None:
    with Served(tmp_path) as hub:
        reader = client(hub)
        reader.subscribe("site/#")
    reader.finish()
    with reader, pytest.raises(HostError, match="it ended the connection"):
        list(reader.messages())


def test_who_must_miss_none_unawares_is_cut_off_instead(tmp_path: Path) -> None:
    with Served(tmp_path, ROOT, module("weather")) as hub, client(hub) as reader, client(hub) as weather:
        reader.subscribe_all("site/#", messages=10, size_bytes=1 << 20)
        for _ in range(40):
            weather.publish("site/wind", "x" * 100_000)
        with pytest.raises(HostError, match="is full"):
            list(reader.messages())
