"""The state of modules while new versions of them are tried: copied before, put back when the version before is.

The copies of one update are in one folder, named after it, so that none is taken for that of another.
"""

from __future__ import annotations

from collections.abc import Iterable

from aurora.errors import Problem, Refused
from aurora.host.files import locked, remove_tree
from aurora.host.snapshot import fill_from, free_bytes, take_copy
from aurora.host.systemd import Systemd
from aurora.host.volume import stored_bytes
from aurora.identity import installed
from aurora.names import check_unit, safe_unit, timer_name, unit_name
from aurora.paths import Paths
from aurora.plan.update import Transaction
from aurora.quantity import format_size
from aurora.runtime.control import stop_units
from aurora.runtime.volumes import state_folder

__all__ = ["check_room", "drop_state", "keep_state", "put_state_back"]


def check_room(paths: Paths, modules: Iterable[str]) -> None:
    """Refused, before anything is written, when the disk has no room for copies of the state of all of them."""
    wanted = {name: stored_bytes(paths.root / "var/lib/private" / installed(name).directory) for name in modules}
    if not wanted:
        return
    free = free_bytes(paths.state)
    if sum(wanted.values()) > free:
        why = (
            f"copies of the state of {', '.join(sorted(wanted))} take {format_size(sum(wanted.values()), exact=False)},"
            f" and {format_size(free, exact=False)} are free"
        )
        remedy = "removing something, or an owner's file with update.snapshot = false"
        raise Refused.of([Problem("update the modules", why, str(paths.snapshots), remedy)])


def keep_state(paths: Paths, systemd: Systemd, one: Transaction) -> list[str]:
    """Stop the modules of an update whose state is to be kept, and copy it; the names of these modules.

    HostError when one cannot be stopped or copied: its state is as it was.
    """
    modules = [move.module for move in one.moves if move.snapshot]
    _sweep(paths, keep=one.id)
    _stop(systemd, modules)
    with locked(paths.snapshots_lock) as lock:
        for module in modules:
            folder = state_folder(paths, systemd, installed(module).directory, module)
            take_copy(folder, paths.snapshots / one.id / module, lock=lock)
    return modules


def put_state_back(paths: Paths, systemd: Systemd, one: Transaction) -> list[str]:
    """Stop the modules of whose state this update has a whole copy, and put that back; the names of these modules.

    The copies are gone when this returns, so that doing it again cannot undo what the modules have stored since.
    HostError when it cannot be done; then the copies are kept.
    """
    copies = {move.module: paths.snapshots / one.id / move.module for move in one.moves if move.snapshot}
    found = {module: copy for module, copy in copies.items() if copy.is_dir()}
    _stop(systemd, found)
    with locked(paths.snapshots_lock) as lock:
        for module, copy in found.items():
            fill_from(copy, state_folder(paths, systemd, installed(module).directory, module), lock=lock)
    drop_state(paths, one)
    return list(found)


def drop_state(paths: Paths, one: Transaction) -> None:
    """Let the copies of an update go."""
    remove_tree(paths.snapshots / one.id)


def _sweep(paths: Paths, *, keep: str) -> None:
    """Remove what other updates have left: there is at most one that has not ended."""
    for found in paths.snapshots.glob("*"):
        if found.name != keep:
            remove_tree(found)


def _stop(systemd: Systemd, modules: Iterable[str]) -> None:
    names = (timer_name, unit_name, safe_unit, check_unit)
    stop_units(systemd, [name(module) for module in modules for name in names])
