"""update verify and update repair: whether modules are on disk as they were staged, and what is done where not."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace

from aurora.cli import render
from aurora.cli.core import told_mended
from aurora.errors import AuroraError, HostError, Problem
from aurora.host.caller import require_root
from aurora.names import package_name
from aurora.paths import Paths
from aurora.runtime.damage import Checked, check_all, note_damage
from aurora.runtime.folders import read_module
from aurora.runtime.records import Record, read_records, require
from aurora.runtime.repair import Mended, Source, repair, unmended_problem
from aurora.update.unpack import unpacked

__all__ = ["EXIT_DAMAGED", "mend_installed", "repair_slots", "verify"]

EXIT_DAMAGED = 1
ARCHIVES_MAX = 20
"""More packages of one module in apt's archive are not unpacked to look for a file."""


def verify(arguments: SimpleNamespace) -> int:
    """`auroractl update verify [NAME…]`."""
    paths = Paths()
    rows = [(record, check_all(paths, record)) for record in _records(paths, arguments.names)]
    if os.geteuid() == 0:
        for record, found in rows:
            note_damage(paths, record, found[0].words)
    if arguments.json:
        render.dump([_document(paths, one) for _, found in rows for one in found])
    else:
        for record, found in rows:
            for one in found:
                render.emit(_line(record, one))
    damaged = sorted({record.name for record, found in rows if any(one.damages for one in found)})
    if damaged:
        render.tell(f"auroractl: sudo auroractl update repair {' '.join(damaged)}")
    return EXIT_DAMAGED if damaged else 0


def _records(paths: Paths, names: Sequence[str]) -> list[Record]:
    named = [require(paths, name) for name in dict.fromkeys(names)]
    return named or [record for record in read_records(paths) if record.installed]


def _line(record: Record, one: Checked) -> str:
    which = f"{record.name} {one.slot.version}, {'active' if one.slot.active else 'to go back to'}"
    if one.damages:
        return render.paint(f"{which}: damaged in slot {one.slot.slot}: {one.words}", "red")
    count = len(one.inventory.items) if one.inventory is not None else 0
    return f"{which}: all {count} files and folders of slot {one.slot.slot} are as they were staged"


def _document(paths: Paths, one: Checked) -> dict[str, object]:
    return {
        "module": one.slot.module,
        "version": one.slot.version,
        "slot": one.slot.slot,
        "folder": one.slot.folder(paths),
        "active": one.slot.active,
        "damaged": [damage._asdict() for damage in one.damages],
    }


def repair_slots(arguments: SimpleNamespace) -> int:
    """`auroractl update repair [NAME…] [--from DIR|DEB]`."""
    require_root("repair modules")
    paths = Paths()
    records = _records(paths, arguments.names)
    problems: list[Problem] = []
    done: list[tuple[Record, Mended]] = []
    with ExitStack() as opened:
        packages = _Packages(paths, opened)
        if arguments.source is not None:
            packages.given(Path(arguments.source))
        for record in records:
            try:
                found = repair(paths, [record.name], more=partial(packages.of, record.name))[record.name]
            except AuroraError as error:
                problems += error.problems
                continue
            done += [(record, one) for one in found]
            problems += [unmended_problem(paths, one.left) for one in found if one.left.damages]
    if arguments.json:
        render.dump([_mended_document(paths, one) for _, one in done])
    for record, one in done:
        told_mended(record.name, one)
        if one.mended and one.active and not one.left.damages:
            render.tell(f"{record.name} is whole; auroractl restart {record.name} runs it from what was mended")
    if not problems and not any(one.mended for _, one in done):
        render.tell("all files are as they were staged")
    if problems:
        raise HostError.of(problems)
    return 0


class _Packages:
    """Packages and folders that may hold what is damaged, unpacked once and only when they are asked for."""

    def __init__(self, paths: Paths, opened: ExitStack) -> None:
        self._paths = paths
        self._opened = opened
        self._found: dict[Path, Source] = {}
        self._given: Path | None = None

    def given(self, file: Path) -> None:
        """What the owner named; it is read at once, as its errors are theirs to know."""
        self._given = file
        self._open(file)

    def of(self, module: str) -> Iterator[Source]:
        """Those of a module: what the owner named, and what apt has kept."""
        if self._given is not None:
            yield self._found[self._given]
        files = sorted(self._paths.apt_archives.glob(f"{package_name(module)}_*.deb"))
        for file in files[-ARCHIVES_MAX:]:
            with suppress(AuroraError):  # one that cannot be read holds nothing
                yield self._open(file)

    def _open(self, file: Path) -> Source:
        if file not in self._found:
            folder = self._opened.enter_context(unpacked(file)) if file.suffix == ".deb" else file
            read_module(folder, shown=str(file))
            self._found[file] = Source(folder, str(file))
        return self._found[file]


def mend_installed(paths: Paths, name: str, folder: Path, shown: str) -> None:
    """What installing the version that is active already comes to: damaged files are taken from the package."""
    for one in repair(paths, [name], more=lambda: [Source(folder, shown)])[name]:
        told_mended(name, one)


def _mended_document(paths: Paths, one: Mended) -> dict[str, object]:
    mended = [{"path": path, "from": source} for path, source in one.mended]
    return {**_document(paths, one.left), "mended": mended}
