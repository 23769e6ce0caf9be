"""Damaged slots, mended file by file from whatever still holds the bytes that were staged.

What a source holds is never trusted: a file counts as whole where it comes to the digest that was recorded when it was
staged. So it does not matter that a hard link shares its damage, or that a source was written by somebody else. A file
that is right is not touched; of each damaged one a new one is written beside the slots, made durable, and renamed into
its place, so that a power cut at any moment leaves the slot as damaged as it was, or less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from aurora.errors import AuroraError, Denied, HostError, Problem
from aurora.host.files import locked
from aurora.host.slots import EXTRA_MAX, Mender, open_folder, own_folder
from aurora.manifest import MANIFEST_FILE, OLDER_FILE
from aurora.paths import Paths
from aurora.plan.inventory import SLOT, Damage, Fault, Inventory, Item
from aurora.runtime.damage import Checked, active_slot, check, note_damage, programs_of, slots_of
from aurora.runtime.folders import read_module
from aurora.runtime.inventory import inventory_of, known_inventory, remember_inventory
from aurora.runtime.records import SLOTS, Record, require
from aurora.runtime.updates import busy_modules, check_not_busy

__all__ = ["Mended", "Source", "Sources", "mend", "mend_for_start", "repair", "unmended_problem"]

PASSES_MAX = 20_000 // EXTRA_MAX + 1
"""Each takes away EXTRA_MAX files that were not staged."""


class Source(NamedTuple):
    """Where bytes that were staged may still be."""

    folder: Path
    shown: str
    """What a reader calls it."""
    base: Path | None = None
    """The folder above that may be reached through links, where not the folder itself may be."""

    @property
    def opened(self) -> tuple[Path, tuple[str, ...]]:
        """What may be reached through links, and the names below that may be none."""
        if self.base is None:
            return self.folder, ()
        return self.base, self.folder.relative_to(self.base).parts


type Sources = Callable[[], Iterable[Source]]
"""More of them, made only when they are needed: a package has to be unpacked for it."""


class Mended(NamedTuple):
    """What became of one slot."""

    slot: str
    version: str
    active: bool
    mended: tuple[tuple[str, str], ...]
    """Path and where it was taken from, of all that was mended; empty words where nothing was needed."""
    left: Checked
    """The slot as it is now."""


def _nothing() -> Iterable[Source]:
    return ()


def repair(paths: Paths, names: Sequence[str], *, more: Sources = _nothing) -> dict[str, list[Mended]]:
    """Mend the active slots of modules, and those that hold a version to go back to; what became of each, by module.

    Refused while one of them is being updated; HostError when the disk does not take what is to be written. `more`
    gives sources that are tried last.
    """
    records = [require(paths, name) for name in dict.fromkeys(names)]
    with locked(paths.lock):
        check_not_busy(paths, "repair modules", [record.name for record in records])
        return {record.name: mend(paths, record, more=more) for record in records}


def mend(paths: Paths, record: Record, *, more: Sources = _nothing) -> list[Mended]:
    """The same of one module, with the lock held; what is left of the damage is noted for `auroractl status`."""
    found = [_mend_slot(paths, record, check(paths, slot), more) for slot in slots_of(paths, record)]
    note_damage(paths, record, found[0].left.words)
    return found


def mend_for_start(paths: Paths, records: Iterable[Record]) -> tuple[list[tuple[str, Mended]], dict[str, Problem]]:
    """What each boot does before it starts anything: look quickly, and mend what is seen, from what is on this machine.

    With the lock held. Nothing of this keeps a module that is not damaged from its start.
    """
    done: list[tuple[str, Mended]] = []
    problems: dict[str, Problem] = {}
    busy = busy_modules(paths)
    for record in records:
        if record.name in busy or not _looks_damaged(paths, record):
            continue
        try:
            found = mend(paths, record)
            done += [(record.name, one) for one in found if one.mended]
            left = found[0].left
        except AuroraError as error:
            problems[record.name] = error.problems[0]
            continue
        if left.damages:
            problems[record.name] = unmended_problem(paths, left)
    return done, problems


def _looks_damaged(paths: Paths, record: Record) -> bool:
    if known_inventory(paths, record.name, record.slot, record.source_digest) is None:
        return True  # staged by an older version: once it was read in full, it is known what it holds
    names = {MANIFEST_FILE, OLDER_FILE}
    with suppress(AuroraError):
        names |= set(programs_of(read_module(Path(record.folder(paths)))))
    return bool(check(paths, active_slot(record), read=names).damages)


def unmended_problem(paths: Paths, left: Checked) -> Problem:
    """The problem of whoever has tried every source that there is."""
    name = left.slot.module
    why = f"nothing on this machine has what these of its files were: {left.words}"
    remedy = f"auroractl update repair {name} --from FILE.deb, or auroractl install FILE.deb"
    return Problem(f"repair {name}", why, left.slot.folder(paths), remedy)


def _mend_slot(paths: Paths, record: Record, checked: Checked, more: Sources) -> Mended:
    slot = checked.slot
    with _told(paths, checked):
        own_folder(paths.modules, slot.module)
    tried = _Tried([*_here(paths, record, slot.slot)], more)
    inventory = checked.inventory
    if inventory is None:
        inventory = _inventory_from(tried, slot.digest)
        if inventory is not None:
            remember_inventory(paths, slot.module, slot.slot, inventory)
            checked = check(paths, slot)
    elif known_inventory(paths, slot.module, slot.slot, slot.digest) is None:
        remember_inventory(paths, slot.module, slot.slot, inventory)  # staged by an older version, or damaged itself
    mended: list[tuple[str, str]] = []
    if checked.damages and inventory is not None:
        for _ in range(PASSES_MAX):
            new = _mend_pass(paths, checked, inventory, tried)
            mended += new
            checked = check(paths, slot)
            if not new or not any(damage.fault is Fault.EXTRA for damage in checked.damages):
                break
    return Mended(slot.slot, slot.version, slot.active, tuple(mended), checked)


class _Tried:
    """Sources, those that cost something at the end and only once they are asked for."""

    def __init__(self, here: list[Source], more: Sources) -> None:
        self._known = here
        self._more = more
        self._all = False

    def __iter__(self) -> Iterator[Source]:
        yield from list(self._known)
        if not self._all:
            self._all = True
            for source in self._more():
                self._known.append(source)
                yield source


def _here(paths: Paths, record: Record, slot: str) -> Iterator[Source]:
    """What of a module is on this machine besides one of its slots: the other slots, and what dpkg laid down."""
    for other in SLOTS:
        folder = paths.modules / record.name / other
        if other != slot and folder.is_dir():
            yield Source(folder, f"slot {other}", paths.modules)
    folder = paths.package_modules / record.name
    if folder.is_dir():
        yield Source(folder, "what dpkg has of its package", paths.package_modules)


def _inventory_from(sources: Iterable[Source], digest: str) -> Inventory | None:
    """Of the first source that is, as a whole, what was staged."""
    for source in sources:
        with suppress(AuroraError, OSError):
            found = inventory_of(source.folder)
            if found.digest == digest:
                return found
    return None


def _mend_pass(
    paths: Paths, checked: Checked, inventory: Inventory, sources: Iterable[Source]
) -> list[tuple[str, str]]:
    slot = checked.slot
    items = {item.path: item for item in (SLOT, *inventory.items)}
    done: list[tuple[str, str]] = []
    with _told(paths, checked), open_folder(paths.modules, slot.module) as top:
        mender = Mender(top, slot.slot)
        try:
            for damage in checked.damages:
                words = _mend_one(mender, damage, items.get(damage.path), sources)
                done += [] if words is None else [(damage.path, words)]
        finally:
            mender.close()
    return done


@contextmanager
def _told(paths: Paths, checked: Checked) -> Iterator[None]:
    """What the disk refuses, in the words of a repair."""
    slot = checked.slot
    try:
        yield
    except PermissionError as error:
        raise Denied(f"repair {slot.module}", str(error), where=slot.folder(paths), remedy="sudo") from error
    except OSError as error:
        remedy = "auroractl install FILE.deb, onto a disk that takes it"
        raise HostError(f"repair {slot.module}", str(error), where=slot.folder(paths), remedy=remedy) from error


def _mend_one(mender: Mender, damage: Damage, item: Item | None, sources: Iterable[Source]) -> str | None:
    """Mend one place, and say from what; None where nothing holds what it was."""
    if damage.fault is Fault.EXTRA:
        mender.drop(damage.path)
        return "removed"
    if item is None:
        return None
    if item.is_folder:
        mender.folder(item)
        return "made again"
    if damage.fault is Fault.MODE:
        mender.mode(item)
        return "its mode"
    for source in sources:
        base, names = source.opened
        if mender.file(base, names, item):
            return source.shown
    return None
