from __future__ import annotations

from typing import Any

import pytest

from aurora.link.bounds import Bounds
from aurora.link.operator import DATA_SHOWN_MAX_BYTES
from aurora.link.refusal import Code, LinkError
from aurora.link.rules import ModuleRules, Rules
from aurora.link.session import Client

from .talking import ALL, OPERATOR, ROOT, Hub, module


def pub(number: int, **more: object) -> dict[str, object]:
    return {"topic": "door/1", **more, "data": number}


def made(bounds: Bounds | None = None) -> tuple[Hub, Client, Client]:
    hub = Hub(bounds=bounds, gated=("door/#",), robot=ALL, door=ALL)
    return hub, hub.join("robot"), hub.join("door", {"type": "sub", "topic": "#"})


def only(hub: Hub) -> str:
    (approval,) = hub.router.approvals.waiting()
    return approval.id


def test_a_message_to_a_gated_topic_waits_and_everybody_can_see_who_wants_what() -> None:
    hub, robot, door = made()
    hub.say(robot, pub(1, id="p"))
    assert hub.read(robot) == [{"type": "ack", "id": "p", "approval": "a1"}]
    (approval,) = hub.router.approvals.waiting()
    assert (approval.sender, approval.type, approval.topic, approval.data) == ("robot", "pub", "door/1", b"1")
    assert hub.read(door) == []


def test_nothing_passes_because_nobody_answers() -> None:
    hub, robot, door = made()
    hub.say(robot, pub(1, id="p"))
    hub.read(robot)
    hub.at(hub.now + Bounds().approval_max_msec)
    (error,) = hub.read(robot)
    assert (error["code"], error["id"]) == ("unanswered", "p")
    assert hub.read(door) == []
    assert hub.router.approvals.waiting() == []
    (answer,) = hub.router.approvals.answers
    assert (answer.approved, answer.by) == (False, "")
    assert hub.router.gatekeeper.denials == {("robot", "publish"): 1}


def test_what_an_operator_approves_passes_once_and_is_recorded_with_name_and_time() -> None:
    hub, robot, door = made()
    hub.say(robot, pub(1, id="p"))
    hub.read(robot)
    hub.at(5_000)
    hub.router.approvals.approve(only(hub), OPERATOR)
    assert hub.data(door) == [1]
    assert hub.read(robot) == [{"type": "ack", "id": "p"}]
    (answer,) = hub.router.approvals.answers
    assert (answer.approved, answer.by, answer.wall_msec) == (True, "user:anna", 1_700_000_005_000)
    hub.say(robot, pub(2))
    assert hub.data(door) == []


def test_what_an_operator_denies_is_refused() -> None:
    hub, robot, door = made()
    hub.say(robot, pub(1, id="p"))
    hub.read(robot)
    hub.router.approvals.deny(only(hub), ROOT)
    (error,) = hub.read(robot)
    assert (error["code"], error["id"]) == ("denied", "p")
    assert "user:root denied it" in error["text"]
    assert hub.read(door) == []


def test_nobody_but_an_operator_can_answer() -> None:
    hub, robot, door = made()
    hub.say(robot, pub(1))
    for answer in (hub.router.approvals.approve, hub.router.approvals.deny):
        with pytest.raises(LinkError) as caught:
            answer(only(hub), module("robot"))
        assert caught.value.code is Code.DENIED
        with pytest.raises(LinkError) as caught:
            answer("a99", OPERATOR)
        assert caught.value.code is Code.NO_SUCH
    with pytest.raises(LinkError) as caught:
        hub.router.approvals.approve(only(hub), OPERATOR, grant_msec=10**12)
    assert caught.value.code is Code.BAD_MEMBER
    assert hub.data(door) == []


def test_a_grant_lets_such_messages_pass_in_order_for_its_time_and_not_longer() -> None:
    hub, robot, door = made()
    plain = b'{"type":"pub","topic":"door/1","data":%d}'
    hub.say(robot, plain % 1, plain % 2, {"topic": "door/2", "data": 9})
    hub.router.approvals.approve(hub.router.approvals.waiting()[1].id, OPERATOR, grant_msec=1000)
    assert sorted(hub.data(door)) == [1, 2]
    hub.say(robot, plain % 3, plain % 4)
    assert hub.data(door) == [3, 4]
    hub.at(hub.now + 1000)
    hub.say(robot, plain % 5, plain % 6)
    assert hub.data(door) == []
    assert [one.data for one in hub.router.approvals.waiting()] == [b"9", b"5", b"6"]
    hub.say(hub.join("door"), plain % 7)
    assert len(hub.router.approvals.waiting()) == 4, "a grant is for one sender"


