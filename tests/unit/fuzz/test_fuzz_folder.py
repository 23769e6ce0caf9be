"""Folders of strangers: taken with exactly what a module may hold, or refused with nothing written."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from aurora.errors import AuroraError
from aurora.host.files import folder_entries
from aurora.host.staging import copy_folder
from aurora.runtime.folders import folder_digest, read_module
from tests.unit.fuzz.budget import tries
from tests.unit.fuzz.material import manifests, toml
from tests.unit.fuzz.test_fuzz_manifest import check_refusal

FILE_NAMES = (
    "run.py", "module.toml", "module.json", ".hidden", "-rf", "a b", "\x1b[2J", "\n", "\udcff", "é", "%n",
    "__pycache__", "a\\b", ".git", "x" * 255,
)  # fmt: skip
file_names = st.sampled_from(FILE_NAMES) | st.text("abé\x7f\u202e%$'\" ", min_size=1, max_size=4)
KINDS = ("file", "file", "file", "folder", "link", "pipe", "setuid", "hard link")
trees = st.lists(st.tuples(st.lists(file_names, min_size=1, max_size=3), st.sampled_from(KINDS)), max_size=5)


def build(top: Path, tree: list[tuple[list[str], str]]) -> None:
    """What can be made of it: a name that is taken already stays."""
    for parts, kind in tree:
        place = top.joinpath(*parts)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            match kind:
                case "folder":
                    place.mkdir()
                case "link":
                    place.symlink_to("/etc/passwd")
                case "pipe":
                    os.mkfifo(place)
                case "hard link":
                    place.hardlink_to(top / "run.py")
                case _:
                    place.touch(exist_ok=False)
                    place.chmod(0o4755 if kind == "setuid" else 0o644)
        except (FileExistsError, NotADirectoryError):
            pass


@tries(60)
@given(manifests() | st.none(), trees)
def test_a_folder_is_a_module_or_refused_and_nothing_is_written(
    tmp_path_factory: pytest.TempPathFactory, tables: dict[str, object] | None, tree: list[tuple[list[str], str]]
) -> None:
    top = tmp_path_factory.mktemp("fuzz")
    folder, target = top / "module", top / "target"
    folder.mkdir()
    (folder / "run.py").write_text("pass")
    (folder / "module.toml").write_bytes(b"" if tables is None else toml(tables))
    build(folder, tree)
    try:
        manifest = read_module(folder)
        copy_folder(folder, target, check=read_module)
    except AuroraError as error:
        event("refused")
        check_refusal(error, kind=type(error))
        assert not target.exists()
    else:
        event("taken")
        assert read_module(target) == manifest
        assert folder_entries(target) == folder_entries(folder)
        assert folder_digest(target) == folder_digest(folder)
        for place in target.rglob("*"):
            assert not place.is_symlink()
            assert place.stat().st_mode & 0o7777 in (0o644, 0o755)
            assert place.is_dir() or place.stat().st_nlink == 1
    shutil.rmtree(top)
