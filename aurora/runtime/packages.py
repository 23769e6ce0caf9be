"""Module packages: dpkg puts payload into /usr/lib/aurora/modules, this takes it in or lets it go.

A module package has no maintainer scripts. It holds its folder and one configuration file,
/etc/aurora/modules/NAME.toml: dpkg keeps it, and its own note of the package, until the package is purged, and its
going triggers us.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from aurora.errors import AuroraError, HostError, InputError, Problem, Refused
from aurora.host.dpkg import is_torn
from aurora.host.files import folder_entries, read_bounded, write_atomic
from aurora.names import is_module_name, package_name
from aurora.paths import Paths
from aurora.plan.update import may_try
from aurora.policy import SIGNATURES_REQUIRED
from aurora.runtime.accepted import not_accepted
from aurora.runtime.folders import folder_digest, read_module
from aurora.runtime.install import stage
from aurora.runtime.records import Origin, Record, Removal, read_record, read_records
from aurora.runtime.updates import busy_modules, read_known

__all__ = ["TakenIn", "behind", "changed_packages", "take_in_packages"]

SCRIPTS = ("config", "postinst", "postrm", "preinst", "prerm", "triggers")
"""What dpkg would keep of a package for itself to run or follow, and a module's package does not have."""
LIST_MAX_BYTES = 16 << 20
"""A longer list of a package's files is not read, and the package is refused."""
PROBLEMS_MAX = 50
"""More are not said of one package."""


class TakenIn(NamedTuple):
    """What came of the packages."""

    staged: list[str]
    """Modules that a package brought or changed."""
    withheld: list[str]
    """Modules whose package has a version that is refused, or held back by their owner."""
    waiting: list[str]
    """Modules whose package has a version that waits for a window of their owner's."""
    problems: list[Problem]
    """Of packages that were not taken in."""
    warnings: list[Problem]
    """Of packages that were, as the owner wants only to be warned."""


def take_in_packages(paths: Paths, *, closed: bool = False, at_once: Collection[str] = ()) -> TakenIn:
    """Stage packages that are new or changed, and mark those that are gone for removal. Call with the lock held.

    One whose update has not ended is left alone, as are versions that are refused or that a module's owner holds off.
    While the owner's windows are `closed`, new versions of installed modules wait, but for those named in `at_once`.
    One bad package does not keep the others out.
    """
    done = TakenIn([], [], [], [], [])
    there = _payloads(paths)
    busy = busy_modules(paths)
    for name in there:
        try:
            if name not in busy:
                _take_in(paths, name, done, waits=closed and name not in at_once)
        except AuroraError as error:
            done.problems.extend(error.problems)
    for record in read_records(paths):
        if record.origin == Origin.PACKAGE and record.name not in {*there, *busy}:
            _let_go(paths, record)
    return done


def behind(paths: Paths, names: Iterable[str]) -> bool:
    """Whether dpkg has other versions of packages than are installed here, or none any more, of one of these modules.

    One that is refused or held does not count. That is what comes of a package which changes while its module is busy.
    """
    for name in names:
        record = read_record(paths, name)
        if record is None or not record.installed or record.origin != Origin.PACKAGE:
            continue
        folder = paths.package_modules / name
        try:
            if not folder.is_dir():
                return True
            digest = folder_digest(folder)
            if digest != record.source_digest and not _is_withheld(paths, name, digest):
                return True
        except AuroraError:
            return True  # who takes it in says what is wrong
    return False


def changed_packages(paths: Paths) -> list[str]:
    """The installed modules whose package is there with another version, which is neither refused nor held."""
    found = []
    for name in _payloads(paths):
        record = read_record(paths, name)
        if record is not None and record.installed and record.origin == Origin.PACKAGE and behind(paths, [name]):
            found.append(name)
    return found


def _is_withheld(paths: Paths, name: str, digest: str) -> bool:
    """Whether a version of an installed module, other than the active one, is refused or held off."""
    known = read_known(paths, name)
    return not may_try(digest, known.refused_digests, held=known.held, owner=False)


def _payloads(paths: Paths) -> list[str]:
    """The names of all folders that could be modules; hidden ones and files are no affair of ours."""
    if not paths.package_modules.is_dir():
        return []
    return sorted(p.name for p in paths.package_modules.iterdir() if p.is_dir() and not p.name.startswith("."))


