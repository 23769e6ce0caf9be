"""Whether packages of ours that apt is about to install may come in."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from aurora.cli.install import check_signatures
from aurora.errors import AuroraError, InputError, Problem, Refused
from aurora.names import CORE_PACKAGE, package_name
from aurora.paths import Paths
from aurora.update.incoming import Incoming
from aurora.update.unpack import held, unpacked

__all__ = ["admit_all"]


def admit_all(paths: Paths, packages: Iterable[Incoming]) -> None:
    """Judge packages of modules as `auroractl install` does, and the core's for its signatures alone.

    Refused with all that is wrong with any of them: then none is to be installed.
    """
    problems: list[Problem] = []
    for one in packages:
        try:
            _admit(paths, one)
        except AuroraError as error:
            problems.extend(error.problems)
    if problems:
        raise Refused.of(problems)


def _admit(paths: Paths, one: Incoming) -> None:
    with held(Path(one.file)) as copy:
        if one.package == CORE_PACKAGE:
            check_signatures(paths, copy, None, one.file)
            return
        with unpacked(copy, shown=one.file) as folder:
            if package_name(folder.name) != one.package:
                raise InputError(
                    "let apt install a package", f"{one.package} holds the module {folder.name}", where=one.file
                )
            check_signatures(paths, copy, folder, one.file)
