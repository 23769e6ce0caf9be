"""A package's content -> the .deb, through dpkg-deb(1)."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from aurora.errors import NotFound
from aurora.host.files import write_atomic
from aurora.host.process import run
from aurora.host.staging import copy_folder
from aurora.update.package import Content

__all__ = ["build_package"]

EPOCH_SEC = 1_735_689_600
"""All files of a package are of this time (2025-01-01), unless SOURCE_DATE_EPOCH says another."""


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
