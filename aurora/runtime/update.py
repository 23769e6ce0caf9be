"""What an owner does with versions: try new ones, go back, confirm, hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from aurora.errors import AuroraError, InputError, NotFound, Problem, Refused
from aurora.host.files import locked
from aurora.host.systemd import Systemd
from aurora.identity import installed
from aurora.manifest import Manifest
from aurora.paths import Paths
from aurora.plan import Plan, reached, turned_round
from aurora.plan.permissions import Effect, Permitted, compare_permissions
from aurora.plan.update import (
    MOVES_MAX,
    WORD_MAX_CHARS,
    WORDS_MAX,
    Kind,
    Move,
    State,
    Transaction,
    Version,
    may_try,
    stepped,
)
from aurora.runtime.applied import read_running
from aurora.runtime.diagnosis import now_usec
from aurora.runtime.folders import Planner, folder_digest, owner_file, read_module
from aurora.runtime.install import check_orders, copy_to_slot, free_slot
from aurora.runtime.inventory import inventory_of, known_inventory
from aurora.runtime.missed import Absences, Witness, listening
from aurora.runtime.permitted import permitted, permitted_now
from aurora.runtime.records import Origin, Record, require
from aurora.runtime.snapshots import check_room
from aurora.runtime.transaction import Carrier, Tell, mark_begun, resume_open
from aurora.runtime.updates import (
    check_not_busy,
    next_id,
    open_transaction,
    read_known,
    reserve_room,
    write_known,
    write_transaction,
)
from aurora.runtime.watch import held_memory

__all__ = ["Source", "allow_version", "confirm", "finish_interrupted", "hold", "roll_back", "update"]


class Source(NamedTuple):
    """A new version of a module."""

    folder: Path
    shown: str
    """What its owner called it."""
    origin: str
    """A value of `records.Origin`: who is to have the record of it."""
    signed_by: tuple[str, ...] = ()
    """The names of the keys for whose signatures this very package was accepted."""


class _Candidate(NamedTuple):
    """A version that could be tried."""

    record: Record
    manifest: Manifest
    plan: Plan
    version: Version
    permissions: tuple[str, ...]
    written_bytes: int
    signed_by: tuple[str, ...]
    stage: Callable[[], str]


@contextmanager
def _alone(paths: Paths, what: str) -> Iterator[None]:
    """Hold the lock of updates; Refused when another command does."""
    with ExitStack() as holding:
        try:
            holding.enter_context(locked(paths.update_lock, wait=False))
        except Refused as error:
            raise Refused(what, "another command is updating modules", remedy="auroractl update status") from error
        yield


def finish_interrupted(paths: Paths, systemd: Systemd, tell: Tell) -> Transaction | None:
    """Carry an interrupted update to its end, as it ended; None when there is none, or its command is still alive."""
    if open_transaction(paths) is None:
        return None
    with ExitStack() as holding:
        try:
            holding.enter_context(locked(paths.update_lock, wait=False))
        except Refused:
            return None
        return resume_open(paths, systemd, tell)


def update(
    paths: Paths,
    systemd: Systemd,
    sources: Sequence[Source],
    *,
    accept: bool,
    window_usec: int | None,
    tell: Tell,
    packages: Callable[[], None] = lambda: None,
    witness: Witness | None = None,
) -> Transaction | None:
    """Try new versions of installed modules, all or none; the transaction as it ended. None when all are there already.

    Everything that can be refused is refused before anything is written. `window_usec` is for all, instead of the
    longest of their manifests. `packages` is called when all is staged and before anything is swapped: it has dpkg
    take its record of what is to be; when it raises, nothing is swapped. `witness` counts what modules miss on
    AuroraLink while they are down; without one that is not known.
    """
    with _alone(paths, "update modules"):
        resume_open(paths, systemd, tell)
        with locked(paths.lock):
            candidates = _candidates(paths, sources, accept=accept)
            if not candidates:
                return None
            one = _begun(paths, systemd, Kind.UPDATE, candidates, window_usec)
        for candidate in candidates:
            known = read_known(paths, candidate.record.name)
            if candidate.version.digest in known.refused_digests:
                tell(f"{candidate.record.name} {candidate.version.version} was tried before, and did not stay")
        carrier = _carrier(paths, systemd, one, candidates, witness, tell)
        carrier.stage()
        try:
            packages()
        except (AuroraError, KeyboardInterrupt):
            carrier.give_up("its package could not be installed")
            raise
        return carrier.run()


def _carrier(
    paths: Paths,
    systemd: Systemd,
    one: Transaction,
    candidates: Sequence[_Candidate],
    witness: Witness | None,
    tell: Tell,
) -> Carrier:
    stage = {candidate.record.name: candidate.stage for candidate in candidates}
    missed = Absences(listening(paths, one), witness, tell)
    return Carrier(paths, systemd, one, stage=stage, missed=missed, tell=tell)


def _candidates(paths: Paths, sources: Sequence[Source], *, accept: bool) -> list[_Candidate]:
    """The versions that are not active already; refused, with all that is against them, when one of them may not be."""
    planner = Planner(paths)
    found: dict[str, _Candidate] = {}
    for source in sources:
        manifest = read_module(source.folder, shown=source.shown)
        if manifest.name in found:
            what = f"update {manifest.name}"
            raise InputError.of([Problem(what, "it is there twice", source.shown, "one version of each module")])
        candidate = _candidate(paths, planner, source, manifest)
        if candidate.version.digest != candidate.record.source_digest:
            found[manifest.name] = candidate
    if len(found) > MOVES_MAX:
        raise Refused("update the modules", f"they are more than {MOVES_MAX}", remedy="fewer at once")
    check_orders(paths, [candidate.plan for candidate in found.values()])
    if not accept:
        _check_permissions(found.values())
    return list(found.values())


def _candidate(paths: Paths, planner: Planner, source: Source, manifest: Manifest) -> _Candidate:
    name = manifest.name
    record = _updatable(paths, name, source)
    owned = read_module(source.folder, shown=source.shown, owner=owner_file(paths, name))
    # As it would be in the slot that is active now, so that only what it says differs.
    plan = planner.plan(owned, identity=installed(name), folder=record.folder(paths), file=source.shown)
    slot = free_slot(paths, name, record)
    inventory = inventory_of(source.folder)
    active = known_inventory(paths, name, record.slot, record.source_digest)
    there = frozenset(active.items if active is not None else ())
    version = Version(version=manifest.version, description=manifest.description, slot=slot, digest=inventory.digest)
    return _Candidate(
        record=record,
        manifest=owned,
        plan=plan,
        version=version,
        permissions=_grows(paths, planner, record, permitted(planner, owned, plan)),
        written_bytes=sum(item.size_bytes for item in inventory.items if item not in there),
        signed_by=source.signed_by,
        stage=partial(copy_to_slot, paths, source.folder, manifest, slot),
    )


def _updatable(paths: Paths, name: str, source: Source | None = None) -> Record:
    """The record of a module that may have another version; NotFound or Refused otherwise."""
    what = f"update {name}"
    try:
        record = require(paths, name)
    except NotFound as error:
        remedy = f"auroractl install {source.shown}" if source is not None else "auroractl list"
        raise NotFound(what, "no such module is installed", remedy=remedy) from error
    if source is not None and source.origin != record.origin:
        ways = {Origin.PACKAGE: "as a package", Origin.FOLDER: "from a folder"}
        raise Refused(what, f"it was installed {ways[record.origin]}", where=source.shown, remedy="the same way")
    try:
        with locked(paths.learning_lock(name), wait=False):
            pass
    except Refused as error:
        raise Refused(what, "auroractl learn runs it now", remedy="again when that is over") from error
    if not may_try("", (), held=read_known(paths, name).held, owner=True):
        raise Refused(what, "its owner holds it", remedy=f"auroractl update unhold {name}")
    return record


def _grows(paths: Paths, planner: Planner, record: Record, after: Permitted) -> tuple[str, ...]:
    """What a version may newly do, in words; that a plan of the one before cannot be made any more is no reason."""
    try:
        before = permitted_now(paths, planner, record)
    except AuroraError:
        return ("what the version before may do is not known any more",)
    more = [one.words[:WORD_MAX_CHARS] for one in compare_permissions(before, after) if one.effect is Effect.MORE]
    if len(more) > WORDS_MAX:
        more[WORDS_MAX - 1 :] = [f"and {len(more) - WORDS_MAX + 1} things more"]
    return tuple(more)


def _check_permissions(candidates: Iterable[_Candidate]) -> None:
    problems = [
        Problem(f"update {one.record.name}", f"{one.version.version} may do more: {words}", "", "--accept")
        for one in candidates
        for words in one.permissions
    ]
    if problems:
        raise Refused.of(problems)


def _begun(
    paths: Paths, systemd: Systemd, kind: Kind, candidates: Sequence[_Candidate], window_usec: int | None
) -> Transaction:
    """The transaction, written down before anything else is. Call with the lock held."""
    running = read_running(paths, systemd)
    plans = {name: now.plan for name, now in running.items() if now.active and now.plan is not None}
    moves = []
    for one in candidates:
        record = one.record
        now = plans.get(record.name)
        before = Version(
            version=record.version, description=record.description, slot=record.slot, digest=record.source_digest
        )
        moves.append(
            Move(
                module=record.name,
                before=before,
                after=one.version,
                up=record.name in running and running[record.name].active,
                memory_bytes=None if now is None else held_memory(paths, now),
                written_bytes=one.written_bytes,
                permissions=one.permissions,
                signed_by=one.signed_by,
                messages_lost=0,
                snapshot=one.manifest.update.snapshot and record.name in running and running[record.name].active,
            )
        )
    check_room(paths, [move.module for move in moves if move.snapshot])
    names = {move.module for move in moves}
    leaning = turned_round({name: plan.after for name, plan in plans.items()})
    longest_usec = max(one.manifest.update.window_usec for one in candidates)
    made = Transaction(
        id=next_id(paths),
        kind=kind,
        state=State.STAGED,
        moves=tuple(moves),
        beside=tuple(sorted((reached(names, leaning) - names) & plans.keys())),
        window_usec=longest_usec if window_usec is None else window_usec,
        begun_usec=now_usec(),
    )
    mark_begun(paths, made)
    if kind is Kind.UPDATE:  # who wants to go back on a full disk is to get there
        reserve_room(paths)
    write_transaction(paths, made)
    return made


def roll_back(
    paths: Paths, systemd: Systemd, name: str, *, tell: Tell, witness: Witness | None = None
) -> Transaction | None:
    """Back to the version before: of an update that is being tried, or of one that was confirmed.

    The transaction as it ended; None when the command that tries the new version does it. `witness` as of `update`.
    """
    with locked(paths.lock):
        one = open_transaction(paths)
        if one is not None and name in one.modules:
            if one.state is State.TRYING:
                why = "its owner wanted it back"
                write_transaction(paths, stepped(one, State.ROLLING_BACK, now_usec=now_usec(), why=why))
            elif one.state is not State.ROLLING_BACK:
                remedy = "auroractl update status; an interrupted one is ended by auroractl apply"
                raise Refused(f"roll back {name}", f"its update is {one.state}", remedy=remedy)
    if one is not None and name in one.modules:
        return finish_interrupted(paths, systemd, tell)
    with _alone(paths, f"roll back {name}"):
        resume_open(paths, systemd, tell)
        with locked(paths.lock):
            candidate = _previous(paths, name)
            begun = _begun(paths, systemd, Kind.ROLLBACK, [candidate], None)
        carrier = _carrier(paths, systemd, begun, [candidate], witness, tell)
        carrier.stage()
        return carrier.run()


def _previous(paths: Paths, name: str) -> _Candidate:
    record = _updatable(paths, name)
    previous = read_known(paths, name).previous
    what = f"roll back {name}"
    if previous is None or previous.slot == record.slot:
        raise NotFound(what, "there is no version before this one", remedy="auroractl update history")
    folder = Path(f"{paths.modules_text}/{name}/{previous.slot}")

    def digest() -> str:
        return folder_digest(folder) if folder.is_dir() else ""

    if digest() != previous.digest:
        raise NotFound(
            what,
            f"{previous.version} is not there any more",
            where=str(folder),
            remedy=f"auroractl update repair {name}",
        )
    manifest = read_module(folder, owner=owner_file(paths, name))
    plan = Planner(paths).plan(manifest, identity=installed(name), folder=str(folder))
    check_orders(paths, [plan])
    return _Candidate(record, manifest, plan, previous, (), 0, (), digest)


def confirm(paths: Paths, name: str) -> Transaction:
    """Take a version that is being tried for good; the transaction, which its command then ends."""
    what = f"confirm {name}"
    with locked(paths.lock):
        one = open_transaction(paths)
        if one is None or name not in one.modules or one.state is not State.TRYING:
            raise Refused(what, "no version of it is being tried", remedy="auroractl update status")
        try:
            with locked(paths.update_lock, wait=False):
                interrupted = True
        except Refused:
            interrupted = False
        active = all(require(paths, move.module).slot == move.after.slot for move in one.moves)
        if interrupted or not active:
            why = "its update was interrupted" if interrupted else "it is not up yet"
            raise Refused(what, why, remedy="auroractl apply" if interrupted else "again")
        one = stepped(one, State.CONFIRMED, now_usec=now_usec())
        write_transaction(paths, one)
        return one


def hold(paths: Paths, name: str, *, held: bool) -> bool:
    """Let no other version of a module in, or let them in again; whether that is a change."""
    with locked(paths.lock):
        record = require(paths, name)
        known = read_known(paths, record.name)
        write_known(paths, record.name, replace(known, held=held))
        return known.held != held


def allow_version(paths: Paths, name: str, folder: Path) -> None:
    """The owner's own word that a version which was refused is to be let in.

    Refused where they hold the module, or an update of it has not ended.
    """
    with locked(paths.lock):
        check_not_busy(paths, f"update {name}", [name])
        _updatable(paths, name)
        write_known(paths, name, read_known(paths, name).trusting(folder_digest(folder)))