def _take_in(paths: Paths, name: str, done: TakenIn, *, waits: bool) -> None:
    folder = paths.package_modules / name
    if not is_module_name(name):
        what = "take in the package of a module"
        raise InputError.of([Problem(what, f"{name!a} is no module's name", str(paths.package_modules))])
    before = read_record(paths, name)
    if before is not None and before.installed:
        if before.origin != Origin.PACKAGE:
            why = "a module of that name was installed from a folder"
            problem = Problem(f"take in the package of {name}", why, str(folder), f"auroractl remove {name}")
            raise InputError.of([problem])
        digest = folder_digest(folder)
        if digest == before.source_digest:
            return
        if _is_withheld(paths, name, digest):
            done.withheld.append(name)
            return
    if is_torn(paths, package_name(name)):
        why = "dpkg was ended amid its work, so that what is there is neither the old version nor the new"
        remedy = "apt reinstall it, or apt purge it"
        raise InputError(f"take in the package of {name}", why, where=package_name(name), remedy=remedy)
    if problems := list(_strange(paths, name))[:PROBLEMS_MAX]:
        raise InputError.of(problems)
    folder_entries(folder, hard_links=False)  # dpkg makes them, also to files that are not the package's
    manifest = read_module(folder)
    if manifest.name != name:
        problem = Problem(f"take in the package of {name}", f"its manifest names {manifest.name}", str(folder))
        raise InputError.of([problem])
    mode, unaccepted = not_accepted(paths, name, folder)
    if unaccepted is not None and mode == SIGNATURES_REQUIRED:
        raise Refused.of([unaccepted])
    there = before is not None and before.installed
    if waits and there:
        done.waiting.append(name)
        return
    enabled = before.enabled if before is not None and there else True
    stage(paths, folder, manifest, Origin.PACKAGE, before, enabled=enabled)
    if unaccepted is not None:
        done.warnings.append(unaccepted)
    done.staged.append(name)


def _strange(paths: Paths, name: str) -> Iterator[Problem]:
    """What tells that the folder did not come with a package of its module, holding the module and nothing else.

    auroractl refuses such a package unseen; through apt it is there, with all it did, and its module does not run.
    """
    what = f"take in the package of {name}"
    folder = paths.package_modules / name
    if folder.is_symlink():
        yield Problem(what, "its folder is a link", str(folder), "a package made by auroractl pack")
    package = package_name(name)
    note = paths.dpkg_info / f"{package}.list"
    try:
        lines = read_bounded(note, max_bytes=LIST_MAX_BYTES)
    except FileNotFoundError:
        why = f"no package {package} is installed, and a module's folder comes with the package of its name"
        yield Problem(what, why, str(folder), "a package made by auroractl pack")
        return
    except OSError as error:
        raise HostError(what, str(error), where=str(note)) from error
    if len(lines) > LIST_MAX_BYTES:
        yield Problem(what, f"the list of its files has more than {LIST_MAX_BYTES} bytes", str(note))
        return
    inside = PurePosixPath("/", folder.relative_to(paths.root))
    owners = PurePosixPath("/", paths.owner_modules.relative_to(paths.root), f"{name}.toml")
    above = {*inside.parents, *owners.parents}
    for line in lines.decode(errors="replace").splitlines():
        path = PurePosixPath(line)
        if path not in above and path != owners and not path.is_relative_to(inside):
            yield Problem(what, f"its package has {line!a} as well", package, f"apt purge {package}")
    for script in SCRIPTS:
        if (paths.dpkg_info / f"{package}.{script}").exists(follow_symlinks=False):
            yield Problem(what, f"its package has a {script}, and a module's has none", package, f"apt purge {package}")


def _let_go(paths: Paths, record: Record) -> None:
    # Both, as its owner may have deleted the file, which must not cost the module its state.
    witnesses = (paths.owner_modules / f"{record.name}.toml", paths.dpkg_info / f"{package_name(record.name)}.list")
    purged = not any(witness.exists() for witness in witnesses)
    if record.installed or (record.removal == Removal.KEPT and purged):
        removal = Removal.PURGING if purged else Removal.REMOVING
        write_atomic(paths.records / record.name, record._replace(removal=removal).to_bytes())
