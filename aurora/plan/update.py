"""An update of modules as a state machine on disk: what is done in each state, and where that leads. Pure.

    none ──▶ staged ──▶ trying ──▶ confirmed ──▶ none    it was updated
                │          └─────▶ rolling back ─▶ none  it was rolled back
                └────────────────────────────────▶ none  it was given up

A transaction is one file on disk, and each arrow one atomic write of it. In a state its acts are done in order, each
of them so that doing it again changes nothing; then the arrow is written. Whoever comes after an interruption goes on
by `resumed`, which never goes forward with a version that was not found good:

    staged         nothing counts yet: what was staged is dropped (and refused, where dpkg has a part of it)
    trying         not known to be good: roll back
    confirmed      it is known to be good: the rest is put in order
    rolling back   again, from its beginning

What holds at every moment, also after a kill or a power cut at any moment:

    1  The active slot of each module holds one whole version. Only an idle slot is ever written (stage), and only a
       whole one is ever made active (swap, which comes after stage has been done and written down).
    2  Once no transaction is open, all its modules are as before it or all are as it wanted them.
    3  A version that was tried and not confirmed is refused from then on (refuse comes before anything else in
       rolling back) and is not tried again but by its owner's own command.
    4  Doing an interrupted or ended update again is as good as doing it at once.
    5  The version before never runs on what the new one made of its state, where that was to be kept (keep state, put
       state back): the copy is whole before the new version is active, and gone before the other runs again.

tests/unit/plan/test_update.py walks through every order of act, failure, crash and retry that there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

__all__ = [
    "COURSES",
    "MOVES_MAX",
    "REASON_MAX_CHARS",
    "TRANSACTION_MAX_BYTES",
    "UNDO",
    "WORDS_MAX",
    "WORD_MAX_CHARS",
    "Act",
    "Course",
    "End",
    "Kind",
    "Move",
    "State",
    "Transaction",
    "Version",
    "may_try",
    "moved",
    "resumed",
    "stepped",
]

MOVES_MAX = 16
"""More modules are not updated in one transaction."""
WORDS_MAX = 20
"""More changes of permissions are counted and not kept."""
WORD_MAX_CHARS = 200
"""A change of permissions is cut after this."""
REASON_MAX_CHARS = 2000
"""A reason why it did not go through is cut after this."""
TRANSACTION_MAX_BYTES = 1 << 20
"""What a transaction within these bounds cannot reach; a longer file is taken for damaged."""


class State(StrEnum):
    """How far a transaction has got; it stands on disk."""

    STAGED = "staged"
    """The new versions are being copied into idle slots."""
    TRYING = "trying"
    """The records are swapped, the modules restarted and looked at."""
    CONFIRMED = "confirmed"
    """The new versions are as good as the old ones. There is no way back but another transaction."""
    ROLLING_BACK = "rolling back"
    """The records are swapped back, the modules restarted and looked at."""
    NONE = "none"
    """It has ended; its file is a row of the history."""


class Act(StrEnum):
    """What is done to all modules of a transaction, one after the other where each has its own."""

    STAGE = "stage"
    """Copy each new version into an idle slot, whole and durable."""
    DROP = "drop"
    """Let what was staged go; where dpkg has some of it already, refuse all: it would come without the rest."""
    KEEP_STATE = "keep state"
    """Stop those whose state is to be kept, and copy it, whole and durable."""
    PUT_STATE_BACK = "put state back"
    """Stop those of whose state there is a whole copy, put that back, and let the copy go."""
    DROP_STATE = "drop state"
    """Let the copies go."""
    SWAP = "swap"
    """Make each new version the active one: one rename a module."""
    SWAP_BACK = "swap back"
    """The same with the version before."""
    RESTART = "restart"
    """Restart those that were up, in the order of their dependencies."""
    OBSERVE = "observe"
    """Look at them for the window; it fails when they are worse than before."""
    REFUSE = "refuse"
    """Remember each new version as one that is not tried by itself."""
    KEEP = "keep"
    """Remember each version before as one to go back to, and each new one as good."""


UNDO: Mapping[Act, Act] = {
    Act.STAGE: Act.DROP,
    Act.KEEP_STATE: Act.PUT_STATE_BACK,
    Act.SWAP: Act.SWAP_BACK,
    Act.SWAP_BACK: Act.SWAP,
    Act.RESTART: Act.RESTART,
}
"""What takes an act back. A restart follows the records, so after these have been swapped back it takes itself back;
an act that is not here changes nothing, or only adds to what is known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """What is done in a state."""

    acts: tuple[Act, ...]
    then: State
    """Written when all have been done."""


COURSES: Mapping[State, Course] = {
    State.STAGED: Course(acts=(Act.STAGE,), then=State.TRYING),
    State.TRYING: Course(acts=(Act.KEEP_STATE, Act.SWAP, Act.RESTART, Act.OBSERVE), then=State.CONFIRMED),
    State.CONFIRMED: Course(acts=(Act.KEEP, Act.DROP_STATE), then=State.NONE),
    State.ROLLING_BACK: Course(
        acts=(Act.REFUSE, Act.SWAP_BACK, Act.PUT_STATE_BACK, Act.RESTART, Act.OBSERVE), then=State.NONE
    ),
}
"""Of each state, for as long as all goes well. When an act fails, what follows is what whoever finds it would do.

But in rolling back a restart or a look that fails is no failure: there is nothing else to go back to.
"""

_RESUMED: Mapping[State, Course] = {
    State.STAGED: Course(acts=(Act.DROP,), then=State.NONE),
    State.TRYING: Course(acts=(), then=State.ROLLING_BACK),
}


