"""install and remove."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

from aurora.cli import render
from aurora.cli.control import report
from aurora.cli.core import take_in
from aurora.cli.repair import mend_installed
from aurora.errors import HostError, InputError, Problem
from aurora.host.caller import require_root
from aurora.host.dbus import connect
from aurora.host.process import run_attached
from aurora.names import package_name
from aurora.paths import Paths
from aurora.policy import SIGNATURES_OFF
from aurora.runtime.control import enable, stop
from aurora.runtime.folders import owner_settings, read_module
from aurora.runtime.install import install_folder
from aurora.runtime.install import remove as remove_module
from aurora.runtime.records import Origin, read_record, require
from aurora.runtime.update import allow_version
from aurora.runtime.updates import check_not_busy
from aurora.runtime.windows import waiting
from aurora.update.unpack import held, unpacked

__all__ = ["check_signatures", "install", "remove", "through_apt"]


def install(arguments: SimpleNamespace) -> int:
    """`auroractl install DIR|DEB`."""
    source = Path(arguments.source)
    if source.suffix == ".deb":
        return _install_package(source, start=not arguments.no_start)
    done = install_folder(Paths(), connect(), source, start=not arguments.no_start)
    record = done.record
    if record is None:
        render.tell("nothing was installed")
    if done.outcome is not None:
        plan = done.outcome.step.plan
        report([done.outcome], f"{plan.version if plan else ''} installed and started")
    elif record is not None:
        render.tell(f"{record.name} {record.version} installed; auroractl enable --now {record.name} starts it")
    return 0


def _install_package(deb: Path, *, start: bool) -> int:
    """Through apt, which keeps the record of packages and whose trigger makes core take the module in."""
    # What is installed is what was checked, whoever may write the file.
    with held(deb) as copy, unpacked(copy, shown=str(deb)) as folder:
        name = read_module(folder, shown=str(deb)).name
        if name != folder.name:
            problem = Problem("install the package", f"its manifest names {name}, not {folder.name}", str(deb))
            raise InputError.of([problem])
        check_signatures(Paths(), copy, folder, str(deb))
        before = read_record(Paths(), name)
        if before is not None and before.installed:
            allow_version(Paths(), name, folder)  # that it was refused before does not bind its owner
        through_apt([str(copy)])
        if before is not None and before.installed and before == read_record(Paths(), name):
            mend_installed(Paths(), name, folder, str(deb))
    if name in waiting(Paths())[0]:
        take_in([name], as_json=False)  # their owner is here and wants it now
    require(Paths(), name)
    if not start:
        enable(Paths(), [name], enabled=False)
        stop(Paths(), connect(), [name])
    render.tell(f"{name} installed; auroractl status {name} shows how it runs")
    return 0


def check_signatures(paths: Paths, copy: Path, folder: Path | None, shown: str) -> tuple[str, ...]:
    """What the owner wants to know of a package's signatures, before anything of it is installed.

    `copy` is the package and `folder` the module that is unpacked of it, None for the core's own package; nobody can
    change either. Refused when signatures are required and it is not accepted. The names of the keys for whose
    signatures it is; none where it is not, or the owner wants to know nothing.
    """
    mode = owner_settings(paths).signatures
    if mode == SIGNATURES_OFF:
        return ()
    # The cryptography library costs more than a start of Python.
    from aurora.cli.sign import admit  # noqa: PLC0415  # see above

    return admit(paths, copy, folder, mode=mode, shown=shown)


def through_apt(packages: Sequence[str]) -> None:
    """Have apt install .deb files, over any version there is; HostError when it does not."""
    _apt(["install", "--yes", "--no-install-recommends", "--allow-downgrades", "--reinstall", *packages])


def remove(arguments: SimpleNamespace) -> int:
    """`auroractl remove NAME…`."""
    if not arguments.purge:
        for name in arguments.names:
            require(Paths(), name)  # all or none: a name that is wrong changes nothing
    for name in arguments.names:
        record = read_record(Paths(), name)
        if record is not None and record.installed and record.origin == Origin.PACKAGE:
            check_not_busy(Paths(), f"remove the module {name}", [name])  # else apt's trigger would leave it as it is
            _apt(["purge" if arguments.purge else "remove", "--yes", package_name(name)])
        else:
            remove_module(Paths(), connect(), name, purge=arguments.purge, beside=arguments.names)
            if arguments.purge:
                from aurora.cli.durable import forget_kept  # noqa: PLC0415  # all else here does without

                forget_kept(Paths(), [name])
        render.tell(f"{name} removed" + (", with its state" if arguments.purge else ""))
    return 0


def _apt(arguments: Sequence[str]) -> None:
    """Run apt-get on this terminal: its progress and its questions are the user's to see, and no data."""
    require_root("change packages")
    status = run_attached(["apt-get", "--quiet", *arguments], talks=True)
    if status != 0:
        raise HostError(f"apt-get {arguments[0]}", f"it ended with status {status}", remedy="its messages above")
