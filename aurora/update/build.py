"""A package's content -> the .deb, and a .deb -> its module, through dpkg-deb(1)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aurora.errors import HostError, InputError, NotFound, Problem
from aurora.host.files import copy_folder, write_atomic
from aurora.host.process import run
from aurora.names import is_module_name
from aurora.update.package import MODULES_FOLDER, Content

__all__ = ["build_package", "unpacked"]

EPOCH_SEC = 1_735_689_600
"""All files of a package are of this time (2025-01-01), unless SOURCE_DATE_EPOCH says another."""
UNPACKED_MAX_BYTES = 1 << 30


def build_package(folder: Path, content: Content, output: Path) -> Path:
    """Make the .deb in the folder `output`, the same bytes for the same input; its path. Needs no root."""
    if not output.is_dir():
        raise NotFound("write the package", "there is no such folder", where=str(output))
    target = output / content.file_name
    with tempfile.TemporaryDirectory(prefix="aurora-pack-") as scratch:
        root = Path(scratch, "root")
        copy_folder(folder, root / content.folder)
        write_atomic(root / content.conffile, content.conffile_text.encode())
        write_atomic(root / "DEBIAN/control", content.control.encode())
        write_atomic(root / "DEBIAN/conffiles", f"/{content.conffile}\n".encode())
        _settle(root)
        made = Path(scratch, content.file_name)
        epoch = os.environ.get("SOURCE_DATE_EPOCH", str(EPOCH_SEC))
        argv = [
            "env",
            f"SOURCE_DATE_EPOCH={epoch}",
            "dpkg-deb",
            "--root-owner-group",
            "--build",
            str(root),
            str(made),
        ]
        run(argv)
        write_atomic(target, made.read_bytes())
    return target


def _settle(root: Path) -> None:
    """Modes and times that do not depend on who packs, and when (dpkg-deb clamps only times that are newer)."""
    for folder, _, files in os.walk(root, topdown=False):
        for name in files:
            file = Path(folder, name)
            file.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)
            os.utime(file, (EPOCH_SEC, EPOCH_SEC))
        Path(folder).chmod(0o755)
        os.utime(folder, (EPOCH_SEC, EPOCH_SEC))


@contextmanager
def unpacked(deb: Path) -> Iterator[Path]:
    """The folder of the one module in a .deb, unpacked to a temporary place while the body runs.

    NotFound when there is no such file; InputError when it is not a package with exactly one module.
    """
    if not deb.is_file():
        raise NotFound("read the package", "there is no such file", where=str(deb))
    if _unpacked_size_bytes(deb) > UNPACKED_MAX_BYTES:
        why = f"it unpacks to more than {UNPACKED_MAX_BYTES} bytes"
        raise InputError.of([Problem("read the package", why, str(deb))])
    with tempfile.TemporaryDirectory(prefix="aurora-deb-") as scratch:
        try:
            run(["dpkg-deb", "--extract", str(deb), scratch])
        except HostError as error:
            raise InputError.of([Problem("read the package", error.problems[0].why, str(deb))]) from error
        folder = Path(scratch, MODULES_FOLDER)
        found = [one for one in folder.iterdir() if is_module_name(one.name)] if folder.is_dir() else []
        if len(found) != 1:
            why = f"it holds {len(found)} modules under /{MODULES_FOLDER}, not one"
            raise InputError.of([Problem("read the package", why, str(deb), "auroractl pack DIR makes one")])
        yield found[0]


def _unpacked_size_bytes(deb: Path) -> int:
    """The sum of the sizes that the package's table of contents names."""
    try:
        listing = run(["dpkg-deb", "--contents", str(deb)]).stdout
    except HostError as error:
        raise InputError.of([Problem("read the package", error.problems[0].why, str(deb))]) from error
    fields = (line.split(None, 3) for line in listing.splitlines())
    return sum(int(field[2]) for field in fields if len(field) == 4 and field[2].isdigit())
