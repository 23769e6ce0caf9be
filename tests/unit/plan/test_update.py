"""The model of an update, walked through whole: every order of act, failure, kill, power cut and retry.

A world is all that counts: the transaction's file, what each slot holds, which slot is active, what runs, and what is
known of versions. From each world every thing that can happen next is done, until no new world is found.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from aurora.plan.update import (
    COURSES,
    MOVES_MAX,
    REASON_MAX_CHARS,
    TRANSACTION_MAX_BYTES,
    UNDO,
    WORD_MAX_CHARS,
    WORDS_MAX,
    Act,
    Course,
    End,
    Kind,
    Move,
    State,
    Transaction,
    Version,
    may_try,
    moved,
    resumed,
    stepped,
)

OLD, NEW, BROKEN = "old", "new", "half written"
MODULES = 2
EACH = frozenset({Act.STAGE, Act.DROP, Act.KEEP_STATE, Act.PUT_STATE_BACK, Act.DROP_STATE, Act.SWAP, Act.SWAP_BACK})
"""Acts that are done module by module, with a kill possible between any two; stage also amid one."""
MAY_FAIL = frozenset({Act.STAGE, Act.KEEP_STATE, Act.SWAP, Act.RESTART, Act.OBSERVE})


@dataclass(frozen=True, kw_only=True)
class World:
    """The machine, and the command that is at work on it, if one is."""

    state: State = State.NONE
    """In the transaction's file."""
    slots: tuple[tuple[str, str], ...] = ((OLD, ""),) * MODULES
    """Of each module, what slots a and b hold."""
    active: tuple[int, ...] = (0,) * MODULES
    before: int = 0
    """The slot that was active when the transaction was begun."""
    running: tuple[str, ...] = (OLD,) * MODULES
    """Of each module the version that runs; empty when none does."""
    stored: tuple[str, ...] = (OLD,) * MODULES
    """Of each module the version that its state was last made by."""
    copies: tuple[str, ...] = ("",) * MODULES
    """Of each module the copy of its state, if there is one: only a whole one is seen."""
    mixed: bool = False
    """Whether the old version has run on what another one made of its state."""
    refused: frozenset[str] = frozenset()
    tried: int = 0
    """How often the new version was tried since it is refused, and by whom: 1 its owner, 2 nobody."""
    pending: tuple[tuple[Act, int], ...] | None = None
    """What the command at work has left to do; None: no command is at work."""
    then: State = State.NONE

    @property
    def versions(self) -> tuple[str, ...]:
        return tuple(slots[at] for slots, at in zip(self.slots, self.active, strict=True))


def acts_of(course: Course) -> tuple[tuple[Act, int], ...]:
    found: list[tuple[Act, int]] = []
    for act in course.acts:
        found += [(act, at) for at in range(MODULES)] if act in EACH else [(act, -1)]
    return tuple(found)


def begun(world: World) -> World:
    """Somebody wants the new version: the file is written, and a command is at work."""
    course = COURSES[State.STAGED]
    return replace(world, state=State.STAGED, before=world.active[0], pending=acts_of(course), then=course.then)


def put[Item](items: tuple[Item, ...], at: int, item: Item) -> tuple[Item, ...]:
    return (*items[:at], item, *items[at + 1 :])


def done(world: World, act: Act, at: int) -> World:
    """The world after an act."""
    idle = 1 - world.before
    if act in (Act.STAGE, Act.DROP):
        content = NEW if act is Act.STAGE else ""
        return replace(world, slots=put(world.slots, at, put(world.slots[at], idle, content)))
    if act in (Act.SWAP, Act.SWAP_BACK):
        return replace(world, active=put(world.active, at, idle if act is Act.SWAP else world.before))
    if act is Act.KEEP_STATE:
        kept = put(world.copies, at, world.stored[at])
        return replace(world, running=put(world.running, at, ""), copies=kept)
    if act is Act.PUT_STATE_BACK:
        if not world.copies[at]:
            return world
        stored = put(world.stored, at, world.copies[at])
        return replace(world, running=put(world.running, at, ""), stored=stored, copies=put(world.copies, at, ""))
    if act is Act.DROP_STATE:
        return replace(world, copies=put(world.copies, at, ""))
    if act is Act.RESTART:
        return started(world)
    if act is Act.REFUSE:
        return replace(world, refused=world.refused | {NEW})
    if act is Act.KEEP:
        return replace(world, refused=world.refused - {NEW})
    return world


