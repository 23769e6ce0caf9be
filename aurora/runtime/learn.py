"""A learning run: a module let through and looked at for a time, then everything as it was before.

systemd holds both ends of it. The run's unit stops the module's when it starts, ends by RuntimeMaxSec=, and has the
module started again by OnSuccess= and OnFailure=. So a command that is killed leaves nothing that has to be
finished but a profile that nobody runs under, which the next `apply` takes away.
"""

from __future__ import annotations

import dataclasses
import grp
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from aurora.emit import apparmor_text, service_properties
from aurora.errors import HostError, Problem, Refused
from aurora.host.apparmor import load_profiles, unload_profiles
from aurora.host.audit import AuditListener
from aurora.host.files import locked, remove_tree
from aurora.host.staging import copy_folder
from aurora.host.syscalls import read_groups, syscall_names, taken_apart
from aurora.host.systemd import Systemd, Transient
from aurora.identity import Identity, foreground, installed, learning
from aurora.manifest import Manifest
from aurora.names import unit_name
from aurora.paths import Paths
from aurora.plan import Plan
from aurora.plan.evidence import Collector, Did
from aurora.plan.learning import learning_plan
from aurora.plan.proposal import Proposal, arguments_asked, propose
from aurora.policy import Grant
from aurora.runtime.applied import UP
from aurora.runtime.diagnosis import diagnose, now_usec
from aurora.runtime.folders import Planner, owner_file, read_module
from aurora.runtime.records import Record, require
from aurora.runtime.updates import check_not_busy
from aurora.runtime.volumes import make_ready, mount_units, remove_directories

__all__ = ["Learned", "Subject", "learn", "subject"]

STOP_DEADLINE_SEC = 60.0
MARGIN_SEC = 60.0
"""Beyond the time box: for a slow machine to start and stop the run."""


class Subject(NamedTuple):
    """What is to be looked at."""

    manifest: Manifest
    folder: str
    """Where its files are."""
    file: str
    """Its manifest, as errors name it."""
    record: Record | None
    """None for a folder that is not installed."""


class Learned(NamedTuple):
    """What a learning run showed."""

    subject: Subject
    proposal: Proposal
    records: int
    lost: int
    """Records that the kernel lost, or that were beyond a bound or not understood."""
    elsewhere: int
    """Records of programs that the sandbox does not let run; what they did is not judged."""
    ports: tuple[int, ...]
    """Ports on which it listened."""
    problem: Problem | None
    """Why it did not come up; what it did until then was seen."""
    early: bool
    """Whether it ended before its time."""

    @property
    def complete(self) -> bool:
        """Whether every record of the run was seen and understood."""
        return not (self.lost or self.elsewhere)


def subject(paths: Paths, text: str) -> Subject:
    """An installed module by its name, or a folder by a path with a slash; NotFound when it is neither."""
    if "/" in text:
        folder = Path(text).resolve()
        return Subject(read_module(folder, shown=text), str(folder), text, None)
    record = require(paths, text)
    staged = record.folder(paths)
    return Subject(read_module(Path(staged), owner=owner_file(paths, text)), staged, f"{staged}/module.toml", record)


def learn(paths: Paths, systemd: Systemd, one: Subject, *, box_usec: int) -> Learned:
    """Run the module for at most `box_usec`, less confined, and propose what its sandbox has to let through.

    KeyboardInterrupt ends the run early and is not raised again. Refused without AppArmor, without an audit log, or
    when the module is being looked at already. Afterwards it runs again if it ran before.
    """
    name = one.manifest.name
    with locked(paths.learning_lock(name), wait=False), _placed(paths, systemd, one) as placed:
        if one.record is not None:
            check_not_busy(paths, f"learn what {name} does", [name])  # it would seem to have ended
        identity, folder = placed
        planner = Planner(paths)
        plan = planner.plan(one.manifest, identity=identity, folder=folder, file=one.file)
        bare_sandbox = dataclasses.replace(one.manifest.sandbox, grants=())
        bare = planner.plan(
            dataclasses.replace(one.manifest, sandbox=bare_sandbox), identity=identity, folder=folder, file=one.file
        )
        if plan.profile is None or bare.profile is None:
            raise Refused(f"learn what {name} does", "this machine has no AppArmor, which is what sees it")
        up = one.record is not None and _is_up(systemd, name)
        made = learning_plan(
            plan,
            bare,
            learning(identity),
            box_usec=box_usec,
            restore=up,
            groups=_known_groups(planner.candidates().values()),
        )
        return _observed(paths, systemd, planner, one, made, identity.directory, up=up)


@contextmanager
def _placed(paths: Paths, systemd: Systemd, one: Subject) -> Iterator[tuple[Identity, str]]:
    """Who runs it and from where: an installed module as itself, a folder as `auroractl run` does."""
    if one.record is not None:
        yield installed(one.manifest.name), one.folder
        return
    identity = foreground(one.manifest.name)
    staged = paths.state / "learning" / one.manifest.name
    # It has the directories that `auroractl run` would have.
    with locked(paths.runtime / f"{identity.unit}.lock", wait=False):
        try:
            remove_directories(paths, systemd, identity)  # of a command that was killed
            copy_folder(Path(one.folder), staged)
            yield identity, str(staged)
        finally:
            remove_tree(staged)
            remove_directories(paths, systemd, identity)


