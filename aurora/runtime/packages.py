"""Module packages: dpkg puts payload into /usr/lib/aurora/modules, this takes it in or lets it go.

A module package has no maintainer scripts. It holds its folder and one configuration file,
/etc/aurora/modules/NAME.toml: dpkg keeps it, and its own note of the package, until the package is purged, and its
going triggers us.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from aurora.errors import AuroraError, HostError, InputError, Problem
from aurora.host.files import folder_entries, read_bounded, write_atomic
from aurora.names import is_module_name, package_name
from aurora.paths import Paths
from aurora.runtime.folders import folder_digest, read_module
from aurora.runtime.install import stage
from aurora.runtime.records import Origin, Record, Removal, read_record, read_records

__all__ = ["take_in_packages"]

SCRIPTS = ("config", "postinst", "postrm", "preinst", "prerm", "triggers")
"""What dpkg would keep of a package for itself to run or follow, and a module's package does not have."""
LIST_MAX_BYTES = 16 << 20
"""A longer list of a package's files is not read, and the package is refused."""
PROBLEMS_MAX = 50
"""More are not said of one package."""


def take_in_packages(paths: Paths) -> tuple[list[str], list[Problem]]:
    """Stage packages that are new or changed, and mark those that are gone for removal. Call with the lock held.

    The names of modules that were staged, and the problems of packages that could not be: one bad package does not
    keep the others out.
    """
    staged: list[str] = []
    problems: list[Problem] = []
    there = _payloads(paths)
    for name in there:
        try:
            if _take_in(paths, name):
                staged.append(name)
        except AuroraError as error:
            problems += error.problems
    for record in read_records(paths):
        if record.origin == Origin.PACKAGE and record.name not in there:
            _let_go(paths, record)
    return staged, problems


def _payloads(paths: Paths) -> list[str]:
    """The names of all folders that could be modules; hidden ones and files are no affair of ours."""
    if not paths.package_modules.is_dir():
        return []
    return sorted(p.name for p in paths.package_modules.iterdir() if p.is_dir() and not p.name.startswith("."))


def _take_in(paths: Paths, name: str) -> bool:
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
        if before.source_digest == folder_digest(folder):
            return False
    if problems := list(_strange(paths, name))[:PROBLEMS_MAX]:
        raise InputError.of(problems)
    folder_entries(folder, hard_links=False)  # dpkg makes them, also to files that are not the package's
    manifest = read_module(folder)
    if manifest.name != name:
        problem = Problem(f"take in the package of {name}", f"its manifest names {manifest.name}", str(folder))
        raise InputError.of([problem])
    known = before is not None and before.installed
    enabled = before.enabled if before is not None and known else True
    stage(paths, folder, manifest, Origin.PACKAGE, before, enabled=enabled)
    return True


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