def started(world: World) -> World:
    """What counts runs, and stores."""
    pairs = list(zip(world.versions, world.stored, strict=True))
    mixed = world.mixed or any(version == OLD != stored for version, stored in pairs)
    stored = tuple(NEW if version == NEW else was for version, was in pairs)
    return replace(world, running=world.versions, stored=stored, mixed=mixed)


def stepping(world: World) -> World:
    """The command at work writes the next state, and goes on if there is one."""
    state = world.then
    assert state in (COURSES[world.state].then, resumed(world.state).then)
    if state is State.NONE:
        return replace(world, state=state, pending=None)
    course = COURSES[state]
    return replace(world, state=state, pending=acts_of(course), then=course.then)


def found_so(world: World) -> World:
    """Somebody finds the transaction and takes it up, or its own command does after a failure."""
    course = resumed(world.state)
    return replace(world, pending=acts_of(course), then=course.then)


def nexts(world: World) -> Iterator[tuple[str, World]]:
    """Everything that can happen."""
    if world.pending is not None:
        yield "kill", replace(world, pending=None)
        if world.pending:
            (act, at), rest = world.pending[0], world.pending[1:]
            yield f"{act} {at}", replace(done(world, act, at), pending=rest)
            if act is Act.STAGE:
                half = put(world.slots, at, put(world.slots[at], 1 - world.before, BROKEN))
                yield "kill amid stage", replace(world, slots=half, pending=None)
            if act is Act.KEEP_STATE:
                yield "kill amid keep state", replace(world, running=put(world.running, at, ""), pending=None)
            if act is Act.PUT_STATE_BACK and world.copies[at]:
                broken = put(world.stored, at, BROKEN)
                yield "kill amid put state back", replace(world, stored=broken, pending=None)
            if act is Act.RESTART:
                yield "kill amid restart", replace(started(world), running=("",) * MODULES, pending=None)
            if act in MAY_FAIL and world.state in (State.STAGED, State.TRYING):
                yield f"{act} {at} fails", found_so(world)
            if act in (Act.RESTART, Act.OBSERVE) and world.state is State.ROLLING_BACK:
                yield f"{act} fails", replace(world, pending=rest)
        else:
            yield "write", stepping(world)
    elif world.state is not State.NONE:
        yield "resume", found_so(world)
        yield "owner resumes again and again", found_so(found_so(world))
    elif world.versions != (NEW,) * MODULES:
        if may_try(NEW, world.refused, held=False, owner=True):
            yield "owner tries", replace(begun(world), tried=1 if NEW in world.refused else 0)
        if may_try(NEW, world.refused, held=False, owner=False):
            yield "tried by itself", replace(begun(world), tried=2 if NEW in world.refused else 0)
    if world.pending is None:
        yield "power cut", replace(world, running=("",) * MODULES)
        if world.state is State.NONE:
            yield "start what counts", started(world)
    else:
        yield "power cut", replace(world, running=("",) * MODULES, pending=None)


def all_worlds() -> dict[World, list[tuple[str, World]]]:
    found: dict[World, list[tuple[str, World]]] = {}
    pending = [World()]
    while pending:
        world = pending.pop()
        if world not in found:
            found[world] = list(nexts(world))
            pending += [following for _, following in found[world]]
    return found


@pytest.fixture(scope="module")
def worlds() -> dict[World, list[tuple[str, World]]]:
    return all_worlds()


def test_the_walk_goes_everywhere(worlds: dict[World, list[tuple[str, World]]]) -> None:
    assert {world.state for world in worlds} == set(State)
    assert len(worlds) > 200
    happened = {name for following in worlds.values() for name, _ in following}
    assert {str(act) for act in Act} <= {name.partition(" -1")[0].rstrip(" 01") for name in happened}
    ends = {world.versions for world in worlds if world.state is State.NONE}
    assert ends == {(OLD,) * MODULES, (NEW,) * MODULES}


def test_what_is_active_is_always_one_whole_version(worlds: dict[World, list[tuple[str, World]]]) -> None:
    for world in worlds:
        assert set(world.versions) <= {OLD, NEW}, world
        assert set(world.running) <= {OLD, NEW, ""}, world


