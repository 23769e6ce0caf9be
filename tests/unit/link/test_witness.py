from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from aurora.link import witness
from aurora.link.bounds import Bounds
from aurora.link.client import LinkClient
from aurora.link.connection import LAST_WORDS_SEC
from aurora.link.witness import LinkWitness

from .served import DEADLINE_SEC, Served
from .talking import ROOT, kept, module

READER = "reader"
"""The module that is down."""


class Machine:
    """A hub, and who is to count; all connect as whom the test says next."""

    def __init__(self, place: Path, **more: Bounds) -> None:
        self.hub = Served(place, ROOT, alarm=kept("alarm/#"), **more)  # type: ignore[arg-type]  # bounds alone
        self.durable: dict[str, Sequence[str]] = {}
        self.witness = LinkWitness(lambda: dict(self.durable), lambda: self.client())
        self.count: Callable[[], int | str]

    def client(self, name: str = "") -> LinkClient:
        self.hub._peers[:] = [module(name) if name else ROOT]
        return LinkClient(self.hub.place, timeout_sec=DEADLINE_SEC)

    def goes_down(self, *patterns: str) -> None:
        """From here on it is counted."""
        self.count = self.witness(READER, patterns).end


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    one = Machine(tmp_path)
    with one.hub:
        yield one


def test_what_is_published_meanwhile_is_counted_once_and_nothing_else(machine: Machine) -> None:
    with machine.client("weather") as weather:
        weather.publish("site/wind", 1)
        weather.publish("site/was", 1, retain=True)
        machine.goes_down("site/+", "site/wind", "lamp")
        for number in range(5):
            weather.publish("site/wind", number)
        weather.publish("lamp", "on")
        weather.publish("elsewhere", "on")
        assert machine.count() == 6
        weather.publish("site/wind", 6)
        machine.goes_down("site/+")
        assert machine.count() == 0


def test_all_that_came_before_the_end_counts_however_much_waits(machine: Machine) -> None:
    with machine.client("weather") as weather:
        machine.goes_down("site/#")
        for number in range(5_000):
            weather.send({"topic": "site/wind", "data": number})
        weather.publish("site/wind", 5_000)
        assert machine.count() == 5_001


def test_what_it_sends_itself_and_what_the_hub_tells_of_itself_is_not_missed(machine: Machine) -> None:
    machine.goes_down("#", "$sys/#")
    with machine.client(READER) as reader:
        reader.publish("site/reader", "going")
    assert machine.count() == 0


def test_of_what_is_retained_the_newest_value_is_given_to_it_and_the_others_are_lost(machine: Machine) -> None:
    with machine.client("weather") as weather:
        weather.publish("site/temp", 0, retain=True)
        machine.goes_down("site/#", "site/temp")
        for number in range(3):
            weather.publish("site/temp", number, retain=True)
        weather.publish("site/wind", 1, retain=True)
        weather.publish("site/wind", None, retain=True)
        assert machine.count() == 2 + 2


def test_beyond_so_many_topics_what_is_retained_counts_as_lost(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witness, "TOPICS_MAX", 2)
    with machine.client("weather") as weather:
        machine.goes_down("site/#")
        for number in range(3):
            weather.publish(f"site/{number}", number, retain=True)
        assert machine.count() == 1


@pytest.mark.parametrize(
    ("cursor", "publisher", "lost"),
    [("alarm/+", "alarm", 0), ("alarm/smoke", "alarm", 2), ("", "alarm", 2), ("alarm/+", "weather", 2)],
    ids=["held", "a cursor for something else", "no cursor", "of one for whom it is not durable"],
)
def test_what_is_on_disk_is_held_for_one_that_has_a_cursor(
    machine: Machine, tmp_path: Path, cursor: str, publisher: str, lost: int
) -> None:
    machine.durable["alarm"] = ("alarm/#",)
    with machine.hub.disk(tmp_path):
        if cursor:
            with machine.client(READER) as reader:
                reader.subscribe(cursor, cursor="mine")
        with machine.client(publisher) as one:
            machine.goes_down("alarm/#")
            one.publish("alarm/fire", 1)
            one.publish("alarm/fire", 2)
            assert machine.count() == lost


