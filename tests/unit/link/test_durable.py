from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.link.bounds import Bounds
from aurora.link.kept import COST_BYTES
from aurora.link.ledger import Ledger
from aurora.link.refusal import Code, LinkError
from aurora.link.rules import Durable, ModuleRules
from aurora.topics import WhenFull

from .talking import ALL, DAY_MSEC, OPERATOR, ROOT, Hub, kept, module

BOUNDS = Bounds()


class Disk:
    """The ledger of a test, in a file, without the thread: jobs are done when the test says so, or at once."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.ledger = Ledger(place, BOUNDS)
        self.at_once = True
        self.waiting: list[tuple[Callable[[Ledger], Any], Callable[[Any], None]]] = []
        self.fails = False

    def submit[T](self, job: Callable[[Ledger], T], done: Callable[[T | LinkError], None]) -> None:
        self.waiting.append((job, done))
        if self.at_once:
            self.work()

    def work(self) -> None:
        while self.waiting:
            job, done = self.waiting.pop(0)
            if self.fails:
                done(LinkError(Code.DISK, "write", "it is gone"))
                continue
            (result,) = self.ledger.transact([job])
            done(result)

    def cut(self) -> None:
        """Without a goodbye, and whatever waits is lost."""
        self.waiting.clear()
        self.ledger.close()
        self.ledger = Ledger(self.place, BOUNDS)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path / "link.db")
    yield disk
    disk.ledger.close()


def hub_on(disk: Disk, **modules: ModuleRules) -> Hub:
    hub = Hub(**(modules or {"alarm": kept("alarm/#"), "mail": ALL}))
    hub.router.keeping.store = disk
    hub.router.keeping.recall(disk.ledger.retained())
    return hub


def pub(topic: str, data: object, **more: object) -> dict[str, Any]:
    return {"type": "pub", "topic": topic, **more, "data": data}


def reads(pattern: str = "alarm/#", name: str = "c", **more: object) -> dict[str, Any]:
    return {"type": "sub", "topic": pattern, "cursor": name, **more}


def ack(message: dict[str, Any]) -> dict[str, Any]:
    return {"type": "ack", "id": message["id"], "cursor": message["cursor"]}


def test_a_durable_message_is_acknowledged_and_delivered_once_it_is_on_disk(disk: Disk) -> None:
    hub = hub_on(disk)
    alarm, mail = hub.join("alarm"), hub.join("mail", {"type": "sub", "topic": "alarm/#"})
    disk.at_once = False
    hub.say(alarm, pub("alarm/fire", 1, id="p"))
    assert hub.read(alarm) == hub.read(mail) == []
    disk.work()
    assert hub.read(alarm) == [{"type": "ack", "id": "p"}]
    assert hub.data(mail) == [1]


def test_what_cannot_be_written_is_refused_and_delivered_to_nobody(disk: Disk) -> None:
    hub = hub_on(disk)
    alarm, mail = hub.join("alarm"), hub.join("mail", {"type": "sub", "topic": "alarm/#"})
    disk.fails = True
    hub.say(alarm, pub("alarm/fire", 1, id="p"))
    (error,) = hub.read(alarm)
    assert (error["code"], error["id"], error["topic"]) == ("disk", "p", "alarm/fire")
    assert hub.read(mail) == []


def test_without_a_disk_nothing_durable_is_acknowledged() -> None:
    hub = Hub(alarm=kept("alarm/#"))
    alarm = hub.join("alarm")
    hub.say(alarm, pub("alarm/fire", 1, id="p"))
    assert hub.codes(alarm) == ["disk"]


def test_other_topics_and_other_publishers_need_no_disk(disk: Disk) -> None:
    disk.fails = True
    hub = hub_on(disk)
    alarm, mail = hub.join("alarm"), hub.join("mail")
    hub.say(alarm, pub("temperature", 1, id="p"))
    hub.say(mail, pub("alarm/fire", 1, id="p"))
    assert hub.read(alarm) == hub.read(mail) == [{"type": "ack", "id": "p"}]


def test_a_cursor_gets_what_was_published_before_and_after_it_came_each_in_order(disk: Disk) -> None:
    hub = hub_on(disk)
    alarm = hub.join("alarm")
    hub.say(alarm, *(pub(f"alarm/{n}", n) for n in range(3)), pub("other", 9))
    mail = hub.join("mail")
    hub.say(mail, reads(id="s"))
    hub.say(alarm, pub("alarm/3", 3))
    first, *messages = hub.read(mail)
    assert first == {"type": "ack", "id": "s"}
    assert [(one["id"], one["topic"], one["from"], one["cursor"], one["data"]) for one in messages] == [
        (f"d{n + 1}", f"alarm/{n}", "alarm", "c", n) for n in range(4)
    ]


def test_what_is_not_acknowledged_comes_again_with_the_same_id_and_what_is_does_not(disk: Disk) -> None:
    hub = hub_on(disk)
    hub.say(hub.join("alarm"), *(pub("alarm/x", n) for n in range(4)))
    mail = hub.join("mail")
    hub.say(mail, reads())
    messages = hub.read(mail)
    hub.say(mail, ack(messages[1]))
    hub.router.disconnect(mail)
    again = hub.join("mail")
    hub.say(again, reads())
    assert hub.read(again) == messages[2:]


def test_messages_and_cursors_outlive_the_hub(disk: Disk) -> None:
    hub = hub_on(disk)
    mail = hub.join("mail")
    hub.say(hub.join("alarm"), *(pub("alarm/x", n) for n in range(4)))
    hub.say(mail, reads())
    messages = hub.read(mail)
    hub.say(mail, ack(messages[0]))
    disk.cut()
    hub = hub_on(disk)
    hub.say(hub.join("alarm"), pub("alarm/x", 4))
    mail = hub.join("mail")
    hub.say(mail, reads())
    found = hub.read(mail)
    assert found[:3] == messages[1:]
    assert (found[3]["id"], found[3]["data"]) == ("d5", 4)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("pub"), st.integers(0, 3)),
            st.tuples(st.just("ack"), st.integers(0, 5)),
            st.tuples(st.sampled_from(["work", "cut", "come back"]), st.just(0)),
        ),
        max_size=40,
    )
)
def test_nothing_acknowledged_is_lost_whenever_the_power_goes(steps: list[tuple[str, int]]) -> None:
    import tempfile  # noqa: PLC0415  # hypothesis wants a fresh folder for each example

    with tempfile.TemporaryDirectory() as folder:
        disk = Disk(Path(folder) / "link.db")
        with closing(disk.ledger):
            _nothing_acknowledged_is_lost(disk, steps)
        disk.ledger.close()


def _nothing_acknowledged_is_lost(disk: Disk, steps: list[tuple[str, int]]) -> None:
    number = 0
    promised: list[int] = []
    got: list[int] = []
    hub = hub_on(disk)
    alarm, mail = hub.join("alarm"), hub.join("mail", reads())
    unacknowledged: list[dict[str, Any]] = []

    def look() -> None:
        promised.extend(int(one["id"]) for one in hub.read(alarm) if one["type"] == "ack")
        for one in hub.read(mail):
            if one["type"] == "pub":
                unacknowledged.append(one)
                got.append(one["data"])

    for step, count in [*steps, ("cut", 0), ("work", 0)]:
        disk.at_once = False
        if step == "pub":
            for _ in range(count):
                number += 1
                hub.say(alarm, pub("alarm/x", number, id=str(number)))
        elif step == "ack" and len(unacknowledged) > count:
            hub.say(mail, ack(unacknowledged[count]))
            del unacknowledged[: count + 1]
        elif step == "work":
            disk.work()
        elif step == "cut":
            disk.cut()
            hub = hub_on(disk)
            alarm, mail = hub.join("alarm"), hub.join("mail", reads())
            unacknowledged.clear()
        elif step == "come back":
            hub.router.disconnect(mail)
            mail = hub.join("mail", reads())
            unacknowledged.clear()
        disk.work() if step == "work" else None
        look()
    assert set(promised) <= set(got)
    firsts = list(dict.fromkeys(got))
    assert firsts == sorted(firsts)


def test_a_cursor_is_sent_so_much_ahead_of_what_it_acknowledges(disk: Disk) -> None:
    hub = hub_on(disk)
    hub.say(hub.join("alarm"), *(pub("alarm/x", n) for n in range(10)))
    mail = hub.join("mail")
    hub.say(mail, reads(queue_messages=3))
    messages = hub.read(mail)
    assert [one["data"] for one in messages] == [0, 1, 2]
    hub.say(mail, ack(messages[1]))
    assert hub.data(mail) == [3, 4]


def test_a_message_larger_than_the_window_comes_too(disk: Disk) -> None:
    hub = hub_on(disk)
    large = "x" * (BOUNDS.message_max_bytes - 200)
    alarm, mail = hub.join("alarm"), hub.join("mail")
    hub.say(mail, reads(queue_bytes=1024, id="s"))
    hub.say(alarm, pub("alarm/x", large), pub("alarm/x", 2))
    _, first = hub.read(mail)
    assert first["data"] == large
    hub.say(mail, ack(first))
    assert hub.data(mail) == [2]


def test_nothing_is_dropped_where_its_peer_has_no_room_left(disk: Disk) -> None:
    hub = hub_on(disk)
    alarm, mail, other = hub.join("alarm"), hub.join("mail"), hub.join("mail")
    sent = [[n, "x" * 400] for n in range(5)]
    hub.say(alarm, *(pub("alarm/x", one) for one in sent))
    hub.say(other, {"type": "sub", "topic": "fill", "queue_messages": 16_384, "queue_bytes": 1 << 20})
    room = BOUNDS.queues_of_one_max_bytes - 1500
    other.budget.has_room(room)
    other.budget.used += room
    hub.say(mail, reads())
    early = hub.data(mail)
    assert 0 < len(early) < 5
    other.budget.give_back(room)
    hub.at(hub.now + BOUNDS.cursor_retry_msec)
    assert early + hub.data(mail) == sent
    assert hub.router.counts()["dropped"] == 0


def test_a_cursor_that_another_connection_takes_is_read_there_alone(disk: Disk) -> None:
    hub = hub_on(disk)
    first, second = hub.join("mail"), hub.join("mail")
    hub.say(first, reads())
    hub.say(second, reads())
    hub.say(hub.join("alarm"), pub("alarm/x", 1))
    assert hub.codes(first) == ["in-use"]
    (message,) = hub.read(second)
    hub.say(first, ack(message))
    assert hub.codes(first) == ["no-such"]
    hub.say(first, reads())  # and back
    assert hub.data(first) == [1]


def test_a_cursor_is_its_peers_own(disk: Disk) -> None:
    hub = hub_on(disk, alarm=kept("alarm/#"), mail=ALL, fax=ALL)
    hub.say(hub.join("alarm"), pub("alarm/x", 1))
    mail, fax = hub.join("mail"), hub.join("fax")
    hub.say(mail, reads())
    (message,) = hub.read(mail)
    hub.say(mail, ack(message))
    hub.say(fax, reads())
    assert hub.data(fax) == [1]
    assert hub.read(mail) == []


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (reads(group="g"), "bad-member"),
        (reads(serve=True), "bad-member"),
        (reads(bound="latest"), "bad-member"),
        ({"type": "sub", "topic": "alarm/#", "start": "newest"}, "bad-member"),
        (reads("alarm/x", name="known"), "in-use"),
        ({"type": "unsub", "topic": "alarm/#", "cursor": "none"}, "no-such"),
        ({"type": "ack", "id": "d1", "cursor": "none"}, "no-such"),
        ({"type": "ack", "id": "d7", "cursor": "known"}, "no-such"),
        ({"type": "ack", "id": "x", "cursor": "known"}, "no-such"),
        ({"type": "ack", "id": "d\u0661", "cursor": "known"}, "no-such"),
        ({"type": "ack", "id": "d1"}, "missing-member"),
    ],
)
def test_what_makes_no_sense_of_a_cursor_is_refused(disk: Disk, message: dict[str, Any], code: str) -> None:
    hub = hub_on(disk)
    mail = hub.join("mail", reads(name="known"))
    hub.say(mail, message)
    assert hub.codes(mail) == [code]


def test_a_subscriber_without_the_right_has_no_cursor(disk: Disk) -> None:
    hub = hub_on(disk, alarm=kept("alarm/#"), eve=ModuleRules(subscribe=("other/#",)))
    hub.say(hub.join("alarm"), pub("alarm/x", 1))
    eve = hub.join("eve")
    hub.say(eve, reads())
    assert hub.codes(eve) == ["denied"]
    assert disk.ledger.cursors() == []


def test_there_are_so_many_cursors_and_a_forgotten_one_makes_room(disk: Disk) -> None:
    hub = hub_on(disk)
    mail = hub.join("mail", *(reads(name=f"c{n}") for n in range(BOUNDS.cursors_of_one_max)))
    hub.say(mail, reads(name="more"))
    assert hub.codes(mail) == ["too-many"]
    hub.say(mail, {"type": "unsub", "topic": "alarm/#", "cursor": "c0", "id": "u"})
    assert {"type": "ack", "id": "u"} in hub.read(mail)
    hub.say(mail, reads(name="more", id="s"))
    assert hub.read(mail) == [{"type": "ack", "id": "s"}]


def test_a_new_cursor_may_begin_behind_the_newest(disk: Disk) -> None:
    hub = hub_on(disk)
    alarm = hub.join("alarm")
    hub.say(alarm, pub("alarm/x", 1))
    mail = hub.join("mail")
    hub.say(mail, reads(start="newest"))
    hub.say(alarm, pub("alarm/x", 2))
    assert hub.data(mail) == [2]


ROOM = 4 * (COST_BYTES + len("alarm/x") + 1)
"""For four messages of one digit."""


def test_a_full_log_refuses_until_all_cursors_have_acknowledged(disk: Disk) -> None:
    hub = hub_on(disk, alarm=kept("alarm/#", size=ROOM), mail=ALL, fax=ALL)
    alarm, mail, fax = hub.join("alarm"), hub.join("mail", reads()), hub.join("fax", reads())
    hub.say(alarm, *(pub("alarm/x", n) for n in range(5)))
    assert hub.codes(alarm) == ["full"]
    first, second = hub.read(mail)[0], hub.read(fax)[1]
    hub.say(mail, ack(first))
    hub.say(alarm, pub("alarm/x", 5))
    assert hub.codes(alarm) == ["full"]
    hub.say(fax, ack(second))
    hub.say(alarm, pub("alarm/x", 6, id="p"), pub("alarm/x", 7))
    assert hub.read(alarm)[0] == {"type": "ack", "id": "p"}
    (log,) = disk.ledger.logs()
    assert (log.messages, log.bytes, log.dropped) == (4, ROOM, 0)


def test_where_the_manifest_says_so_the_oldest_make_room_and_are_counted(disk: Disk) -> None:
    hub = hub_on(disk, alarm=kept("alarm/#", size=ROOM, full=WhenFull.DROP_OLDEST), mail=ALL)
    hub.say(hub.join("alarm"), *(pub("alarm/x", n) for n in range(6)))
    mail = hub.join("mail")
    hub.say(mail, reads())
    assert hub.data(mail) == [2, 3, 4, 5]
    assert disk.ledger.logs()[0].dropped == 2


def test_what_is_larger_than_all_that_may_be_kept_is_refused(disk: Disk) -> None:
    hub = hub_on(disk, alarm=kept("alarm/#", size=ROOM))
    alarm = hub.join("alarm")
    hub.say(alarm, pub("alarm/x", "x" * ROOM))
    assert hub.codes(alarm) == ["too-large"]


def test_messages_go_with_age(disk: Disk) -> None:
    hub = hub_on(disk)
    alarm = hub.join("alarm")
    hub.say(alarm, pub("alarm/x", 1))
    hub.at(DAY_MSEC // 2)
    hub.say(alarm, pub("alarm/x", 2))
    hub.at(DAY_MSEC + 10_000)
    hub.router.keeping.look()
    mail = hub.join("mail")
    hub.say(mail, reads())
    assert hub.data(mail) == [2]


def test_too_much_that_waits_for_the_disk_is_refused(disk: Disk) -> None:
    hub = hub_on(disk, alarm=kept("alarm/#", size=1 << 30))
    alarm = hub.join("alarm")
    disk.at_once = False
    data = "x" * 200_000
    for _ in range(BOUNDS.queues_of_one_max_bytes // 200_000 + 1):
        hub.say(alarm, pub("alarm/x", data))
    assert hub.codes(alarm) == ["busy"]
    disk.work()
    assert alarm.budget.used == 0
    hub.say(alarm, pub("alarm/x", 1, id="p"))
    disk.work()
    assert hub.read(alarm) == [{"type": "ack", "id": "p"}]


@pytest.mark.parametrize(
    "line",
    [
        pub("set/x", "x" * 2000, retain=True),
        {"type": "unsub", "topic": "a", "cursor": "none"},
        reads(),
        pub("alarm/x", 1),
    ],
)
def test_jobs_for_a_disk_that_does_not_get_on_are_bounded(disk: Disk, line: dict[str, Any]) -> None:
    hub = hub_on(disk)
    clients = [hub.join("alarm") for _ in range(2)]
    disk.at_once = False
    for turn in range(9000):
        hub.say(clients[turn % 2], line)
        for client in clients:
            hub.router.take(client, 1 << 20)
    assert len(disk.waiting) <= BOUNDS.queues_of_one_max_bytes // 1024
    hub.say(clients[0], pub("alarm/x", "y" * 200_000))
    disk.work()
    for client in clients:
        hub.router.take(client, 1 << 30)
    assert clients[0].budget.used == 0


def test_a_late_acknowledgement_does_not_move_another_cursor_of_the_name(disk: Disk) -> None:
    hub = hub_on(disk)
    hub.say(hub.join("alarm"), *(pub("alarm/x", n) for n in range(5)))
    mail = hub.join("mail")
    hub.say(mail, reads())
    messages = hub.read(mail)
    disk.at_once = False
    forget = {"type": "unsub", "topic": "alarm/#", "cursor": "c"}
    hub.say(mail, ack(messages[1]), ack(messages[3]), forget, reads("alarm/+"))
    disk.work()
    assert [one["data"] for one in hub.read(mail) if one["type"] == "pub"] == [0, 1, 2, 3, 4]
    disk.cut()
    assert disk.ledger.cursors()[0].acked == 0


def test_an_acknowledgement_that_the_disk_did_not_take_is_written_later(disk: Disk) -> None:
    hub = hub_on(disk, alarm=kept("alarm/#", size=ROOM), mail=ALL)
    alarm, mail = hub.join("alarm"), hub.join("mail", reads())
    hub.say(alarm, *(pub("alarm/x", n) for n in range(4)))
    messages = hub.read(mail)
    disk.fails = True
    hub.say(mail, ack(messages[-1]))
    disk.fails = False
    hub.say(alarm, pub("alarm/x", 5))
    assert hub.codes(alarm) == ["full"]
    hub.at(hub.now + BOUNDS.cursor_retry_msec)
    hub.say(alarm, pub("alarm/x", 5, id="p"))
    assert hub.read(alarm) == [{"type": "ack", "id": "p"}]


def test_what_was_acknowledged_before_another_connection_took_the_cursor_does_not_come_again(disk: Disk) -> None:
    hub = hub_on(disk)
    hub.say(hub.join("alarm"), *(pub("alarm/x", n) for n in range(3)))
    first, second = hub.join("mail"), hub.join("mail")
    hub.say(first, reads())
    messages = hub.read(first)
    disk.at_once = False
    hub.say(first, ack(messages[0]), ack(messages[1]))
    hub.say(second, reads())
    disk.work()
    assert hub.data(second) == [2]


def test_a_durable_value_that_is_refused_replaces_none(disk: Disk) -> None:
    rules = ModuleRules(
        publish=("#",),
        durable=Durable(patterns=("set/#",), size_max_bytes=150, age_max_msec=DAY_MSEC, full=WhenFull.REFUSE),
        retained=("set/#",),
    )
    hub = hub_on(disk, alarm=rules, mail=ALL)
    alarm = hub.join("alarm")
    hub.say(alarm, pub("set/heat", 21, retain=True), pub("set/heat", "x" * 300, retain=True))
    assert hub.codes(alarm) == ["too-large"]
    mail = hub.join("mail")
    hub.say(mail, {"type": "sub", "topic": "set/#"})
    assert hub.data(mail) == [21]
    disk.cut()
    assert [value.data for value in disk.ledger.retained()] == [b"21"]


def test_a_value_that_does_not_outlive_the_hub_needs_no_room_for_the_disk(disk: Disk) -> None:
    hub = hub_on(disk)
    alarm = hub.join("alarm")
    room = BOUNDS.queues_of_one_max_bytes - 900
    alarm.budget.has_room(room)
    alarm.budget.used += room
    hub.say(alarm, pub("wind", 3, retain=True, id="p"), pub("set/heat", 21, retain=True))
    assert [one.get("code", one["type"]) for one in hub.read(alarm)] == ["ack", "busy"]
    assert [value.topic for value in hub.router._publishing.retained.match("#")] == ["wind"]


def test_values_that_are_refused_take_no_place_of_others(disk: Disk) -> None:
    rules = ModuleRules(
        publish=("#",),
        durable=Durable(patterns=("set/#",), size_max_bytes=150, age_max_msec=DAY_MSEC, full=WhenFull.REFUSE),
        retained=("set/#",),
    )
    hub = hub_on(disk, alarm=rules)
    alarm = hub.join("alarm")
    hub.say(alarm, *(pub(f"set/{n}", "x" * 300, retain=True) for n in range(20)))
    assert hub.codes(alarm) == ["too-large"] * 20
    assert not hub.router.keeping._outliving


def test_so_many_values_are_on_disk(disk: Disk) -> None:
    hub = Hub(bounds=Bounds(retained_max=2), alarm=kept("alarm/#"))
    hub.router.keeping.store = disk
    alarm = hub.join("alarm")
    disk.at_once = False
    hub.say(alarm, *(pub(f"set/{n}", data, retain=True) for n in range(3) for data in (1, None)))
    assert hub.codes(alarm) == ["too-many"]
    disk.work()
    hub.say(alarm, pub("set/9", 1, retain=True, id="p"))
    disk.work()
    assert hub.read(alarm) == [{"type": "ack", "id": "p"}]


def test_a_removal_that_the_disk_did_not_take_is_not_taken_for_done(disk: Disk) -> None:
    hub = hub_on(disk)
    alarm = hub.join("alarm")
    hub.say(alarm, pub("set/heat", 21, retain=True))
    disk.fails = True
    for _ in range(2):
        hub.say(alarm, pub("set/heat", None, retain=True, id="p"))
        assert hub.codes(alarm) == ["disk"]
    disk.fails = False
    hub.say(alarm, pub("set/heat", None, retain=True, id="p"))
    assert hub.read(alarm) == [{"type": "ack", "id": "p"}]
    assert disk.ledger.retained() == []


def test_who_comes_again_is_charged_with_what_still_waits_for_the_disk(disk: Disk) -> None:
    hub = hub_on(disk, alarm=kept("alarm/#", size=1 << 30))
    disk.at_once = False
    for _ in range(3):
        alarm = hub.join("alarm")
        for _ in range(20):
            hub.say(alarm, pub("alarm/x", "x" * 200_000))
        hub.router.disconnect(alarm)
    assert sum(200_000 for _ in disk.waiting) <= BOUNDS.queues_of_one_max_bytes
    disk.work()
    alarm = hub.join("alarm")
    assert alarm.budget.used == 0


def test_durable_messages_do_not_pile_up_before_a_full_queue(disk: Disk) -> None:
    hub = hub_on(disk, alarm=kept("alarm/#", size=1 << 30), mail=ALL)
    alarm = hub.join("alarm")
    hub.join("mail", {"type": "sub", "topic": "alarm/#", "bound": "block", "queue_messages": 1})
    disk.at_once = False
    hub.say(alarm, *(pub("alarm/x", "x" * 100_000) for _ in range(20)))
    disk.work()
    waiting = [
        line for client in hub.router._core.clients for one in client.subscriptions.values() for line in one.waiting
    ]
    assert sum(len(one.line) for one in waiting) <= alarm.budget.used


def test_all_that_is_too_old_goes_and_the_file_gets_smaller(disk: Disk) -> None:
    durable = Durable(patterns=("#",), size_max_bytes=1 << 24, age_max_msec=DAY_MSEC, full=WhenFull.REFUSE)

    def fill(ledger: Ledger) -> None:
        for _ in range(2000):
            ledger.append("alarm", "alarm/x", b"x" * 1000, 1_600_000_000_000, durable)

    disk.ledger.transact([fill])
    disk.cut()
    before = disk.place.stat().st_size
    hub = hub_on(disk)
    hub.router.keeping.used = True
    hub.router.keeping.look()
    assert disk.ledger.logs()[0].messages == 0
    disk.ledger.transact([lambda ledger: ledger.forget("alarm")])
    disk.cut()
    assert disk.place.stat().st_size < before / 10


def test_a_will_is_kept(disk: Disk) -> None:
    hub = hub_on(disk)
    alarm = hub.join("alarm", {"type": "hello", "version": 1, "will": {"topic": "alarm/gone", "data": 1}})
    hub.router.disconnect(alarm)
    mail = hub.join("mail")
    hub.say(mail, reads())
    assert hub.data(mail) == [1]


def test_values_outlive_the_hub_where_the_manifest_says_so(disk: Disk) -> None:
    hub = hub_on(disk)
    alarm = hub.join("alarm")
    disk.at_once = False
    hub.say(alarm, pub("set/heat", 21, retain=True, id="p"), pub("wind", 3, retain=True))
    assert hub.read(alarm) == []
    disk.work()
    assert hub.read(alarm) == [{"type": "ack", "id": "p"}]
    disk.cut()
    disk.at_once = True
    hub = hub_on(disk)
    mail = hub.join("mail")
    hub.say(mail, {"type": "sub", "topic": "#"})
    (message,) = hub.read(mail)
    assert (message["topic"], message["data"], message["from"], message["retained"]) == ("set/heat", 21, "alarm", True)


@pytest.mark.parametrize("data", [None, 22])
def test_a_value_that_was_removed_or_replaced_by_another_does_not_come_again(disk: Disk, data: object) -> None:
    hub = hub_on(disk)
    hub.say(hub.join("alarm"), pub("set/heat", 21, retain=True))
    hub.say(hub.join(OPERATOR), pub("set/heat", data, retain=True))
    disk.cut()
    assert disk.ledger.retained() == []


def test_operators_see_what_is_kept_and_have_it_forgotten(disk: Disk) -> None:
    hub = hub_on(disk)
    hub.say(hub.join("alarm"), pub("alarm/x", 1), pub("set/heat", 21, retain=True))
    mail = hub.join("mail", reads())
    root = hub.join(ROOT)
    ask = {"type": "req", "topic": "$sys/durable", "id": "1", "data": None}
    hub.say(root, ask)
    (answer,) = hub.read(root)
    assert answer["data"]["logs"] == [
        {"publisher": "alarm", "messages": 1, "bytes": COST_BYTES + len("alarm/x") + 1, "dropped": 0}
    ]
    assert answer["data"]["cursors"] == [{"owner": "mail", "name": "c", "pattern": "alarm/#", "acked": 0, "left": 1}]
    for name in ("alarm", "mail"):
        hub.say(root, {**ask, "data": {"forget": name}})
        assert hub.read(root)[0]["data"] is None
    assert "in-use" in hub.codes(mail)
    hub.say(root, ask)
    assert hub.read(root)[0]["data"] == {"logs": [], "cursors": []}
    assert disk.ledger.retained() == []
    hub.say(mail, ask)
    assert hub.codes(mail) == ["denied"]
    hub.say(root, {**ask, "data": {"forget": 1}})
    assert hub.codes(root) == ["bad-member"]


def test_a_number_is_never_used_twice(disk: Disk) -> None:
    hub = hub_on(disk)
    hub.say(hub.join("alarm"), pub("alarm/x", 1))
    disk.ledger.transact([lambda ledger: ledger.forget("alarm")])
    disk.cut()
    hub = hub_on(disk)
    mail = hub.join("mail", reads())
    hub.say(hub.join("alarm"), pub("alarm/x", 2))
    assert [one["id"] for one in hub.read(mail) if one["type"] == "pub"] == ["d2"]


def test_many_messages_of_other_topics_are_passed_over(disk: Disk) -> None:
    durable = Durable(patterns=("#",), size_max_bytes=1 << 24, age_max_msec=DAY_MSEC, full=WhenFull.REFUSE)

    def fill(ledger: Ledger) -> None:
        for n in range(3000):
            ledger.append("noise", "noise", b"%d" % n, 1_700_000_000_000, durable)
        ledger.append("alarm", "alarm/x", b"1", 1_700_000_000_000, durable)

    disk.ledger.transact([fill])
    hub = hub_on(disk)
    mail = hub.join("mail")
    hub.say(mail, reads())
    assert hub.data(mail) == [1]


def test_a_database_of_another_version_or_none_at_all_is_left_as_it_is(tmp_path: Path) -> None:
    place = tmp_path / "link.db"
    with closing(sqlite3.connect(place)) as other:
        other.execute("pragma user_version=7")
    before = place.read_bytes()
    with pytest.raises(LinkError, match="version 7") as raised:
        Ledger(place, BOUNDS)
    assert raised.value.code is Code.DISK
    assert place.read_bytes() == before
    place.write_bytes(b"no database at all" * 1000)
    with pytest.raises(LinkError, match="not a database"):
        Ledger(place, BOUNDS)
    assert place.read_bytes() == b"no database at all" * 1000


def test_a_durable_topic_is_asked_for_each_time(disk: Disk) -> None:
    """Also where the same beginning of a line was read before."""
    hub = hub_on(disk)
    mail = hub.join("mail")
    hub.say(hub.join(module("alarm")), *(b'{"topic":"alarm/x","data":%d}' % n for n in range(3)))
    hub.say(mail, reads())
    assert hub.data(mail) == [0, 1, 2]
