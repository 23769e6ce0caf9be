"""What an update records of messages that modules missed, with somebody who counts as the test says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace

import pytest

from aurora.errors import HostError
from aurora.plan.update import End, Transaction
from aurora.runtime import watch
from aurora.runtime.apply import apply
from aurora.runtime.control import stop
from aurora.runtime.install import install_folder
from aurora.runtime.missed import durable_topics
from aurora.runtime.update import Source, confirm, roll_back, update
from aurora.runtime.updates import open_transaction, read_transactions
from tests.unit.runtime.rig import BAD, GOOD, Rig

LINK = '[link]\nsubscribe = ["site/#", "lamp"]\n'
UNWATCHED = '[update]\nwindow = "0s"\n'


class Counter:
    """Says what it is told to; what it was asked stands in `events`, with what ran then."""

    def __init__(self, rig: Rig, *says: int | str) -> None:
        self.rig = rig
        self.says = list(says)
        self.events: list[tuple[str, str, dict[str, str]]] = []
        self.patterns: list[Sequence[str]] = []

    def __call__(self, module: str, patterns: Sequence[str]) -> Ending:
        self.patterns.append(patterns)
        self.events.append(("begin", module, self.rig.running))
        return Ending(self, module)


class Ending:
    def __init__(self, counter: Counter, module: str) -> None:
        self.counter = counter
        self.module = module

    def end(self) -> int | str:
        self.counter.events.append(("end", self.module, self.counter.rig.running))
        return self.counter.says.pop(0)


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def attempt(rig: Rig, told: list[str]) -> Callable[..., Transaction | None]:
    def run(
        counter: Counter | None, *modules: str, program: str = GOOD, more: str = LINK, **others: Callable[[], None]
    ) -> Transaction | None:
        folders = [rig.module(name=name, version="2", program=program, more=UNWATCHED + more) for name in modules]
        sources = [Source(folder, str(folder), "folder") for folder in folders]
        return update(
            rig.paths, rig.systemd, sources, accept=True, window_usec=None, tell=told.append, witness=counter, **others
        )

    return run


def install(rig: Rig, name: str = "hello", more: str = LINK) -> None:
    install_folder(rig.paths, rig.systemd, rig.module(name=name, more=UNWATCHED + more), start=True)


def lost(one: Transaction | None) -> dict[str, int | None]:
    assert one is not None
    return {move.module: move.messages_lost for move in one.moves}


def test_it_is_counted_from_before_it_is_stopped_until_it_is_up_and_written_down(
    rig: Rig, attempt: Callable[..., Transaction]
) -> None:
    install(rig)
    counter = Counter(rig, 7)
    one = attempt(counter, "hello")
    assert (one.end, lost(one)) == (End.UPDATED, {"hello": 7})
    assert counter.events == [("begin", "hello", {"hello": "1"}), ("end", "hello", {"hello": "2"})]
    assert counter.patterns == [("site/#", "lamp")]
    assert read_transactions(rig.paths)[0] == [one]


def test_the_patterns_are_those_of_the_version_that_ran(rig: Rig, attempt: Callable[..., Transaction]) -> None:
    install(rig)
    counter = Counter(rig, 1)
    attempt(counter, "hello", more='[link]\nsubscribe = ["other"]\n')
    assert counter.patterns == [("site/#", "lamp")]


def test_of_one_that_cannot_miss_anything_nothing_is_counted(rig: Rig, attempt: Callable[..., Transaction]) -> None:
    install(rig, "deaf", '[link]\npublish = ["site/#"]\n')
    install(rig, "mute", "")
    install(rig, "down")
    stop(rig.paths, rig.systemd, ["down"])
    counter = Counter(rig)
    assert lost(attempt(counter, "deaf", "mute", "down")) == {"deaf": 0, "mute": 0, "down": 0}
    assert counter.events == []


def test_going_back_counts_as_well(rig: Rig, attempt: Callable[..., Transaction]) -> None:
    install(rig, "a")
    install(rig, "b")
    counter = Counter(rig, 3, 4)
    one = attempt(counter, "a", "b", program=BAD)
    assert (one.end, lost(one)) == (End.ROLLED_BACK, {"a": 3, "b": 4})
    assert [event[:2] for event in counter.events] == [("begin", "a"), ("begin", "b"), ("end", "a"), ("end", "b")]
    assert counter.events[-1][2] == {"a": "1", "b": "1"}, "one that did not come up is counted until it did"


def test_one_that_was_up_and_goes_back_was_down_twice(
    rig: Rig, attempt: Callable[..., Transaction], monkeypatch: pytest.MonkeyPatch
) -> None:
    install(rig)
    monkeypatch.setattr("aurora.runtime.transaction.observe", lambda *_a, **_k: {"hello": ("it sulks",)})
    counter = Counter(rig, 3, 4)
    one = attempt(counter, "hello")
    assert lost(one) == {"hello": 7}
    assert [event[0] for event in counter.events] == ["begin", "end", "begin", "end"]


def test_one_whose_state_is_copied_is_counted_from_when_it_is_stopped_for_that(
    rig: Rig, attempt: Callable[..., Transaction], monkeypatch: pytest.MonkeyPatch
) -> None:
    install(rig)
    seen = []
    monkeypatch.setattr(
        "aurora.runtime.transaction.keep_state", lambda *_: seen.append(list(counter.events)) or ["hello"]
    )
    counter = Counter(rig, 9)
    more = LINK + '[directories]\nstate = true\n[update]\nwindow = "0s"\nsnapshot = true\n'
    monkeypatch.setattr("tests.unit.runtime.test_missed.UNWATCHED", "")
    assert lost(attempt(counter, "hello", more=more)) == {"hello": 9}
    assert [event[:2] for event in seen[0]] == [("begin", "hello")]
    assert [event[0] for event in counter.events] == ["begin", "end"]


def test_what_is_not_known_is_told_and_never_a_number(
    rig: Rig, attempt: Callable[..., Transaction], told: list[str]
) -> None:
    install(rig)
    one = attempt(Counter(rig, "the hub went away"), "hello")
    assert (one.end, lost(one)) == (End.UPDATED, {"hello": None})
    assert told == ["how many messages hello missed is not known: the hub went away"]


def test_a_part_that_is_not_known_makes_the_sum_so(
    rig: Rig, attempt: Callable[..., Transaction], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aurora.runtime.transaction.observe", lambda *_a, **_k: {"hello": ("it sulks",)})
    for says in ((3, "gone"), ("gone", 3)):
        install(rig)
        assert lost(attempt(Counter(rig, *says), "hello")) == {"hello": None}


def test_where_nobody_counts_it_is_not_known(rig: Rig, attempt: Callable[..., Transaction]) -> None:
    install(rig)
    assert lost(attempt(None, "hello")) == {"hello": None}


def test_one_that_does_not_come_up_any_more_is_counted_until_the_end(
    rig: Rig, attempt: Callable[..., Transaction]
) -> None:
    install(rig)
    rig.rewrite(BAD)
    counter = Counter(rig, 5)
    one = attempt(counter, "hello", program=BAD)
    assert (one.end, lost(one)) == (End.NOT_WELL, {"hello": 5})
    assert counter.events[-1] == ("end", "hello", {})


def test_an_update_that_is_given_up_costs_no_message(rig: Rig, attempt: Callable[..., Transaction]) -> None:
    install(rig)

    def apt() -> None:
        raise HostError("apt-get install", "it ended with status 100")

    with pytest.raises(HostError):
        attempt(Counter(rig), "hello", packages=apt)
    (one,) = read_transactions(rig.paths)[0]
    assert (one.end, lost(one)) == (End.GIVEN_UP, {"hello": 0})


class GoneError(BaseException):
    """The command was killed."""


@pytest.mark.parametrize("rebooted", [False, True])
def test_of_an_update_that_was_interrupted_it_is_not_known(
    rig: Rig, attempt: Callable[..., Transaction], monkeypatch: pytest.MonkeyPatch, *, rebooted: bool
) -> None:
    install(rig)

    def killed(*_a: object, **_k: object) -> None:
        raise GoneError

    with monkeypatch.context() as patch:
        patch.setattr("aurora.runtime.transaction.observe", killed)
        with pytest.raises(GoneError):
            attempt(Counter(rig, 3), "hello")
    assert lost(open_transaction(rig.paths)) == {"hello": None}
    if rebooted:
        rig.reboot()
    assert lost(apply(rig.paths, rig.systemd).resumed) == {"hello": None}


@pytest.mark.parametrize(("word", "end", "count"), [("confirm", End.UPDATED, 3), ("roll back", End.ROLLED_BACK, 7)])
def test_its_owners_word_meanwhile_loses_no_count(
    rig: Rig, attempt: Callable[..., Transaction], monkeypatch: pytest.MonkeyPatch, word: str, end: End, count: int
) -> None:
    install(rig)

    now_sec = [0.0]

    def pause(seconds: float) -> None:
        now_sec[0] += seconds
        if now_sec[0] > 5:
            return
        if word == "confirm":
            confirm(rig.paths, "hello")
        elif rig.running == {"hello": "2"}:
            roll_back(rig.paths, rig.systemd, "hello", tell=lambda _words: None)

    monkeypatch.setattr(watch, "pause", pause)
    monkeypatch.setattr(watch, "time", SimpleNamespace(monotonic=lambda: now_sec[0]))
    monkeypatch.setattr("tests.unit.runtime.test_missed.UNWATCHED", '[update]\nwindow = "9s"\n')
    one = attempt(Counter(rig, 3, 4), "hello")
    assert (one.end, lost(one)) == (end, {"hello": count})
    assert read_transactions(rig.paths)[0] == [one]


def test_going_back_by_its_owners_command_is_counted(rig: Rig, attempt: Callable[..., Transaction]) -> None:
    install(rig)
    attempt(Counter(rig, 3), "hello")
    one = roll_back(rig.paths, rig.systemd, "hello", tell=lambda _words: None, witness=Counter(rig, 6))
    assert lost(one) == {"hello": 6}


def test_who_signed_a_version_is_written_down_with_it(rig: Rig, told: list[str]) -> None:
    install(rig)
    source = Source(rig.module(version="2", more=UNWATCHED), "./hello", "folder", ("ann", "bob"))
    one = update(rig.paths, rig.systemd, [source], accept=True, window_usec=0, tell=told.append)
    assert one is not None
    assert one.moves[0].signed_by == ("ann", "bob")
    assert read_transactions(rig.paths)[0] == [one]
    back = roll_back(rig.paths, rig.systemd, "hello", tell=told.append)
    assert back is not None
    assert back.moves[0].signed_by == (), "it came from no package"


def test_topics_that_are_kept_on_disk_are_those_that_systemd_holds_a_publisher_of(rig: Rig) -> None:
    assert durable_topics(rig.paths) == {}
    install(rig, "alarm", '[link]\npublish = ["alarm/#"]\ndurable = ["alarm/#"]\n')
    install(rig)
    (rig.paths.link_rules / "odd.json").write_text("{")
    assert durable_topics(rig.paths) == {"alarm": ("alarm/#",)}


def test_a_transaction_of_an_older_core_can_be_read(rig: Rig, attempt: Callable[..., Transaction]) -> None:
    install(rig)
    one = attempt(Counter(rig, 3), "hello")
    file = rig.paths.updates / f"{one.id}.json"
    document = file.read_text()
    for line in ('   "signed_by": [],\n', '   "messages_lost": 3\n'):
        assert line in document
        document = document.replace(line, "")
    file.write_text(document.replace('"snapshot": false,', '"snapshot": false'))
    found, problems = read_transactions(rig.paths)
    assert problems == []
    (move,) = one.moves
    assert found == [replace(one, moves=(replace(move, messages_lost=None),))]