def test_what_is_not_durable_any_more_in_the_end_is_not_taken_for_held(machine: Machine, tmp_path: Path) -> None:
    machine.durable["alarm"] = ("alarm/#",)
    with machine.hub.disk(tmp_path):
        with machine.client(READER) as reader:
            reader.subscribe("alarm/#", cursor="mine")
        with machine.client("alarm") as alarm:
            machine.goes_down("alarm/#")
            alarm.publish("alarm/fire", 1)
            machine.durable.clear()
            assert machine.count() == 1


def test_a_cursor_of_somebody_elses_holds_nothing(machine: Machine, tmp_path: Path) -> None:
    machine.durable["alarm"] = ("alarm/#",)
    with machine.hub.disk(tmp_path):
        with machine.client() as root:
            root.subscribe("alarm/#", cursor="mine")
        with machine.client("alarm") as alarm:
            machine.goes_down("alarm/#")
            alarm.publish("alarm/fire", 1)
            assert machine.count() == 1


def test_what_is_retained_counts_where_that_cannot_be_read(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    with machine.client("weather") as weather:
        machine.goes_down("site/#")
        weather.publish("site/temp", 1, retain=True)
        monkeypatch.setattr(Machine, "client", lambda _self: LinkClient("/none", timeout_sec=1))
        assert machine.count() == 1


def test_a_hub_that_is_restarted_meanwhile_goes_on_with_it(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    with machine.hub:
        weather = machine.client("weather")
        machine.goes_down("site/#")
        weather.publish("site/wind", 1)
        left = machine.hub.hand_over()
    Path(machine.hub.place).unlink()
    with Served(tmp_path, ROOT, left=left), weather:
        weather.publish("site/wind", 2)
        assert machine.count() == 2


# What is not known


def test_where_nothing_listens_it_is_not_known_and_tried_once(tmp_path: Path) -> None:
    tried = []

    def nobody() -> LinkClient:
        tried.append(1)
        return LinkClient(str(tmp_path / "none"), timeout_sec=1)

    count = LinkWitness(dict, nobody)
    assert [count(name, ["site/#"]).end() for name in ("a", "b")] == ["nothing listens there"] * 2
    assert len(tried) == 1


def test_where_the_hub_goes_meanwhile_it_is_not_known(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    with machine.hub:
        machine.goes_down("site/#")
    assert machine.count() == "it ended the connection"


def test_where_the_hub_is_another_one_in_the_end_it_is_not_known(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    with machine.hub:
        machine.goes_down("site/#")
    Path(machine.hub.place).unlink()
    machine.hub = Served(tmp_path, ROOT)
    with machine.hub:
        assert machine.count() == "it ended the connection"


def test_one_that_does_not_keep_up_is_cut_off_and_says_so_and_no_publisher_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = threading.Event()
    machine = Machine(tmp_path)
    monkeypatch.setattr(witness._Reading, "_see", lambda _self, _message: reads.wait(DEADLINE_SEC))
    with machine.hub, machine.client("weather") as weather:
        machine.goes_down("site/#")
        for _ in range(40):
            weather.publish("site/wind", "x" * 100_000)  # acknowledged, each
        reads.set()
        said = machine.count()
    assert isinstance(said, str)
    assert "its queue for 'site/#' is full" in said


def test_what_cannot_be_read_out_in_time_is_not_known(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = threading.Event()
    monkeypatch.setattr(witness, "READ_OUT_SEC", 0.05)
    monkeypatch.setattr(witness._Reading, "_see", lambda _self, _message: reads.wait(DEADLINE_SEC))
    with machine.client("weather") as weather:
        machine.goes_down("site/#")
        weather.publish("site/wind", 1)
        assert machine.count() == "more was published than could be read out in 0.05 s"
    reads.set()


def test_it_gives_up_before_the_hub_would_cut_it_off() -> None:
    assert witness.READ_OUT_SEC < LAST_WORDS_SEC


def test_what_the_group_of_older_clients_says_is_not_counted(machine: Machine) -> None:
    machine.goes_down("site/#", "$broadcast")
    assert machine.count() == "what older clients send to their group is seen by that group alone"


def test_more_patterns_than_a_connection_may_have_are_not_known(machine: Machine) -> None:
    machine.goes_down(*(f"site/{number}" for number in range(Bounds().subscriptions_of_one_max + 1)))
    said = machine.count()
    assert isinstance(said, str)
    assert "the connection has as many subscriptions as it may" in said


def test_when_there_is_no_thread_to_be_had_it_is_not_known(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none)
    machine.goes_down("site/#")
    assert machine.count() == "can't start new thread"
