"""A transaction, carried to its end: the acts of `plan.update`, done on this machine.

The lock of all changes is held but while modules are looked at, so that other commands can go on meanwhile; the lock
of updates is held by the caller from beginning to end, so that whoever gets it knows that what is open was interrupted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from aurora.errors import AuroraError, HostError, Problem, StartFailed
from aurora.host.files import locked, remove_tree, write_atomic
from aurora.host.systemd import Systemd
from aurora.paths import Paths
from aurora.plan import Action, Plan, Step
from aurora.plan.update import (
    COURSES,
    REASON_MAX_CHARS,
    Act,
    Kind,
    Move,
    State,
    Transaction,
    Version,
    moved,
    resumed,
    stepped,
)
from aurora.runtime.applied import applied_plan, read_running
from aurora.runtime.control import plan_of, start
from aurora.runtime.diagnosis import now_usec
from aurora.runtime.folders import Planner, owner_file, read_module
from aurora.runtime.inventory import inventory_file
from aurora.runtime.missed import Absences
from aurora.runtime.packages import behind
from aurora.runtime.reconcile import get_ready, raise_failures, take_steps
from aurora.runtime.records import read_record, require
from aurora.runtime.snapshots import drop_state, keep_state, put_state_back
from aurora.runtime.updates import (
    RefusedVersion,
    open_transaction,
    read_known,
    read_transaction,
    use_reserve,
    write_known,
    write_transaction,
)
from aurora.runtime.watch import Watched, observe

__all__ = ["Carrier", "Tell", "mark_begun", "resume_open"]

INTERRUPTED = "it was interrupted while it was tried"

type Tell = Callable[[str], None]


def mark_begun(paths: Paths, one: Transaction) -> None:
    """Note that it was begun in this boot: what was up then and is not now went down with the command."""
    write_atomic(paths.update_begun, one.id.encode(), durable=False)


def resume_open(paths: Paths, systemd: Systemd, tell: Tell) -> Transaction | None:
    """Carry what was interrupted to its end, back where it is not confirmed. Call with the lock of updates held.

    None when there is nothing. It is not looked at for its window: the version before was good enough until then.
    """
    one = open_transaction(paths)
    if one is None:
        return None
    # What was missed until now nobody has counted to its end.
    return Carrier(paths, systemd, one, stage={}, missed=Absences({}, None, tell), tell=tell).resume()


class Carrier:
    """Does the acts of one transaction, and writes each state that it comes to."""

    def __init__(
        self,
        paths: Paths,
        systemd: Systemd,
        one: Transaction,
        *,
        stage: Mapping[str, Callable[[], str]],
        missed: Absences,
        tell: Tell,
    ) -> None:
        """`stage` puts each new version into its slot and says the digest of what is there."""
        self.one = one
        self._paths = paths
        self._systemd = systemd
        self._stage = stage
        self._missed = missed
        self._tell = tell
        self._window_usec = one.window_usec
        self._well = True
        self._why = ""

    def resume(self) -> Transaction:
        """Whoever finds the transaction: to its end."""
        self._window_usec = 0
        self._found_so(INTERRUPTED)
        return self.run()

    def stage(self) -> None:
        """The first state; AuroraError, and the transaction has ended, when something cannot be staged."""
        try:
            self._do(COURSES[State.STAGED].acts)
        except (AuroraError, KeyboardInterrupt) as error:
            self.give_up(_words(error))
            raise

    def give_up(self, why: str) -> None:
        """End it while nothing has been swapped."""
        self._found_so(why)

    def run(self) -> Transaction:
        """From what is staged, or any later state, to its end; the transaction as it ended then."""
        if self.one.state is State.STAGED:
            self._step(COURSES[State.STAGED].then)
        while self.one.open:
            state = self.one.state
            try:
                self._do(COURSES[state].acts)
            except (AuroraError, KeyboardInterrupt) as error:
                if state is not State.TRYING:
                    raise  # it is as it was, and taken up again by whoever comes next
                self._found_so(_words(error))
                continue
            self._step(COURSES[state].then)
        return self.one

    def _found_so(self, why: str) -> None:
        use_reserve(self._paths)
        course = resumed(self.one.state)
        if course != COURSES[self.one.state]:
            self._do(course.acts)
            self._step(course.then, why)

    def _step(self, state: State, why: str = "") -> None:
        """Write the next state, but where a command of its owner's has written another meanwhile."""
        with locked(self._paths.lock):
            on_disk = read_transaction(self._paths, self.one.id)
            if on_disk.state is not self.one.state:
                self.one = replace(on_disk, down_usec=self.one.down_usec)
                return
            why = why or self._why
            one = stepped(self.one, state, now_usec=now_usec(), why=why, well=self._well)
            counted = state in (State.CONFIRMED, State.NONE)
            self.one = replace(one, moves=self._missed.noted(one.moves, over=counted))
            write_transaction(self._paths, self.one)
        if state is State.ROLLING_BACK:
            self._tell(f"rolling back: {self.one.why}")

    def _do(self, acts: tuple[Act, ...]) -> None:
        quick = {
            Act.STAGE: self._do_stage,
            Act.DROP: self._drop,
            Act.KEEP_STATE: self._keep_state,
            Act.PUT_STATE_BACK: self._put_state_back,
            Act.DROP_STATE: lambda: drop_state(self._paths, self.one),
            Act.SWAP: self._swap,
            Act.SWAP_BACK: self._swap,
            Act.RESTART: self._restart,
            Act.REFUSE: lambda: self._refuse(self.one.why),
            Act.KEEP: self._keep,
        }
        with locked(self._paths.lock):
            for act in acts:
                if act is not Act.OBSERVE:
                    quick[act]()
        if Act.RESTART in acts:
            self._judged(self._start_beside)
        if Act.OBSERVE in acts:
            self._judged(self._observe)

    @property
    def _back(self) -> bool:
        return self.one.state is State.ROLLING_BACK

    def _judged(self, act: Callable[[], None]) -> None:
        """Do what may fail: on the way back that is told at the end, as there is nothing else to go back to."""
        try:
            act()
        except AuroraError as error:
            if not self._back:
                raise
            self._not_well(error)

    def _not_well(self, error: AuroraError) -> None:
        self._well = False
        self._why = self._why or _words(error)

    # The acts

    def _do_stage(self) -> None:
        for move in self.one.moves:
            self._forget_previous(move)
            if self._stage[move.module]() != move.after.digest:
                where = f"{self._paths.modules_text}/{move.module}/{move.after.slot}"
                raise HostError(f"stage {move.module}", "what was written is not what was read", where=where)

    def _forget_previous(self, move: Move) -> None:
        """What it could go back to until now is not there any more, once another version is in its slot."""
        known = read_known(self._paths, move.module)
        previous = known.previous
        if previous is not None and previous.slot == move.after.slot and previous.digest != move.after.digest:
            write_known(self._paths, move.module, replace(known, previous=None))

    def _drop(self) -> None:
        if self.one.kind is Kind.ROLLBACK:
            return  # it was there before
        if behind(self._paths, self.one.modules):
            # Some of them are there for dpkg: taken in by themselves, they would be without the others.
            self._refuse("its update was given up")
        for move in self.one.moves:
            folder = f"{self._paths.modules_text}/{move.module}/{move.after.slot}"
            record = read_record(self._paths, move.module)
            applied = applied_plan(self._paths, move.module)
            if folder not in (record and record.folder(self._paths), applied and applied.folder):
                remove_tree(Path(folder))
                remove_tree(inventory_file(self._paths, move.module, move.after.slot))

    def _keep_state(self) -> None:
        self._missed.begin(move.module for move in self.one.moves if move.snapshot)
        begun_sec = time.monotonic()
        for module in keep_state(self._paths, self._systemd, self.one):
            self._tell(f"{module} is down, and its state is copied")
        self._add_down(begun_sec)

    def _put_state_back(self) -> None:
        self._missed.begin(move.module for move in self.one.moves if move.snapshot)
        for module in put_state_back(self._paths, self._systemd, self.one):
            self._tell(f"the state of {module} is as it was")

    def _add_down(self, begun_sec: float) -> None:
        down_usec = int((time.monotonic() - begun_sec) * 1_000_000)
        self.one = replace(self.one, down_usec=self.one.down_usec + down_usec)

    def _swap(self) -> None:
        for module, version in moved(self.one, back=self._back).items():
            self._point(module, version)

    def _point(self, module: str, version: Version) -> None:
        """Make a version the active one, by one rename."""
        record = require(self._paths, module)
        wanted = record._replace(
            version=version.version,
            description=version.description,
            slot=version.slot,
            source_digest=version.digest,
        )
        if wanted != record:
            write_atomic(self._paths.records / module, wanted.to_bytes())

    def _restart(self) -> None:
        self._judged(self._restart_those_up)
        if self._back:
            self._missed.end_all()

    def _restart_those_up(self) -> None:
        running = read_running(self._paths, self._systemd, self.one.modules)
        steps = []
        for name, plan in self._plans(up=frozenset(running)).items():
            now = running.get(name)
            if now is not None and now.active and now.plan == plan:
                continue
            action = Action.START if now is None else Action.REPLACE
            # What it is to go back to is another state, not a part of this step.
            steps.append(Step(action=action, module=name, plan=plan, before=None))
        compiled = get_ready(self._paths, steps)
        self._missed.begin(step.module for step in steps)
        begun_sec = time.monotonic()
        outcomes = (
            take_steps(self._paths, self._systemd, steps, keep_failed=self._back, compiled=compiled) if steps else []
        )
        if steps and not self._back:
            self._add_down(begun_sec)
        self._missed.end(one.step.module for one in outcomes if one.problem is None)
        raise_failures(outcomes)

    def _plans(self, *, up: frozenset[str]) -> dict[str, Plan]:
        """Of the modules that are to be up, from what is active now.

        Those that were up when it was begun; after a boot, those that are up now, as others are started by who
        starts what is enabled.
        """
        planner = Planner(self._paths)
        same_boot = self._same_boot()
        names = [move.module for move in self.one.moves if move.up and (same_boot or move.module in up)]
        plans = {}
        for name in names:
            try:
                plans[name] = plan_of(self._paths, planner, require(self._paths, name))
            except AuroraError as error:
                if not self._back:
                    raise
                self._not_well(error)  # and the others go back all the same
        return plans

    def _same_boot(self) -> bool:
        try:
            return self._paths.update_begun.read_text() == self.one.id
        except OSError:
            return False

    def _start_beside(self) -> None:
        """What went down with them comes up again."""
        if self.one.beside and self._same_boot():
            known = [name for name in self.one.beside if (r := read_record(self._paths, name)) and r.installed]
            raise_failures(start(self._paths, self._systemd, known) if known else [])

    def _observe(self) -> None:
        before = {move.module: move.memory_bytes for move in self.one.moves}
        watched = []
        for name, plan in self._plans(up=frozenset()).items():
            rules = read_module(Path(plan.folder), owner=owner_file(self._paths, name)).update
            watched.append(Watched(plan, rules, before[name]))
        if not watched:
            return
        found = observe(self._paths, self._systemd, watched, window_usec=self._window_usec, decided=self._is_decided)
        if found:
            what = "go on with what is there now" if self._back else "keep the new version"
            raise StartFailed.of(Problem(what, f"{name}: {'; '.join(why)}") for name, why in found.items())

    def _is_decided(self) -> bool:
        return read_transaction(self._paths, self.one.id).state is not self.one.state

    def _refuse(self, why: str) -> None:
        for move in self.one.moves:
            refused = RefusedVersion(
                version=move.after.version, digest=move.after.digest, why=why, when_usec=now_usec()
            )
            known = read_known(self._paths, move.module)
            if move.after.digest not in known.refused_digests:
                write_known(self._paths, move.module, known.refusing(refused))

    def _keep(self) -> None:
        for move in self.one.moves:
            known = replace(read_known(self._paths, move.module).trusting(move.after.digest), previous=move.before)
            if self.one.kind is Kind.ROLLBACK and move.before.digest not in known.refused_digests:
                known = known.refusing(
                    RefusedVersion(
                        version=move.before.version, digest=move.before.digest, why="its owner went back from it",
                        when_usec=now_usec(),
                    )
                )  # fmt: skip
            write_known(self._paths, move.module, known)


def _words(error: BaseException) -> str:
    if not isinstance(error, AuroraError):
        return "the command was interrupted"
    return "; ".join(problem.why for problem in error.problems)[:REASON_MAX_CHARS]
