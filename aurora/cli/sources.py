"""Where new versions of modules come from: folders, packages, folders of packages, and the web."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from aurora.cli import render
from aurora.cli.install import check_signatures
from aurora.errors import AuroraError, HostError, InputError, Problem, Refused
from aurora.host.download import Arrived, fetched, is_address
from aurora.host.process import run
from aurora.manifest import MANIFEST_FILE, OLDER_FILE
from aurora.names import CORE_PACKAGE, package_name
from aurora.paths import Paths
from aurora.policy import SIGNATURES_OFF
from aurora.quantity import format_size
from aurora.runtime.folders import owner_settings, read_module
from aurora.runtime.records import Origin, read_records
from aurora.runtime.update import Source
from aurora.update.offered import Offer, choose
from aurora.update.signed import installed_version, read_control
from aurora.update.unpack import PACKAGE_MAX_BYTES, check_outside, held, unpacked

__all__ = ["open_sources"]

PACKAGES_MAX = 500
"""In one folder."""
_CLEAR = "\r\x1b[K"
"""What makes a terminal's line empty."""


def open_sources(paths: Paths, opened: ExitStack, texts: Sequence[str]) -> tuple[list[Source], list[str]]:
    """The folders of all sources, and the packages among them: what is installed is what was checked.

    They are there until `opened` is closed. All that is not a module's folder is judged as a package is, wherever it
    came from.
    """
    sources, packages = [], []
    for text in texts:
        if is_address(text):
            copies = [(opened.enter_context(_from_the_web(paths, text)), text)]
        elif text.endswith(".deb"):
            copies = [(opened.enter_context(held(Path(text))), text)]
        elif _holds_packages(Path(text)):
            copies = [(opened.enter_context(held(Path(one))), one) for one in _newer_in(paths, Path(text))]
        else:
            sources.append(Source(Path(text), text, Origin.FOLDER))
            continue
        for copy, shown in copies:
            sources.append(_judged(paths, opened, copy, shown))
            packages.append(str(copy))
    return sources, packages


def _judged(paths: Paths, opened: ExitStack, copy: Path, shown: str) -> Source:
    folder = opened.enter_context(unpacked(copy, shown=shown))
    name = read_module(folder, shown=shown).name
    if name != folder.name:
        raise InputError.of([Problem("update from the package", f"its manifest names {name}", shown)])
    signed_by = check_signatures(paths, copy, folder, shown) or _signed_by(paths, copy)
    return Source(folder, shown, Origin.PACKAGE, signed_by)


def _signed_by(paths: Paths, copy: Path) -> tuple[str, ...]:
    """Who has signed it, for the record, where the owner has keys and signatures are off."""
    if owner_settings(paths).signatures != SIGNATURES_OFF or not any(paths.owner_keyring.glob("*.toml")):
        return ()
    # The cryptography library costs more than a start of Python.
    from aurora.cli.sign import signers_of  # noqa: PLC0415  # see above

    return signers_of(paths, copy)


# Folders of packages, as a memory stick is


def _holds_packages(folder: Path) -> bool:
    return not any((folder / name).exists() for name in (MANIFEST_FILE, OLDER_FILE)) and any(folder.glob("*.deb"))


def _newer_in(paths: Paths, folder: Path) -> list[str]:
    """The packages to update to, of those that lie in the folder itself; what is passed over is told."""
    installed = {package_name(one.name): one.version for one in read_records(paths)
                 if one.installed and one.origin == Origin.PACKAGE}  # fmt: skip
    core = installed_version(paths, CORE_PACKAGE)
    machine = run(["dpkg", "--print-architecture"]).stdout.strip()
    chosen = choose(_offers(folder), {**installed, CORE_PACKAGE: core} if core else installed, architecture=machine)
    for why in chosen.passed:
        render.tell(f"passed over: {why}")
    if not chosen.offers:
        render.tell(f"nothing in {folder} is newer than what is installed")
    for one in chosen.offers:
        render.tell(f"{one.package} {one.version} is newer than {installed[one.package]}")
    return [one.shown for one in chosen.offers]


def _offers(folder: Path) -> Iterator[Offer]:
    try:
        found = sorted(folder.glob("*.deb"))
    except OSError as error:
        raise HostError("read the folder", str(error), where=str(folder)) from error
    if len(found) > PACKAGES_MAX:
        raise Refused("update from the folder", f"it has more than {PACKAGES_MAX} packages", where=str(folder))
    for deb in found:
        try:
            check_outside(deb, str(deb))
            yield Offer(str(deb), *read_control(deb, shown=str(deb)))
        except AuroraError as error:  # of whomever it is: a stick has other things, too
            render.tell(f"passed over: {error.problems[0]}")


# The web


@contextmanager
def _from_the_web(paths: Paths, url: str) -> Iterator[Path]:
    with ExitStack() as opened:
        shown = _Bar(url)
        try:
            with fetched(url, paths.downloads, max_bytes=PACKAGE_MAX_BYTES, tell=shown.tell) as file:
                copy = opened.enter_context(held(file, shown=url))
        finally:
            shown.end()
        yield copy


class _Bar:
    """How far a download is: one line that changes where stderr is a terminal, else one line at its beginning."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._whole = sys.stderr.isatty()
        self._last = ""

    def tell(self, at: Arrived) -> None:
        """The next bytes have arrived."""
        have = format_size(at.have_bytes, exact=False)
        if not self._whole:
            if not self._last:
                from_ = f", going on from {have}" if at.have_bytes else ""
                size = "" if at.total_bytes is None else f", {format_size(at.total_bytes, exact=False)}"
                self._last = f"fetching {self._url}{size}{from_}"
                render.tell(self._last)
            return
        share = f", {at.have_bytes * 100 // at.total_bytes}%" if at.total_bytes else ""
        if (line := f"fetching {self._url}: {have}{share}") != self._last:
            self._last = line
            columns = os.get_terminal_size(sys.stderr.fileno()).columns
            sys.stderr.write(_CLEAR + render.cut(line, columns or None))
            sys.stderr.flush()

    def end(self) -> None:
        """It is over, whichever way."""
        if self._whole and self._last:
            sys.stderr.write(_CLEAR)