def _is_up(systemd: Systemd, name: str) -> bool:
    return any(row.active in UP for row in systemd.list_units([unit_name(name)]))


def _known_groups(grants: Iterable[Grant]) -> tuple[str, ...]:
    """The groups that grants give and this machine has: systemd refuses a unit with one that it has not."""
    known = {entry.gr_name for entry in grp.getgrall()}
    return tuple(sorted({name for grant in grants for name in grant.add.get("SupplementaryGroups", ())} & known))


def _observed(
    paths: Paths, systemd: Systemd, planner: Planner, one: Subject, made: Plan, directory: str, *, up: bool
) -> Learned:
    profile = str(made.profile)
    collector = Collector(profile, syscall_names())
    name = one.manifest.name
    with AuditListener() as listener:
        try:
            _forget(systemd, made.unit)  # of a command that was killed: the lock says that nobody has it
            _make_ready(paths, systemd, made, directory, up=up)
            problem, early = _run(paths, systemd, made, listener, collector)
        finally:
            _forget(systemd, made.unit)
            unload_profiles(paths, frozenset({profile}))
            if up:
                _restore(systemd, name)
        lost = listener.lost
    evidence = collector.evidence
    calls = any(seen.deed.did is Did.SYSCALL for seen in evidence)
    proposal = propose(
        evidence,
        collector.peers,
        ports=collector.ports,
        networks=planner.networks() if collector.peers else (),
        policy=planner.policy(one.manifest),
        grants=planner.candidates(arguments_asked(evidence, collector.ports, binds=collector.binds)),
        declared=one.manifest.sandbox.grants,
        syscall_groups=taken_apart(read_groups() or {}) if calls else {},
    )
    return Learned(
        subject=one,
        proposal=proposal,
        records=collector.records,
        lost=lost + collector.unread + collector.beyond,
        elsewhere=collector.elsewhere,
        ports=collector.ports,
        problem=problem,
        early=early,
    )


def _make_ready(paths: Paths, systemd: Systemd, made: Plan, directory: str, *, up: bool) -> None:
    """What it stores in: of a module that is up these are its own, mounted, and stay as they are.

    Refused where that module was started with other budgets than it has now.
    """
    if not up:
        with locked(paths.lock):
            make_ready(paths, systemd, made, directory)
    elif mount_units(systemd, made):
        raise Refused(
            f"learn what {made.module} does",
            "it runs with other disk budgets than it is to have now",
            remedy=f"auroractl restart {made.module}",
        )


def _run(
    paths: Paths, systemd: Systemd, made: Plan, listener: AuditListener, collector: Collector
) -> tuple[Problem | None, bool]:
    """The run itself; why it did not come up, and whether it ended before its time."""
    since_usec = now_usec()
    box_sec = int(made.settings["RuntimeMaxSec"]) / 1_000_000  # type: ignore[arg-type]  # learning_plan sets a number
    start_sec = made.start_timeout_usec / 1_000_000
    try:
        with locked(paths.lock):  # `apply` takes away profiles of runs that it finds to be over
            load_profiles(paths, {str(made.profile): apparmor_text(made, complain=True)})
            wanted = Transient(made.unit, service_properties(made), beside=mount_units(systemd, made))
            job = systemd.start_transient([wanted], deadline_sec=start_sec + MARGIN_SEC)[made.unit]
        if not job.ok:
            problem = diagnose(systemd, made, job, since_usec=since_usec)
            listener.hear(collector.take, pid=None, deadline_sec=1)
            return problem, True
        pid = systemd.get(made.unit, "Service", "MainPID", "u")
        gone = listener.hear(
            collector.take, pid=pid if isinstance(pid, int) and pid > 0 else None, deadline_sec=box_sec + MARGIN_SEC
        )
        result = systemd.get(made.unit, "Service", "Result", "s") if gone else "timeout"
    except KeyboardInterrupt:
        listener.hear(collector.take, pid=None, deadline_sec=1)
        return None, True
    # RuntimeMaxSec= ends a run with the result timeout.
    return None, result != "timeout"


def _forget(systemd: Systemd, unit: str) -> None:
    systemd.stop([unit], deadline_sec=STOP_DEADLINE_SEC)
    systemd.reset_failed([unit])


def _restore(systemd: Systemd, name: str) -> None:
    """Wait until the module is up again, which systemd was told to do when the run ended."""
    unit = unit_name(name)
    systemd.reset_failed([unit])
    job = systemd.start([unit], deadline_sec=STOP_DEADLINE_SEC + MARGIN_SEC)[unit]
    if not job.ok:
        raise HostError(
            f"start {name} again", f"its job ended with {job.result} {job.message}".rstrip(), where=unit,
            remedy=f"auroractl start {name}",
        )  # fmt: skip
