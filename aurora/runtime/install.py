"""Install and remove, each with one moment at which it has happened: the rename of the module's record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from aurora.errors import AuroraError, HostError, InputError, NotFound, Problem, Refused
from aurora.host.files import locked, remove_tree, remove_unfinished, sync_folder, write_atomic
from aurora.host.staging import copy_folder
from aurora.host.systemd import Systemd
from aurora.identity import installed, user_name
from aurora.manifest import Manifest
from aurora.names import is_module_name
from aurora.paths import Paths
from aurora.plan import Action, Plan, Step
from aurora.runtime.applied import applied_plan, read_running
from aurora.runtime.control import check_order, missing_module, plan_of
from aurora.runtime.damage import forget_damage
from aurora.runtime.folders import Planner, folder_digest, orders_of, owner_file, read_module
from aurora.runtime.incidents import forget_incidents
from aurora.runtime.inventory import inventory_of, remember_inventory
from aurora.runtime.reconcile import Outcome, release, take_steps
from aurora.runtime.records import MODULES_MAX, SLOTS, Origin, Record, Removal, read_record, read_records
from aurora.runtime.updates import check_not_busy, forget_versions, kept_folders, read_known
from aurora.runtime.volumes import has_images, remove_images, sweep_images, unmount_all

__all__ = [
    "Installed",
    "check_orders",
    "copy_to_slot",
    "finish_removals",
    "free_slot",
    "install_folder",
    "remove",
    "stage",
    "sweep",
]


class Installed(NamedTuple):
    """What an install did."""

    record: Record | None
    """The record that counts now; None when a first start failed, and the module is not installed."""
    before: Record | None
    """The record there was."""
    outcome: Outcome | None
    """How its start ended; None when it was not to be started."""


def install_folder(paths: Paths, systemd: Systemd, folder: Path, *, start: bool) -> Installed:
    """Install the module in `folder`, or replace the one of its name; with `start` enable it and bring it up.

    Everything that can be refused is refused before anything is written. When it does not come up, what was before
    is put back: the older version's record and unit, or no module at all.
    """
    manifest = read_module(folder)
    planner = Planner(paths)
    # A trial at the place it will have: what cannot be planned is not staged.
    trial = planner.plan(
        read_module(folder, owner=owner_file(paths, manifest.name)),
        identity=installed(manifest.name),
        folder=str(paths.modules / manifest.name / "a"),
        file=str(folder),
    )
    with locked(paths.lock):
        check_not_busy(paths, f"install the module {manifest.name}", [manifest.name])
        check_orders(paths, [trial])
        before = read_record(paths, manifest.name)
        _check_new(paths, manifest, before)
        _check_not_held(paths, folder, before)
        # A module that is stopped and being replaced keeps its owner's word about boot.
        enabled = start or (before is not None and before.installed and before.enabled)
        record = stage(paths, folder, manifest, Origin.FOLDER, before, enabled=enabled)
        if not start:
            return Installed(record, before, None)
        plan = plan_of(paths, planner, record)
        outcome = _bring_in(paths, systemd, plan)
        if outcome.problem is None:
            return Installed(record, before, outcome)
        if before is not None and before.installed:
            write_atomic(paths.records / record.name, before.to_bytes())
            return Installed(before, before, outcome)
        gone = record._replace(removal=Removal.REMOVING)
        write_atomic(paths.records / record.name, gone.to_bytes())
        _finish_removals_or_raise(paths, systemd)
        return Installed(None, before, outcome)


def check_orders(paths: Paths, trials: Sequence[Plan]) -> None:
    """That what the modules require is installed, and that no module is after one that is after it."""
    if not any(trial.after for trial in trials):
        return
    new = {trial.module: trial for trial in trials}
    others = {one.name: one for one in read_records(paths) if one.installed and one.name not in new}
    if lacking := [(t.module, name) for t in trials for name in t.requires if name not in {**others, **new}]:
        raise NotFound.of(missing_module(module, name) for module, name in lacking)
    after = {name: order.after + order.requires for name, order in orders_of(paths, others.values()).items()}
    check_order({**after, **{trial.module: trial.after for trial in trials}})


def _check_new(paths: Paths, manifest: Manifest, before: Record | None) -> None:
    what = f"install the module {manifest.name}"
    if before is not None:
        if before.installed and before.origin == Origin.PACKAGE:
            raise Refused(
                what, "it is installed as a package", remedy=f"apt remove aurora-module-{manifest.name} first"
            )
        return
    others = read_records(paths)
    if len(others) >= MODULES_MAX:
        raise Refused(what, f"{MODULES_MAX} modules are installed, and more are not taken")
    user = user_name(manifest.name)
    for other in others:
        if user_name(other.name) == user:
            raise Refused(what, f"its user {user} would be that of the module {other.name}", remedy="another name")


def _check_not_held(paths: Paths, folder: Path, before: Record | None) -> None:
    if before is None or not before.installed or not read_known(paths, before.name).held:
        return
    if folder_digest(folder) != before.source_digest:
        what = f"install the module {before.name}"
        raise Refused(what, "its owner holds the version there is", remedy=f"auroractl update unhold {before.name}")


def stage(
    paths: Paths, folder: Path, manifest: Manifest, origin: str, before: Record | None, *, enabled: bool
) -> Record:
    """Copy a module into the slot that does not count, then make it count by replacing the record.

    InputError when the folder changed while it was copied.
    """
    slot = free_slot(paths, manifest.name, before)
    digest = copy_to_slot(paths, folder, manifest, slot)
    record = Record(
        name=manifest.name,
        version=manifest.version,
        description=manifest.description,
        origin=origin,
        enabled=enabled,
        slot=slot,
        source_digest=digest,
    )
    write_atomic(paths.records / manifest.name, record.to_bytes())
    return record


def copy_to_slot(paths: Paths, folder: Path, manifest: Manifest, slot: str) -> str:
    """Copy a module into a slot, whole and durable, with its inventory beside it; the digest of what is there then.

    What did not change since the active version is not written again: both slots have the same file.

    InputError when the folder changed while it was copied: nothing is left of it then.
    """
    target = paths.modules / manifest.name / slot

    def check(copy: Path) -> None:
        if read_module(copy, shown=str(folder)) != manifest:
            raise InputError.of([Problem("stage the module", "it changed while it was read", str(folder), "again")])

    before = read_record(paths, manifest.name)
    alike = Path(before.folder(paths)) if before is not None and before.installed else None
    copy_folder(folder, target, check=check, alike=alike if alike != target else None)
    sync_folder(paths.modules)
    inventory = inventory_of(target)
    remember_inventory(paths, manifest.name, slot, inventory)
    return inventory.digest


def free_slot(paths: Paths, name: str, before: Record | None) -> str:
    """A slot that neither counts nor holds what systemd runs now: both must stay whole."""
    applied = applied_plan(paths, name)
    taken = {before.slot} if before is not None else set()
    if applied is not None:
        taken.add(applied.folder.rpartition("/")[2])
    return next(slot for slot in SLOTS if slot not in taken)


def _bring_in(paths: Paths, systemd: Systemd, plan: Plan) -> Outcome:
    now = read_running(paths, systemd, [plan.module]).get(plan.module)
    before = applied_plan(paths, plan.module) if now is not None and now.active else None
    action = Action.START if now is None else Action.REPLACE
    step = Step(action=action, module=plan.module, plan=plan, before=before)
    return take_steps(paths, systemd, [step], keep_failed=False)[0]


def remove(paths: Paths, systemd: Systemd, name: str, *, purge: bool, beside: Iterable[str] = ()) -> None:
    """Stop and remove a module; with `purge` its state too, also when only state is left of it.

    NotFound when there is nothing of it; Refused when a package brought it (`apt remove` does it), or when a module
    requires it that is not `beside`, which are removed in the same go.
    """
    with locked(paths.lock):
        check_not_busy(paths, f"remove the module {name}", [name])
        record = read_record(paths, name)
        if record is None and not (purge and is_module_name(name) and _has_state(paths, name)):
            raise NotFound("remove the module " + name, "no such module is installed", remedy="auroractl list")
        if record is not None:
            if record.origin == Origin.PACKAGE and record.installed:
                raise Refused(
                    f"remove the module {name}",
                    "it came as a package",
                    remedy=f"apt remove aurora-module-{name}",
                )
            _check_not_required(paths, name, frozenset(beside))
            removal = Removal.PURGING if purge else Removal.REMOVING
            write_atomic(paths.records / name, record._replace(removal=removal).to_bytes())
        _finish_removals_or_raise(paths, systemd)
        if record is None:
            unmount_all(paths, systemd, installed(name))
            _remove_state(paths, name)


def _check_not_required(paths: Paths, name: str, going: frozenset[str]) -> None:
    others = [one for one in read_records(paths) if one.installed and one.name not in going | {name}]
    leaning = [module for module, order in orders_of(paths, others).items() if name in order.requires]
    if leaning:
        raise Refused(f"remove the module {name}", f"{', '.join(leaning)} require it", remedy="removing these first")


def finish_removals(paths: Paths, systemd: Systemd) -> tuple[list[Record], list[Problem]]:
    """Carry removals that have been decided to their end. Call with the lock held.

    The records of those that are gone, and the problems of those that could not be removed: one of them does not keep
    the others. Interrupted anywhere, it does the rest the next time.
    """
    removed: list[Record] = []
    problems: list[Problem] = []
    for record in read_records(paths):
        if record.removal in (Removal.REMOVING, Removal.PURGING):
            try:
                _finish_removal(paths, systemd, record)
                removed.append(record)
            except AuroraError as error:
                problems += error.problems
    return removed, problems


def _finish_removals_or_raise(paths: Paths, systemd: Systemd) -> None:
    _, problems = finish_removals(paths, systemd)
    if problems:
        raise HostError.of(problems)


def _finish_removal(paths: Paths, systemd: Systemd, record: Record) -> None:
    release(paths, systemd, [record.name])
    unmount_all(paths, systemd, installed(record.name))
    remove_tree(paths.modules / record.name)
    forget_versions(paths, record.name)
    forget_damage(paths, record.name)
    if record.removal == Removal.PURGING:
        _remove_state(paths, record.name)
    if record.removal == Removal.REMOVING and record.origin == Origin.PACKAGE:
        kept = record._replace(removal=Removal.KEPT)
        write_atomic(paths.records / record.name, kept.to_bytes())
        return
    try:
        (paths.records / record.name).unlink()
        sync_folder(paths.records)
    except OSError as error:
        raise HostError("remove a record", str(error), where=record.name) from error


def sweep(paths: Paths) -> None:
    """Remove what interrupted commands left. Call with the lock held.

    That is every staged folder that neither counts, nor holds what systemd was given, nor is of an update or to go back
    to; and files that were half written.
    """
    for folder in (
        paths.records,
        paths.applied,
        paths.profiles,
        paths.profile_sources,
        paths.updates,
        paths.known_versions,
        Path(paths.damaged_text),
    ):
        remove_unfinished(folder)
    sweep_images(paths)
    if not paths.modules.is_dir():
        return
    records = {record.name: record for record in read_records(paths)}
    of_updates = kept_folders(paths)
    for module in paths.modules.iterdir():
        record = records.get(module.name)
        if record is None or not record.installed:
            remove_tree(module)
            continue
        applied = applied_plan(paths, module.name)
        kept = of_updates | {record.folder(paths), applied.folder if applied is not None else ""}
        kept |= {f"{slot}.list" for slot in kept if slot}
        for slot in module.iterdir():
            if str(slot) not in kept:
                remove_tree(slot)


def _has_state(paths: Paths, name: str) -> bool:
    places = (*paths.module_state(name), paths.incidents / name, paths.safe_runs / name)
    there = any(place.exists() or place.is_symlink() for place in places)
    return there or has_images(paths, installed(name).directory)


def _remove_state(paths: Paths, name: str) -> None:
    remove_images(paths, installed(name).directory)
    for place in paths.module_state(name):
        remove_tree(place)
    forget_incidents(paths, name)
