"""What a learning run proposed, written into the module's manifest by an ordinary install, and proven enforced."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from aurora.errors import HostError, InputError, Refused, StartFailed
from aurora.host.audit import AuditListener
from aurora.host.files import read_bounded, remove_tree, write_atomic
from aurora.host.staging import copy_folder
from aurora.host.syscalls import syscall_names
from aurora.host.systemd import Systemd
from aurora.identity import installed
from aurora.manifest import MANIFEST_FILE, MANIFEST_MAX_BYTES, with_sandbox
from aurora.names import unit_name
from aurora.paths import Paths
from aurora.plan.evidence import Collector, Evidence
from aurora.plan.patch import sandbox_table
from aurora.runtime.applied import read_running
from aurora.runtime.control import enable, stop
from aurora.runtime.folders import owner_file, read_module
from aurora.runtime.install import install_folder
from aurora.runtime.learn import Learned
from aurora.runtime.reconcile import raise_failures
from aurora.runtime.records import Origin, Record

__all__ = ["Proof", "apply_learned", "check_can_apply"]


class Proof(NamedTuple):
    """How the module behaved under its new manifest, enforced."""

    expected: tuple[Evidence, ...]
    """What was refused and the proposal had said could not be granted."""
    refused: tuple[Evidence, ...]
    """What was refused beyond that."""
    lost: int
    """Records that were lost meanwhile."""
    ended: bool
    """Whether it ended or was restarted while it was watched."""

    @property
    def holds(self) -> bool:
        """Whether the module ran on, and nothing was refused that was not expected."""
        return not (self.refused or self.ended)


def check_can_apply(learned_record: Record | None, folder: str) -> Record:
    """The record of a module whose manifest can be written; Refused for any other, with what to do instead."""
    what = "write the proposal"
    if learned_record is None:
        raise Refused(what, "it is not installed", where=folder, remedy="its lines in your module.toml")
    if learned_record.origin == Origin.PACKAGE:
        raise Refused(
            what,
            f"{learned_record.name} came as a package, whose files are dpkg's",
            where=folder,
            remedy="a new version of the package with the lines that are printed",
        )
    if not (Path(folder) / MANIFEST_FILE).is_file():
        raise Refused(what, f"it has the older manifest, not {MANIFEST_FILE}", where=folder)
    return learned_record


def apply_learned(paths: Paths, systemd: Systemd, learned: Learned, *, watch_usec: int) -> Proof:
    """Install the module with the proposed sandbox, start it, and watch it for `watch_usec`.

    Where the proof does not hold, or it does not come up, the module is put back as it was. One that was stopped is
    stopped again, and whether it starts at boot stays as it was.
    """
    record = check_can_apply(learned.subject.record, learned.subject.folder)
    now = read_running(paths, systemd, [record.name]).get(record.name)
    up = now is not None and now.active
    scratch = paths.state / "learning" / record.name
    before, after = scratch / "before", scratch / "after"
    try:
        copy_folder(Path(record.folder(paths)), before)
        copy_folder(before, after)
        _write(paths, after, learned)
        proof = _watched(paths, systemd, learned, after, watch_usec)
        if not proof.holds:
            _put_back(paths, systemd, before, up=up)
        return proof
    finally:
        if not record.enabled:
            enable(paths, [record.name], enabled=False)
        if not up:
            stop(paths, systemd, [record.name])
        remove_tree(scratch)


def _write(paths: Paths, folder: Path, learned: Learned) -> None:
    file = folder / MANIFEST_FILE
    try:
        text = read_bounded(file, max_bytes=MANIFEST_MAX_BYTES).decode()
    except OSError as error:
        raise HostError("read the manifest", str(error), where=str(file)) from error
    write_atomic(file, with_sandbox(text, sandbox_table(learned.proposal), file=learned.subject.file).encode())
    owner = owner_file(paths, learned.subject.manifest.name)
    read = read_module(folder, shown=learned.subject.folder, owner=owner)
    sandbox = dataclasses.replace(read.sandbox, policy=learned.proposal.policy, grants=tuple(learned.proposal.names))
    if read != dataclasses.replace(learned.subject.manifest, sandbox=sandbox):
        raise InputError("write the proposal", "the changed manifest does not say what was proposed", where=str(file))


def _watched(paths: Paths, systemd: Systemd, learned: Learned, folder: Path, watch_usec: int) -> Proof:
    name = learned.subject.manifest.name
    collector = Collector(installed(name).profile, syscall_names())
    with AuditListener() as listener:
        done = install_folder(paths, systemd, folder, start=True)
        if done.outcome is not None:
            raise_failures([done.outcome])
        pid = systemd.get(unit_name(name), "Service", "MainPID", "u")
        if not (isinstance(pid, int) and pid > 0):
            raise StartFailed(f"watch {name}", "it has no process", where=unit_name(name))
        ended = listener.hear(_refusals(collector), pid=pid, deadline_sec=watch_usec / 1_000_000)
        lost = listener.lost
    known = {one.deed for one in learned.proposal.ungranted}
    return Proof(
        expected=tuple(one for one in collector.evidence if one.deed in known),
        refused=tuple(one for one in collector.evidence if one.deed not in known),
        lost=lost,
        ended=ended,
    )


def _refusals(collector: Collector) -> Callable[[int, str], None]:
    def take(kind: int, text: str) -> None:
        if 'apparmor="DENIED"' in text:
            collector.take(kind, text)

    return take


def _put_back(paths: Paths, systemd: Systemd, before: Path, *, up: bool) -> None:
    done = install_folder(paths, systemd, before, start=up)
    if done.outcome is not None:
        raise_failures([done.outcome])