def test_a_request_waits_too_and_is_asked_when_it_is_approved() -> None:
    hub, robot, door = made()
    hub.say(door, {"type": "sub", "topic": "door/+", "serve": True})
    hub.say(robot, {"type": "req", "topic": "door/1", "id": "q", "data": "open"})
    assert hub.read(robot) == [{"type": "ack", "id": "q", "approval": "a1"}]
    assert hub.read(door) == []
    hub.router.approvals.approve(only(hub), OPERATOR)
    (request,) = hub.read(door)
    assert (request["type"], request["from"], request["data"]) == ("req", "robot", "open")


def test_an_approved_message_that_cannot_be_done_any_more_is_refused() -> None:
    hub, robot, door = made()
    hub.say(robot, {"type": "req", "topic": "door/1", "id": "q", "data": 1}, pub(1, id="p"))
    hub.read(robot)
    hub.router.approvals.approve("a1", OPERATOR)
    assert hub.codes(robot) == ["no-server"]
    hub.router.change(Rules(gated=("door/#",)))
    hub.read(robot)
    hub.router.approvals.approve("a2", OPERATOR)
    assert hub.codes(robot) == ["denied"]
    assert hub.data(door) == []


def test_what_waits_goes_with_its_connection() -> None:
    hub, robot, _ = made()
    hub.say(robot, pub(1))
    hub.router.disconnect(robot)
    assert hub.router.approvals.waiting() == []
    assert not hub.router.approvals.answers[0].approved


@pytest.mark.parametrize(
    "bounds", [Bounds(approvals_of_one_max=2), Bounds(approvals_max=2), Bounds(approvals_max_bytes=2)]
)
def test_what_waits_is_bounded(bounds: Bounds) -> None:
    hub, robot, door = made(bounds)
    hub.say(robot, pub(1), pub(2), pub(3))
    assert hub.codes(robot) == ["too-many"]
    hub.router.approvals.deny("a1", OPERATOR)
    hub.say(robot, pub(4))
    assert len(hub.router.approvals.waiting()) == 2
    assert hub.read(door) == []


def test_grants_and_answers_are_bounded() -> None:
    hub, robot, _ = made(Bounds(grants_max=2, decisions_kept_max=3))
    for number in range(5):
        hub.say(robot, {"topic": f"door/{number}", "data": 1})
        hub.router.approvals.approve(only(hub), OPERATOR, grant_msec=1000 + number)
    assert len(hub.router.approvals.answers) == 3
    peer = module("robot")
    assert [hub.router.approvals.granted(peer, f"door/{number}") for number in range(5)] == [False] * 3 + [True] * 2


def test_an_operators_own_message_is_approved_by_that() -> None:
    hub, _, door = made()
    hub.say(hub.join(OPERATOR), pub(1))
    assert hub.data(door) == [1]


# Asked of the hub itself


def asked(hub: Hub, who: Client, data: object) -> dict[str, Any]:
    hub.say(who, {"type": "req", "topic": "$sys/approvals", "id": "q", "data": data})
    (answer,) = hub.read(who)
    assert answer["id"] == "q"
    return answer


def test_an_operator_asks_the_hub_what_waits_and_lets_it_pass() -> None:
    hub, robot, door = made()
    hub.say(robot, pub(1, id="p"), {"type": "req", "topic": "door/2", "id": "r", "data": "x" * 600})
    hub.at(6_000)
    anna = hub.join(OPERATOR)
    said = asked(hub, anna, None)
    assert (said["type"], said["from"]) == ("rep", "$hub")
    first, second = said["data"]["waiting"]
    assert first == {
        "id": "a1", "from": "robot", "type": "pub", "topic": "door/1", "ts": 1_700_000_001_000,
        "left_ms": 295_000, "data_bytes": 1, "data": 1,
    }  # fmt: skip
    assert second["data_bytes"] == 602 > DATA_SHOWN_MAX_BYTES
    assert "data" not in second
    said = asked(hub, anna, {"approve": "a1", "grant_ms": 1000})
    assert (said["data"]["approved"], said["data"]["by"], said["data"]["grant_ms"]) == (True, "user:anna", 1000)
    assert hub.data(door) == [1]
    hub.say(robot, pub(2))
    assert hub.data(door) == [2]
    assert asked(hub, anna, {"deny": "a2"})["data"]["approved"] is False
    said = asked(hub, anna, None)
    assert said["data"]["waiting"] == []
    assert [one["id"] for one in said["data"]["answered"]] == ["a1", "a2"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"approve": "a9"}, "no-such"),
        ({"approve": "a1", "deny": "a1"}, "bad-member"),
        ({"deny": "a1", "grant_ms": 1}, "bad-member"),
        ({}, "bad-member"),
        ({"aprove": "a1"}, "bad-member"),
        ({"approve": 1}, "bad-member"),
        ({"approve": "a1", "grant_ms": -1}, "bad-member"),
        ({"approve": "a1", "grant_ms": 10**10}, "bad-member"),
        ("a1", "bad-member"),
    ],
)
def test_what_the_hub_does_not_understand_lets_nothing_pass(data: object, code: str) -> None:
    hub, robot, door = made()
    hub.say(robot, pub(1))
    assert asked(hub, hub.join(OPERATOR), data)["code"] == code
    assert len(hub.router.approvals.waiting()) == 1
    assert hub.data(door) == []


