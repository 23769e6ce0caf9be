from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from aurora.errors import AuroraError, DeadlineExceeded, Denied, HostError, InputError, NotFound
from aurora.link.backoff import DELAY_MAX_SEC, FIRST_DELAY_SEC, STEADY_SEC, Absence
from aurora.link.client import LinkClient
from aurora.link.lasting import Link
from aurora.link.phrases import Gone, Message
from aurora.link.rules import ModuleRules

from .served import DEADLINE_SEC, Served
from .talking import ROOT, STRANGER, kept, module

GONE = InputError("a", "b")


class Log:
    """What a module's log would have."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.absence = Absence(lambda text: self.lines.append("!" + text), self.lines.append)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def link(tmp_path: Path, log: Log) -> Iterator[Link]:
    place = str(tmp_path / "link.sock")
    with Link(lambda: LinkClient(place, timeout_sec=DEADLINE_SEC), log.absence) as link:
        yield link


def once(link: Link) -> Message:
    """The next that comes."""
    return next(link.messages(within_sec=DEADLINE_SEC))


def over(place: Path) -> None:
    """So that another hub can be there."""
    (place / "link.sock").unlink()


def until_published(link: Link, topic: str, data: object) -> None:
    until = monotonic() + DEADLINE_SEC
    while True:
        try:
            link.publish(topic, data)
        except HostError:
            assert monotonic() < until
        else:
            return


# When


def test_each_delay_is_longer_until_a_connection_has_lasted(log: Log) -> None:
    now, delays = 0.0, []
    for _ in range(9):
        log.absence.went(GONE, now, 0)
        delays.append(log.absence.again_sec - now)
        now = log.absence.again_sec
    assert delays[:3] == [FIRST_DELAY_SEC, FIRST_DELAY_SEC * 2, FIRST_DELAY_SEC * 4]
    assert delays[-1] == DELAY_MAX_SEC
    log.absence.came("me", now)
    log.absence.went(GONE, now + STEADY_SEC / 2, 0)
    assert log.absence.again_sec == now + STEADY_SEC / 2 + DELAY_MAX_SEC
    log.absence.came("me", now)
    log.absence.went(GONE, now + STEADY_SEC, 0)
    assert log.absence.again_sec == now + STEADY_SEC + FIRST_DELAY_SEC


def test_the_reason_is_raised_anew_while_no_attempt_is_due(log: Log) -> None:
    log.absence.check(0)
    log.absence.went(GONE, 0, 0)
    for _ in range(2):
        with pytest.raises(InputError, match="cannot a, because b") as caught:
            log.absence.check(0.1)
        assert caught.value is not GONE
    log.absence.check(FIRST_DELAY_SEC)


# With a hub


def test_a_module_works_before_the_hub_is_there_and_is_connected_when_it_comes(
    tmp_path: Path, link: Link, log: Log
) -> None:
    link.subscribe("site/#")
    for _ in range(3):
        with pytest.raises(Gone, match=r"nothing listens there, at .*link\.sock"):
            link.publish("site/a", 1)
    assert list(link.messages(within_sec=0.01)) == []
    assert link.name == ""
    with Served(tmp_path, module("weather")):
        until_published(link, "site/a", 2)
        assert (once(link)["data"], link.name) == (2, "weather")
    assert [line.partition(",")[0] for line in log.lines] == [
        "!cannot reach AuroraLink",
        "connected with AuroraLink again",
    ]


def test_after_the_hub_it_subscribes_and_serves_again_and_says_each_change_once(
    tmp_path: Path, link: Link, log: Log
) -> None:
    with Served(tmp_path, module("lamp")):
        link.subscribe("site/#")
        link.serve("lamp/set")
        link.publish("site/a", 1)
        assert once(link)["data"] == 1
    over(tmp_path)
    assert list(link.messages(within_sec=0.01)) == []
    with Served(tmp_path, ROOT, module("lamp")) as hub, LinkClient(hub.place, timeout_sec=DEADLINE_SEC) as root:
        answers: list[object] = []
        asking = threading.Thread(target=lambda: answers.append(until_served(root, "lamp/set", "on")))
        asking.start()
        request = once(link)
        assert (request["type"], request["data"]) == ("req", "on")
        link.reply(request, "it is")
        asking.join(DEADLINE_SEC)
        assert answers == ["it is"]
        root.publish("site/b", 2)
        assert once(link)["data"] == 2
    assert len(log.lines) == 2
    assert log.lines[0].startswith("!cannot talk with AuroraLink, because it ended the connection")
    assert log.lines[1] == "connected with AuroraLink again, as lamp"


def until_served(client: LinkClient, topic: str, data: object) -> object:
    """The answer, once somebody serves it."""
    until = monotonic() + DEADLINE_SEC
    while True:
        try:
            return client.request(topic, data, deadline_sec=DEADLINE_SEC)
        except NotFound:
            assert monotonic() < until


def test_an_answer_to_a_request_of_the_connection_before_goes_nowhere(tmp_path: Path, link: Link) -> None:
    with Served(tmp_path, module("lamp"), ROOT) as hub:
        link.serve("lamp/set")
        hub.client({"type": "req", "topic": "lamp/set", "id": "q", "data": "first hub"})
        old = once(link)
    over(tmp_path)
    with Served(tmp_path, module("lamp"), ROOT) as hub:
        until_published(link, "x", 1)
        asker = hub.client({"type": "req", "topic": "lamp/set", "id": "q", "data": "second hub"})
        new = once(link)
        assert (old["id"], old["data"], new["data"]) == (new["id"], "first hub", "second hub")
        link.reply(old, "wrong")
        link.reply(new, "right")
        assert asker.until(lambda one: one["type"] == "rep")[-1]["data"] == "right"


def test_what_is_durable_comes_again_until_it_is_acknowledged_by_its_own_connection(tmp_path: Path, link: Link) -> None:
    with Served(tmp_path, module("alarm"), alarm=kept("alarm/#")) as hub, hub.disk(tmp_path):
        link.publish("alarm/fire", 1)
        link.publish("alarm/fire", 2)
        link.subscribe("alarm/#", cursor="mine")
        first = once(link)
        link.close()
        link.acknowledge(first)
        second = once(link)
        assert (second["data"], second["id"]) == (first["data"], first["id"])
        link.acknowledge(second)
        link.publish("other", 1)  # the hub has read the acknowledgement when it answers this
        link.close()
        assert once(link)["data"] == 2
        link.forget("alarm/#", "mine")
        link.close()
        assert list(link.messages(within_sec=0.01)) == []


def test_what_the_manifest_does_not_allow_is_refused_and_does_not_come_back(tmp_path: Path, link: Link) -> None:
    with Served(tmp_path, module("weather"), weather=ModuleRules(publish=("site/#",), subscribe=("site/#",))):
        with pytest.raises(Denied, match="the manifest of weather"):
            link.subscribe("lamp")
        with pytest.raises(Denied, match="the manifest of weather"):
            link.publish("lamp", 1)
        link.close()
        with pytest.raises(Denied, match="the manifest of weather"):
            link.serve("lamp")
        link.close()
        link.subscribe("site/#")
        until_published(link, "site/a", 1)
        assert once(link)["data"] == 1


def test_what_a_later_hub_does_not_allow_any_more_is_raised_by_messages_once(tmp_path: Path, link: Link) -> None:
    with Served(tmp_path, module("weather")):
        link.subscribe("lamp")
        link.subscribe("site/#")
    over(tmp_path)
    assert list(link.messages(within_sec=0.01)) == []
    with Served(tmp_path, module("weather"), weather=ModuleRules(publish=("site/#",), subscribe=("site/#",))):
        until_published(link, "site/a", 1)
        with pytest.raises(Denied, match="the manifest of weather"):
            next(link.messages(within_sec=0.01))
        until_published(link, "site/a", 2)


def test_whoever_is_not_let_in_is_told_so_by_every_call(tmp_path: Path, link: Link, log: Log) -> None:
    with Served(tmp_path, STRANGER):
        calls = (lambda: link.publish("a", 1), lambda: link.subscribe("a"), lambda: list(link.messages(within_sec=1)))
        for call in calls:
            with pytest.raises(Denied, match="neither a module nor a member"):
                call()
    assert len(log.lines) == 1


def test_a_server_that_is_late_or_fails_is_an_error_of_its_own_and_goes_on(tmp_path: Path, link: Link) -> None:
    with Served(tmp_path, module("lamp"), ROOT) as hub:
        link.serve("lamp/set")
        with LinkClient(hub.place, timeout_sec=DEADLINE_SEC) as root:
            with pytest.raises(DeadlineExceeded):
                root.request("lamp/set", 1, deadline_sec=0.05)
            late = once(link)
            link.reply(late, "too late")
            failures: list[AuroraError] = []
            asked = threading.Thread(target=lambda: failures.append(failed_request(root)))
            asked.start()
            link.fail(once(link), "it is broken")
            asked.join(DEADLINE_SEC)
            assert "it is broken" in str(failures[0])


def failed_request(client: LinkClient) -> AuroraError:
    with pytest.raises(HostError) as caught:
        client.request("lamp/set", 2, deadline_sec=DEADLINE_SEC)
    return caught.value