def test_an_idle_slot_alone_is_written(worlds: dict[World, list[tuple[str, World]]]) -> None:
    for world, following in worlds.items():
        for name, after in following:
            for at in range(MODULES):
                active = world.active[at]
                if "swap" not in name:
                    assert after.slots[at][active] == world.slots[at][active], (name, world)


def test_all_or_none_once_nothing_is_open(worlds: dict[World, list[tuple[str, World]]]) -> None:
    for world in worlds:
        if world.state in (State.NONE, State.STAGED, State.CONFIRMED):
            assert len(set(world.versions)) == 1, world


def test_every_interruption_ends_in_one_of_the_two_with_no_more_than_resuming(
    worlds: dict[World, list[tuple[str, World]]],
) -> None:
    for world in worlds:
        if world.state is State.NONE or world.pending is not None:
            continue
        begin = world
        now = found_so(world)
        for _ in range(40):
            if now.pending is None:
                break
            ((act, at), *rest) = now.pending or [(None, 0)]
            now = stepping(now) if act is None else replace(done(now, act, at), pending=tuple(rest))
        assert now.state is State.NONE, begin
        expected = NEW if begin.state is State.CONFIRMED else OLD
        assert now.versions == (expected,) * MODULES, begin
        if begin.state in (State.TRYING, State.ROLLING_BACK):
            assert now.running == now.versions
            assert NEW in now.refused


def test_no_version_runs_on_what_another_one_made_of_its_state(worlds: dict[World, list[tuple[str, World]]]) -> None:
    assert any(world.stored == (BROKEN, NEW) for world in worlds), "it was interrupted while it was put back"
    for world in worlds:
        assert not world.mixed, world
        if world.state is State.NONE:
            assert world.stored == world.versions, world
            assert world.copies == ("",) * MODULES, world


def test_a_refused_version_is_never_tried_by_itself(worlds: dict[World, list[tuple[str, World]]]) -> None:
    assert any(world.tried == 1 for world in worlds), "its owner did try it again"
    assert not any(world.tried == 2 for world in worlds)


def test_a_version_that_was_tried_and_is_not_active_is_refused(worlds: dict[World, list[tuple[str, World]]]) -> None:
    for world, following in worlds.items():
        for _, after in following:
            if world.state is State.ROLLING_BACK and after.state is State.NONE:
                assert NEW in after.refused
            if world.state is State.CONFIRMED and after.state is State.NONE:
                assert NEW not in after.refused


def test_doing_an_act_again_changes_nothing(worlds: dict[World, list[tuple[str, World]]]) -> None:
    for world in worlds:
        for act, at in world.pending or ():
            once = done(world, act, at)
            assert done(once, act, at) == once


def test_every_act_that_changes_what_counts_has_its_undo() -> None:
    one = begun(World())
    staged = done(one, Act.STAGE, 0)
    assert done(staged, UNDO[Act.STAGE], 0) == one
    swapped = done(staged, Act.SWAP, 0)
    assert done(swapped, UNDO[Act.SWAP], 0) == staged
    down = replace(staged, running=("", OLD))
    assert done(done(staged, Act.KEEP_STATE, 0), UNDO[Act.KEEP_STATE], 0) == down
    assert done(done(swapped, UNDO[Act.SWAP], 0), UNDO[Act.SWAP_BACK], 0) == swapped
    restarted = done(done(done(staged, Act.KEEP_STATE, 0), Act.SWAP, 0), Act.RESTART, -1)
    assert (restarted.running, restarted.stored) == ((NEW, OLD), (NEW, OLD))
    back = done(done(restarted, UNDO[Act.SWAP], 0), UNDO[Act.KEEP_STATE], 0)
    assert done(back, UNDO[Act.RESTART], -1) == staged
    assert {act for act in Act if act not in UNDO} == {
        Act.DROP,
        Act.PUT_STATE_BACK,
        Act.DROP_STATE,
        Act.OBSERVE,
        Act.REFUSE,
        Act.KEEP,
    }


# The transaction's file


def version(text: str, slot: str) -> Version:
    return Version(version=text, description="Says hello", slot=slot, digest=text * 64)