def test_no_module_asks_for_itself_whatever_its_manifest_says() -> None:
    hub, robot, door = made()
    hub.say(robot, pub(1))
    hub.read(robot)
    for data in (None, {"approve": "a1"}):
        assert asked(hub, robot, data)["code"] == "denied"
    assert hub.data(door) == []
    assert hub.router.gatekeeper.denials == {("robot", "approve"): 2}


def test_all_that_may_wait_has_room_in_one_answer() -> None:
    bounds = Bounds(approvals_of_one_max=256)
    hub = Hub(bounds=bounds, gated=("#",), robot=ALL)
    robot = hub.join("robot")
    topic = "door/" + "\u00e9" * 125
    hub.say(robot, *({"topic": topic, "data": "\u20ac" * 170} for _ in range(256)))
    anna = hub.join(OPERATOR)
    assert len(asked(hub, anna, None)["data"]["waiting"]) == 256
    for number in range(256):
        asked(hub, anna, {"deny": f"a{number + 1}"})
    hub.read(robot)
    hub.say(robot, *({"topic": topic, "data": "\u20ac" * 170} for _ in range(256)))
    said = asked(hub, anna, None)["data"]
    assert (len(said["waiting"]), len(said["answered"])) == (256, 256)


def test_what_the_owner_names_counts_at_once_also_for_what_was_sent_before() -> None:
    hub = Hub(robot=ALL)
    robot, door = hub.join("robot"), hub.join(OPERATOR, {"type": "sub", "topic": "#"})
    hub.say(robot, pub(1), pub(2))
    assert hub.data(door) == [1, 2]
    hub.router.gate(("door/#",))
    hub.say(robot, pub(3))
    assert hub.data(door) == []
    hub.router.gate(())
    hub.say(robot, pub(4))
    assert hub.data(door) == [4]


def test_what_a_modules_own_manifest_names_waits_when_it_sends_it_and_not_when_others_do() -> None:
    careful = ModuleRules(publish=("#",), request=("#",), approve=("door/+",))
    hub = Hub(robot=ALL, careful=careful)
    reader = hub.join(OPERATOR, {"type": "sub", "topic": "#"})
    own = hub.join("careful")
    hub.say(own, pub(1, id="p"), {"type": "req", "topic": "door/2", "id": "q", "data": 2}, {"topic": "a", "data": 3})
    assert [(one["id"], one["approval"]) for one in hub.read(own)] == [("p", "a1"), ("q", "a2")]
    assert hub.data(reader) == [3]
    hub.say(hub.join("robot"), pub(4))
    assert hub.data(reader) == [4]
    hub.router.approvals.approve("a1", OPERATOR)
    assert hub.data(reader) == [1]


def test_each_answer_is_told_for_the_record() -> None:
    hub, robot, _ = made()
    told: list[str] = []
    hub.router.approvals.record = lambda answer: told.append(str(answer))
    hub.say(robot, pub(1), pub(2), pub(3))
    hub.router.approvals.deny("a1", OPERATOR)
    hub.router.approvals.approve("a2", OPERATOR, grant_msec=60_000)
    hub.say(robot, {"topic": "door/2", "data": 1})
    hub.router.disconnect(robot)
    assert told == [
        "user:anna denied a1, pub 'door/1' of robot",
        "user:anna approved a2, pub 'door/1' of robot, and others like it for 60 s",
        "user:anna approved a3, pub 'door/1' of robot",
        "nobody answered a4, pub 'door/2' of robot: it does not pass",
    ]
