"""install and remove."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

from aurora.cli import render
from aurora.cli.control import report
from aurora.errors import Denied, HostError, InputError, Problem
from aurora.host.dbus import connect
from aurora.host.process import run_attached
from aurora.names import package_name
from aurora.paths import Paths
from aurora.runtime.control import enable, stop
from aurora.runtime.folders import read_module
from aurora.runtime.install import install_folder
from aurora.runtime.install import remove as remove_module
from aurora.runtime.records import Origin, read_record, require
from aurora.update.unpack import held, unpacked

__all__ = ["install", "remove"]


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
    with held(deb) as copy:  # what is installed is what was checked, whoever may write the file
        with unpacked(copy, shown=str(deb)) as folder:
            name = read_module(folder, shown=str(deb)).name
            if name != folder.name:
                problem = Problem("install the package", f"its manifest names {name}, not {folder.name}", str(deb))
                raise InputError.of([problem])
        _apt(
            [
                "install",
                "--yes",
                "--no-install-recommends",
                "--allow-downgrades",
                "--reinstall",
                str(copy),
            ]
        )
    require(Paths(), name)
    if not start:
        enable(Paths(), [name], enabled=False)
        stop(Paths(), connect(), [name])
    render.tell(f"{name} installed; auroractl status {name} shows how it runs")
    return 0


def remove(arguments: SimpleNamespace) -> int:
    """`auroractl remove NAME…`."""
    if not arguments.purge:
        for name in arguments.names:
            require(Paths(), name)  # all or none: a name that is wrong changes nothing
    for name in arguments.names:
        record = read_record(Paths(), name)
        if record is not None and record.installed and record.origin == Origin.PACKAGE:
            _apt(["purge" if arguments.purge else "remove", "--yes", package_name(name)])
        else:
            remove_module(Paths(), connect(), name, purge=arguments.purge, beside=arguments.names)
        render.tell(f"{name} removed" + (", with its state" if arguments.purge else ""))
    return 0


def _apt(arguments: Sequence[str]) -> None:
    """Run apt-get on this terminal: its progress and its questions are the user's to see."""
    if os.geteuid() != 0:
        raise Denied("change packages", "only root may", remedy="sudo")
    status = run_attached(["apt-get", "--quiet", *arguments])
    if status != 0:
        raise HostError(f"apt-get {arguments[0]}", f"it ended with status {status}", remedy="its messages above")
