from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from aurora.cli.main import main
from tests.unit.link.served import Served
from tests.unit.link.talking import ROOT, kept, module


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with Served(tmp_path, module("weather"), ROOT) as served:
        monkeypatch.setenv("AURORA_LINK", f"unix:{served.place}")
        yield served


def test_what_one_publishes_another_prints(hub: Served, capsys) -> None:
    weather = hub.client({"type": "hello", "version": 1})
    weather.say({"topic": "site/wind", "data": 3, "retain": True, "id": "kept"})
    weather.until(lambda one: one.get("id") == "kept")
    assert main(["link", "pub", "--retain", "site/lamp", '{"on": true}']) == 0
    assert main(["link", "pub", "--retain", "site/name", "not JSON"]) == 0
    assert main(["link", "sub", "site/#", "--count", "3"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert sorted(said) == [
        'user:root  site/lamp  {"on": true}',
        'user:root  site/name  "not JSON"',
        "weather  site/wind  3",
    ]
    assert main(["link", "sub", "site/wind", "--count", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["from"] == "weather"


def test_a_request_is_answered_or_says_why_not(hub: Served, capsys) -> None:
    lamp = hub.client({"type": "sub", "topic": "lamp", "serve": True})

    def answer() -> None:
        asked = lamp.until(lambda one: one["type"] == "req")[-1]
        lamp.say({"type": "rep", "id": asked["id"], "data": ["got", asked["data"]]})

    thread = threading.Thread(target=answer)
    thread.start()
    assert main(["link", "req", "lamp", "1"]) == 0
    thread.join(20)
    assert capsys.readouterr().out == '["got", 1]\n'
    assert main(["link", "req", "nobody"]) == 66
    assert "nobody" in capsys.readouterr().err


def test_clients_are_counted(hub: Served, capsys) -> None:
    weather = hub.client({"type": "hello", "version": 1})
    assert main(["link", "clients", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["modules"] == {"weather": 1}
    assert found["hub"]["clients"] == 2
    weather.close()
    hub.wait_for_clients(0)
    # Not what it said before.
    assert main(["link", "clients", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["modules"], found["hub"]["clients"]) == ({}, 1)


def test_where_no_hub_is_it_says_what_to_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setenv("AURORA_LINK", f"unix:{tmp_path}/none")
    assert main(["link", "pub", "a"]) == 66
    assert "aurora-link.socket" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["a", '{"x": {"on": 1, "on": 2}}'], "a key twice"),
        (["a", "1e999"], "JSON cannot hold it"),
        (["a", '"\\ud800"'], "JSON cannot hold it"),
        (["a\udcff", "1"], "JSON cannot hold it"),
        (["a", "[" * 100_000], "too deep"),
        (["a/+", "1"], "wildcards"),
        (["", "1"], "topic"),
        (["a", "x" * 2_000_000], "262144 bytes"),
    ],
)
def test_what_cannot_be_published_is_said_in_words(hub: Served, capsys, arguments: list[str], why: str) -> None:
    assert main(["link", "pub", *arguments]) == 65
    assert why in capsys.readouterr().err


def test_what_is_no_json_is_a_text(hub: Served, capsys) -> None:
    assert main(["link", "pub", "--retain", "a", "NaN"]) == 0
    assert main(["link", "sub", "a", "--count", "1"]) == 0
    assert capsys.readouterr().out.endswith('a  "NaN"\n')


def test_what_waits_is_shown_and_passes_or_not_as_an_operator_says(hub: Served, capsys) -> None:
    hub._peers = [ROOT]
    assert main(["link", "approvals"]) == 0
    assert "nothing waits" in capsys.readouterr().err
    hub.gated = ("door/#",)
    hub.ask(lambda: hub.server.look_around(lambda _peer: True))
    hub._peers = [module("robot"), ROOT]
    robot = hub.client({"type": "hello", "version": 1})
    robot.say(*({"topic": "door/1", "data": {"open": number}, "id": str(number)} for number in range(3)))
    robot.until(lambda one: one.get("approval") == "a3")

    assert main(["link", "approvals"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[1][:5] == ["a1", "robot", "to", "publish", "door/1"]
    assert len(rows) == 4
    assert main(["link", "deny", "a2"]) == 0
    assert "robot door/1: denied by user:root" in capsys.readouterr().err
    error = robot.until(lambda one: one.get("type") == "error")[-1]
    assert (error["id"], error["code"]) == ("1", "denied")
    assert main(["link", "approve", "a1", "--for", "10min", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["approved"], said["grant_ms"]) == (True, 600_000)
    robot.until(lambda one: one == {"type": "ack", "id": "2"})

    assert main(["link", "approvals"]) == 0
    said = capsys.readouterr()
    assert "nothing waits" in said.err
    assert [line.split()[0] for line in said.out.splitlines()] == ["ID", "a2", "a1", "a3"]
    assert "approved by user:root, and others like it until" in said.out
    assert main(["link", "approvals", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["waiting"], len(found["answered"])) == ([], 3)


@pytest.mark.parametrize(
    ("arguments", "status", "why"),
    [
        (["approve", "a9"], 65, "nothing of that id waits"),
        (["deny", "a9"], 65, "try auroractl link approvals"),
        (["approve", "a9", "--for", "soon"], 64, "is not a time"),
        (["approve", "a9", "--for", "9h"], 64, "9h is not 0s to 8h"),
    ],
)
def test_what_cannot_be_approved_is_said(hub: Served, capsys, arguments: list[str], status: int, why: str) -> None:
    hub._peers = [ROOT]
    assert main(["link", *arguments]) == status
    assert why in capsys.readouterr().err


def test_durable_messages_are_read_once_by_a_cursor_and_the_owner_sees_who_has_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    with Served(tmp_path, module("alarm"), ROOT, alarm=kept("alarm/#")) as hub, hub.disk(tmp_path):
        monkeypatch.setenv("AURORA_LINK", f"unix:{hub.place}")
        alarm = hub.client({"type": "hello", "version": 1})
        assert main(["link", "durable"]) == 0
        assert capsys.readouterr().err == "no message is kept\n"
        for number in (1, 2, 3):
            alarm.say({"topic": "alarm/fire", "data": number, "id": str(number)})
        alarm.until(lambda one: one.get("id") == "3")
        read = ["link", "sub", "alarm/#", "--cursor", "mine", "--count"]
        assert main([*read, "2"]) == 0
        assert capsys.readouterr().out == "alarm  alarm/fire  1\nalarm  alarm/fire  2\n"
        assert main(["link", "durable"]) == 0
        lines = [line.split() for line in capsys.readouterr().out.splitlines()]
        assert ["alarm", "3", "225B", "0"] in lines
        assert ["user:root", "mine", "alarm/#", "1"] in lines
        assert main([*read, "1"]) == 0
        assert capsys.readouterr().out == "alarm  alarm/fire  3\n"
        assert main(["link", "durable", "--json"]) == 0
        assert [one["left"] for one in json.loads(capsys.readouterr().out)["cursors"]] == [0]
        assert main(["link", "durable", "--forget", "alarm"]) == 0
        assert main(["link", "durable", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["logs"] == []
        assert main(["link", "sub", "a", "b", "--cursor", "mine"]) == 64
        assert main(["link", "sub", "a", "--cursor", ""]) == 64
        assert "--cursor is empty" in capsys.readouterr().err


def test_subscriptions_are_listed_with_what_they_have_lost(hub: Served, capsys) -> None:
    weather = hub.client({"type": "hello", "version": 1})
    assert main(["link", "topics"]) == 0
    assert capsys.readouterr().err == "nobody has subscribed\n"
    weather.say(
        {"type": "sub", "topic": "lamp", "serve": True},
        {"type": "sub", "topic": "a/#", "group": "g", "bound": "block"},
        {"type": "sub", "topic": "b", "bound": "latest"},
        {"type": "ping", "id": "done"},
    )
    weather.until(lambda one: one.get("id") == "done")
    assert main(["link", "topics"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert lines == [
        ["a/#", "weather", "group", "g,", "block", "0", "0"],
        ["b", "weather", "latest", "0", "0"],
        ["lamp", "weather", "answers", "0", "0"],
    ]
    assert main(["link", "topics", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["serve"] for one in found["subscriptions"]] == [False, False, True]
    assert found["left_out"] == 0
