"""The core's own code in two slots: what dpkg has is staged in the idle one, tried, and confirmed.

A slot holds the code, the policies and the template that came with it, what dpkg calls the version, and a digest. What
modules import (aurora.sdk), units and profiles stay dpkg's. The model is `plan.core`; what ends a trial badly is
debian/rollback, which is no part of any slot.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from aurora.errors import AuroraError, HostError, Problem, Refused, StartFailed
from aurora.host.bytecode import compile_folder
from aurora.host.dpkg import is_torn
from aurora.host.files import (
    locked,
    read_bounded,
    remove_tree,
    remove_unfinished,
    replace_link,
    sync_folder,
    write_atomic,
)
from aurora.host.staging import copy_folder
from aurora.names import CORE_PACKAGE
from aurora.paths import Paths
from aurora.plan.core import (
    ENDED_MAX,
    TRIAL_MAX_BYTES,
    WHY_MAX_CHARS,
    CoreEnd,
    Found,
    Trial,
    ended,
    found,
    idle_slot,
    next_trial_id,
    refused_digests,
)
from aurora.plan.update import may_try
from aurora.runtime.control import plan_of
from aurora.runtime.folders import Planner, folder_digest
from aurora.runtime.records import read_records, require
from aurora.runtime.slots import active_slot, slot_version, wanted_version
from aurora.runtime.status import read_status

__all__ = [
    "ask_again",
    "blame_trial",
    "check_trial",
    "confirm_trial",
    "ended_trials",
    "open_trial",
    "packaged_digest",
    "stage_wanted",
]

PARTS = ("aurora", "policies", "template")
"""The folders of a slot."""
LINE_MAX_BYTES = 256


def _line(path: Path) -> str:
    try:
        return read_bounded(path, max_bytes=LINE_MAX_BYTES).decode(errors="replace").strip()
    except OSError:
        return ""


def open_trial(paths: Paths) -> Trial | None:
    """The trial that has not ended; HostError when its file cannot be read."""
    return _trial(paths.core_trial) if paths.core_trial.exists() else None


def ended_trials(paths: Paths) -> list[Trial]:
    """Those that have ended, oldest first; files that cannot be read are passed over."""
    trials = []
    for file in sorted(paths.core_ended.glob("[0-9]*.json")):
        with suppress(HostError):
            trials.append(_trial(file))
    return trials


def _trial(file: Path) -> Trial:
    try:
        data = read_bounded(file, max_bytes=TRIAL_MAX_BYTES)
        document = json.loads(data)
        if len(data) > TRIAL_MAX_BYTES or not isinstance(document, dict):
            raise ValueError("it is too long, or no trial")
        return Trial.from_json(document)
    except (OSError, ValueError, TypeError, KeyError) as error:
        why = f"it is damaged, or of another version ({error})"
        raise HostError("read the trial of the core", why, where=str(file), remedy="removing that file") from error


def _write_trial(paths: Paths, one: Trial) -> None:
    write_atomic(paths.core_trial, (json.dumps(one.to_json(), indent=1) + "\n").encode())


def _put_away(paths: Paths, one: Trial) -> None:
    """What has ended goes to the others; at the bound the oldest goes."""
    try:
        paths.core_ended.mkdir(exist_ok=True)
        paths.core_trial.replace(paths.core_ended / f"{one.id}.json")
        sync_folder(paths.core_ended)
        sync_folder(paths.core)
        for old in sorted(paths.core_ended.glob("[0-9]*.json"))[:-ENDED_MAX]:
            old.unlink()
    except OSError as error:
        raise HostError("end the trial of the core", str(error), where=str(paths.core_ended)) from error


def _end(paths: Paths, one: Trial, end: CoreEnd, why: str = "") -> Trial:
    one = ended(one, end, now_sec=int(time.time()), why=why)
    _write_trial(paths, one)
    _put_away(paths, one)
    return one


def stage_wanted(paths: Paths) -> Trial | None:
    """Stage the version that dpkg has in the idle slot, and make it the active one; its trial, which others carry on.

    None where there is nothing to try: it is active already, and confirmed. A trial that is open and of this version is
    given back as it is. Refused where it did not stay before; HostError when it cannot be staged: the active slot is
    as it was then.
    """
    with locked(paths.core_lock):
        one = open_trial(paths)
        if not wanted_version(paths) and one is None:
            return None
        if is_torn(paths, CORE_PACKAGE):
            why = "dpkg was ended amid its work, so that what is there is neither the old version nor the new"
            raise HostError("try the core that dpkg has", why, where=CORE_PACKAGE, remedy="apt reinstall it")
        digest = packaged_digest(paths)
        if one is not None and _goes_on(paths, one, digest):
            return one
        active = active_slot(paths)
        if active and _line(paths.core / active / "digest") == digest:
            _no_more_wanted(paths, active)
            return None
        _check_may_try(paths, digest)
        version = wanted_version(paths) or "unknown"
        slot = idle_slot(active)
        _stage(paths, slot, version=version, digest=digest)
        one = _begun(paths, slot, active, version=version, digest=digest)
        _write_trial(paths, one)
        paths.core_again.unlink(missing_ok=True)
        replace_link(paths.core_active, slot)
        return one


def ask_again(paths: Paths) -> str:
    """Have the next trial try what dpkg has, also where that did not stay; which version, empty where it is in use."""
    with locked(paths.core_lock):
        version = wanted_version(paths)
        if version:
            write_atomic(paths.core_again, f"{packaged_digest(paths)}\n".encode())
        return version


def packaged_digest(paths: Paths) -> str:
    """Of all that a slot would hold."""
    return _digest(_sources(paths))


def _sources(paths: Paths) -> list[tuple[str, Path]]:
    return [(name, paths.package_code if name == "aurora" else paths.package_shared / name) for name in PARTS]


def _digest(folders: Sequence[tuple[str, Path]]) -> str:
    digest = hashlib.sha256()
    for name, folder in folders:
        digest.update(f"{name} {folder_digest(folder)}\n".encode())
    return digest.hexdigest()


def _goes_on(paths: Paths, one: Trial, digest: str) -> bool:
    """Whether the open trial is to be gone on with; otherwise it has ended then, and the slot before is active."""
    what = found(one, active=active_slot(paths), boot=_line(paths.boot_id))
    if what is Found.PUT_AWAY:
        _put_away(paths, one)
        return False
    if what is Found.GIVE_UP:
        _end(paths, one, CoreEnd.GIVEN_UP, "it was interrupted before it was active")
        return False
    if what is not Found.GO_ON:
        why = "another version is being tried, and that was interrupted"
        remedy = "systemctl start aurora-core-trial.service"
        raise Refused("try the core that dpkg has", why, where=str(paths.core_trial), remedy=remedy)
    if one.digest == digest:
        return True
    # The slot that is not active is the one to go back to, and must not be written.
    if one.before:
        replace_link(paths.core_active, one.before)
    else:
        paths.core_active.unlink()
        sync_folder(paths.core)
    _end(paths, one, CoreEnd.GIVEN_UP, "another version came before it was confirmed")
    return False


def _check_may_try(paths: Paths, digest: str) -> None:
    trials = ended_trials(paths)
    if not may_try(digest, refused_digests(trials), held=False, owner=_line(paths.core_again) == digest):
        why = next(one.why for one in reversed(trials) if one.digest == digest)
        remedy = "a later version, or auroractl update core"
        raise Refused("try the core that dpkg has", f"it did not stay: {why}", where=str(paths.core), remedy=remedy)


def _no_more_wanted(paths: Paths, active: str) -> None:
    """What dpkg has is what runs, whatever it is called now."""
    version = wanted_version(paths)
    if version and version != slot_version(paths, active):
        write_atomic(paths.core / active / "version", f"{version}\n".encode())
    try:
        paths.core_wanted.unlink(missing_ok=True)
        sync_folder(paths.core)
    except OSError as error:
        raise HostError("remove a file", str(error), where=str(paths.core_wanted)) from error


def _stage(paths: Paths, slot: str, *, version: str, digest: str) -> None:
    """The slot, whole and durable, or nothing in it."""
    folder = paths.core / slot
    what = "stage the core"

    def compiled(code: Path) -> None:
        compile_folder(code, paths.package_code)

    try:
        remove_unfinished(paths.core)
        remove_tree(folder)
        folder.mkdir(mode=0o755)
        for name, source in _sources(paths):
            copy_folder(source, folder / name, check=compiled if name == "aurora" else None)
        for name, text in (("version", version), ("digest", digest)):
            write_atomic(folder / name, f"{text}\n".encode())
        sync_folder(paths.core)
        # What was written, read again: the disk may say otherwise than what was read.
        if _digest([(name, folder / name) for name in PARTS]) != digest:
            raise HostError(what, "what was written is not what was read", where=str(folder))
    except OSError as error:
        remove_tree(folder)
        raise HostError(what, str(error), where=str(folder)) from error
    except AuroraError as error:
        with suppress(AuroraError):
            remove_tree(folder)
        raise type(error).of(Problem(what, one.why, one.where, one.remedy) for one in error.problems) from error


def _begun(paths: Paths, slot: str, active: str, *, version: str, digest: str) -> Trial:
    return Trial(
        id=next_trial_id(file.stem for file in paths.core_ended.glob("[0-9]*.json")),
        slot=slot,
        before=active,
        version=version,
        version_before=slot_version(paths, active),
        digest=digest,
        boot=_line(paths.boot_id),
        tries=1,
        up=_running(paths),
        begun_sec=int(time.time()),
    )


def _running(paths: Paths) -> tuple[str, ...]:
    """Modules that start at boot, and go on."""
    records = [record for record in read_records(paths) if record.installed and record.enabled]
    found = read_status(paths, records) if records else []
    return tuple(one.name for one in found if (one.active, one.sub) == ("active", "running"))


def check_trial(paths: Paths, code: str) -> Trial | None:
    """That what is tried is what runs here, from the folder `code`, and can plan each module that was up.

    None where nothing is tried. StartFailed, with all that is against it, otherwise.
    """
    one = open_trial(paths)
    if one is None:
        return None
    what = f"try the core {one.version}"
    folder = str(paths.core / one.slot)
    if code != folder:
        raise StartFailed(what, f"what runs is in {code}", where=folder)
    problems = []
    planner = Planner(paths)
    for name in one.up:
        try:
            plan_of(paths, planner, require(paths, name))
        except AuroraError as error:
            problems += [Problem(what, f"{name}: {each.why}", each.where) for each in error.problems]
    if problems:
        raise StartFailed.of(problems)
    records = [record for record in read_records(paths) if record.installed]
    if records:
        read_status(paths, records)  # what list and status do
    return one


def confirm_trial(paths: Paths) -> Trial | None:
    """Take the version that is tried for good, once all that was up is so again; the trial, ended.

    None where nothing is tried. StartFailed where a module that was up is down now.
    """
    with locked(paths.core_lock):
        one = open_trial(paths)
        if one is None:
            return None
        _check_up(paths, one)
        _end(paths, one, CoreEnd.CONFIRMED)
        if packaged_digest(paths) == one.digest:
            _no_more_wanted(paths, one.slot)
        return one


def _check_up(paths: Paths, one: Trial) -> None:
    records = [record for record in read_records(paths) if record.installed and record.name in one.up]
    down = [now for now in (read_status(paths, records) if records else []) if now.active in ("inactive", "failed")]
    if down:
        what = f"try the core {one.version}"
        raise StartFailed.of(Problem(what, f"{now.name} is {now.active} now", now.unit) for now in down)


def blame_trial(paths: Paths, why: str) -> None:
    """Note what is against the version that is tried; the first that was noted is kept, and is why it does not stay."""
    with suppress(AuroraError), locked(paths.core_lock):
        one = open_trial(paths)
        if one is not None and one.end is CoreEnd.OPEN and not one.why:
            _write_trial(paths, replace(one, why=why[:WHY_MAX_CHARS]))