def resumed(state: State) -> Course:
    """What whoever finds a transaction in that state does; ValueError for one that has ended."""
    if state is State.NONE:
        raise ValueError("it has ended")
    return _RESUMED.get(state, COURSES[state])


class Kind(StrEnum):
    """Who wanted it."""

    UPDATE = "update"
    ROLLBACK = "rollback"
    """Its owner, back to the version before."""


class End(StrEnum):
    """How a transaction ended."""

    OPEN = ""
    """It has not."""
    UPDATED = "updated"
    GIVEN_UP = "given up"
    """Before anything was swapped."""
    ROLLED_BACK = "rolled back"
    """And the versions before were found to be well."""
    NOT_WELL = "rolled back, not well"
    """The versions before are active again, and do not pass either."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """One version of a module, in a slot."""

    version: str
    description: str
    slot: str
    digest: str
    """Of its folder."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """What a transaction does to one module."""

    module: str
    before: Version
    after: Version
    up: bool
    """Whether it was up; one that was not is neither started nor looked at."""
    memory_bytes: int | None = None
    """What it held before; None where that is not known."""
    written_bytes: int = 0
    """What of it was written: files that are the same in the version before are not."""
    permissions: tuple[str, ...] = ()
    """What it may newly do, in words."""
    snapshot: bool = False
    """Whether its state is copied before, and put back when the version before is."""
    signed_by: tuple[str, ...] = ()
    """The names of the keys for whose signatures its package was accepted."""
    messages_lost: int | None = None
    """What the module missed on AuroraLink while it was down for this; None where that is not known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Transaction:
    """An update of one module or several: all or none."""

    id: str
    kind: Kind
    state: State
    moves: tuple[Move, ...]
    beside: tuple[str, ...]
    """Other modules that were up and that a restart of these takes down: they are to be up afterwards."""
    window_usec: int
    """How long they are looked at."""
    begun_usec: int
    """Since the epoch."""
    ended_usec: int = 0
    down_usec: int = 0
    """From before the first was stopped until all were up."""
    why: str = ""
    """Why it did not go through."""
    end: End = End.OPEN

    @property
    def modules(self) -> tuple[str, ...]:
        """The names of its modules."""
        return tuple(move.module for move in self.moves)

    @property
    def open(self) -> bool:
        """Whether there is something left to do."""
        return self.state is not State.NONE

    def to_json(self) -> dict[str, object]:
        """The transaction as JSON can hold it; `Transaction.from_json` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, object]) -> Transaction:
        """What `to_json` wrote; KeyError, TypeError or ValueError when it is something else.

        Fields that are not known are left out, here and in its moves: a core that went back to the version before reads
        what the later one wrote.
        """
        fields = _known(cls, document)
        moves = fields["moves"]
        beside = fields["beside"]
        if not isinstance(moves, list | tuple) or not isinstance(beside, list | tuple):
            raise TypeError("moves or beside is not a list")
        fields["moves"] = tuple(_move(move) for move in moves)
        fields["beside"] = tuple(map(str, beside))
        fields |= {"kind": Kind(str(fields["kind"])), "end": End(str(fields["end"]))}
        return cls(**fields | {"state": State(str(fields["state"]))})  # type: ignore[arg-type]  # wrong fields raise


def _move(document: Mapping[str, object]) -> Move:
    fields = _known(Move, document)
    before, after = fields["before"], fields["after"]
    if not isinstance(before, dict) or not isinstance(after, dict):
        raise TypeError("a move is not made of versions")
    fields |= {"before": _version(before), "after": _version(after)}
    fields |= {name: _words(fields.get(name, ())) for name in ("permissions", "signed_by")}
    return Move(**fields)  # type: ignore[arg-type]  # missing fields raise TypeError here


def _version(document: Mapping[str, object]) -> Version:
    return Version(**_known(Version, document))  # type: ignore[arg-type]  # missing fields raise TypeError here


def _known(kind: type[Transaction | Move | Version], document: Mapping[str, object]) -> dict[str, object]:
    return {name: document[name] for name in kind.__dataclass_fields__ if name in document}


def _words(found: object) -> tuple[str, ...]:
    if not isinstance(found, list | tuple):
        raise TypeError("words are not a list")
    return tuple(map(str, found))


def stepped(one: Transaction, state: State, *, now_usec: int, why: str = "", well: bool = True) -> Transaction:
    """The transaction in its next state; ValueError where no arrow leads there.

    `why` says what went wrong, and the first such reason is kept; `well` whether the versions that are active at the
    end of rolling back were found to be so.
    """
    if not one.open or state not in (COURSES[one.state].then, resumed(one.state).then):
        raise ValueError(f"no way leads from {one.state} to {state}")
    rolled = End.ROLLED_BACK if well else End.NOT_WELL
    ends = {State.STAGED: End.GIVEN_UP, State.CONFIRMED: End.UPDATED, State.ROLLING_BACK: rolled}
    end = ends[one.state] if state is State.NONE else End.OPEN
    reason = one.why or why
    if one.why and why and not well:
        reason = f"{one.why}; and the version before: {why}"
    ended_usec = now_usec if end is not End.OPEN else 0
    return replace(one, state=state, end=end, why=reason[:REASON_MAX_CHARS], ended_usec=ended_usec)


def moved(one: Transaction, *, back: bool) -> dict[str, Version]:
    """The version of each module that is active after the swap, or after it has been taken back."""
    return {move.module: move.before if back else move.after for move in one.moves}


def may_try(digest: str, refused: Iterable[str], *, held: bool, owner: bool) -> bool:
    """Whether a version may be tried: one that is refused only by its owner's own command, one of a held module not."""
    return not held and (owner or digest not in refused)
