"""A new module from the template."""

from __future__ import annotations

import re
from pathlib import Path

from aurora.errors import HostError, NotFound, Refused
from aurora.host.files import read_bounded, write_atomic
from aurora.host.staging import copy_folder

__all__ = ["make_module"]

_NAME_LINE = re.compile(r'^name = "[^"]*"', re.MULTILINE)


def make_module(template: Path, parent: Path, name: str) -> Path:
    """Copy the template to `parent/name` under its new name; the folder.

    Refused when there is something already; NotFound when the parent or the template is not there.
    """
    folder = parent / name
    if not parent.is_dir():
        raise NotFound("make the module", "there is no such folder", where=str(parent))
    if folder.exists() or folder.is_symlink():
        raise Refused("make the module", "there is something of that name already", where=str(folder))
    if not template.is_dir():
        raise NotFound("make the module", "the template is not installed", where=str(template))
    copy_folder(template, folder)
    manifest = folder / "module.toml"
    try:
        text = read_bounded(manifest, max_bytes=1 << 16).decode()
    except OSError as error:
        raise HostError("make the module", str(error), where=str(manifest)) from error
    write_atomic(manifest, _NAME_LINE.sub(f'name = "{name}"', text, count=1).encode())
    return folder