def transaction(state: State = State.STAGED) -> Transaction:
    move = Move(module="hello", before=version("1", "a"), after=version("2", "b"), up=True, permissions=("more",))
    return Transaction(
        id="1-ab", kind=Kind.UPDATE, state=state, moves=(move,), beside=("other",), window_usec=1, begun_usec=2
    )


def test_a_transaction_is_read_back_as_it_was_written() -> None:
    one = replace(transaction(), state=State.ROLLING_BACK, why="it failed", down_usec=3)
    assert Transaction.from_json(json.loads(json.dumps(one.to_json()))) == one


def test_what_a_later_core_wrote_into_it_is_passed_over() -> None:
    document = json.loads(json.dumps(transaction().to_json()))
    move = document["moves"][0]
    for table in (document, move, move["before"], move["after"]):
        table["mood"] = "good"
    assert Transaction.from_json(document) == transaction()


@pytest.mark.parametrize(
    "wrong",
    [{}, {"state": "odd"}, {"kind": "odd"}, {"moves": "x"}, {"moves": [{"before": 1}]}, {"beside": None}],
)
def test_anything_else_is_not_a_transaction(wrong: dict[str, object]) -> None:
    document = {**transaction().to_json(), **wrong} if wrong else {}
    with pytest.raises((KeyError, TypeError, ValueError)):
        Transaction.from_json(document)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("target", State)
def test_there_are_no_other_ways_than_those_of_the_table(state: State, target: State) -> None:
    ways = {
        (State.STAGED, State.TRYING): End.OPEN,
        (State.STAGED, State.NONE): End.GIVEN_UP,
        (State.TRYING, State.CONFIRMED): End.OPEN,
        (State.TRYING, State.ROLLING_BACK): End.OPEN,
        (State.CONFIRMED, State.NONE): End.UPDATED,
        (State.ROLLING_BACK, State.NONE): End.ROLLED_BACK,
    }
    if (state, target) not in ways:
        with pytest.raises(ValueError, match="no way leads"):
            stepped(transaction(state), target, now_usec=5)
        return
    after = stepped(transaction(state), target, now_usec=5)
    assert (after.state, after.end) == (target, ways[state, target])
    assert after.ended_usec == (0 if target is not State.NONE else 5)


def test_nothing_is_resumed_that_has_ended() -> None:
    with pytest.raises(ValueError, match="it has ended"):
        resumed(State.NONE)


def test_the_first_reason_is_kept_and_a_bad_end_adds_its_own() -> None:
    back = stepped(transaction(State.TRYING), State.ROLLING_BACK, now_usec=1, why="it failed")
    assert stepped(back, State.NONE, now_usec=2, why="odd").why == "it failed"
    bad = stepped(back, State.NONE, now_usec=2, why="it failed too", well=False)
    assert (bad.end, bad.why) == (End.NOT_WELL, "it failed; and the version before: it failed too")
    assert (
        len(stepped(transaction(State.TRYING), State.ROLLING_BACK, now_usec=1, why="x" * 9999).why) == REASON_MAX_CHARS
    )


def test_the_largest_transaction_is_within_its_bound() -> None:
    words = ("\xe9" * WORD_MAX_CHARS,) * WORDS_MAX
    whole = Version(version="1" * 128, description="\xe9" * 512, slot="a", digest="0" * 64)
    moves = (Move(module="m" * 48, before=whole, after=whole, up=True, permissions=words),) * MOVES_MAX
    largest = replace(transaction(), moves=moves, beside=("m" * 48,) * 4096, why="\xe9" * REASON_MAX_CHARS)
    assert len(json.dumps(largest.to_json())) < TRANSACTION_MAX_BYTES


def test_what_is_active_follows_from_the_direction() -> None:
    assert moved(transaction(), back=False)["hello"].slot == "b"
    assert moved(transaction(), back=True)["hello"].slot == "a"


@pytest.mark.parametrize(
    ("held", "owner", "refused", "may"),
    [
        (False, True, True, True), (False, False, True, False), (False, False, False, True), (True, True, False, False),
        (True, False, False, False),
    ],
)  # fmt: skip
def test_who_may_try_what(*, held: bool, owner: bool, refused: bool, may: bool) -> None:
    assert may_try("x", {"x"} if refused else set(), held=held, owner=owner) is may
