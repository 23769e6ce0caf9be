"""Byte code that is taken over is that of the same text, sound, and imported without a look at the source."""

import importlib.util
import os
import py_compile
import subprocess
import sys
from pathlib import Path

import pytest

from aurora.errors import HostError
from aurora.host.bytecode import compile_folder
from aurora.host.staging import SYNC_TOGETHER_MAX

TEXT = "def said():\n    return (lambda: 'as it was compiled')()\n"
OTHER = TEXT.replace("compiled", "tampered")


def pyc(source: Path) -> Path:
    return Path(importlib.util.cache_from_source(source))


def said(folder: Path, expression: str = "one.said()") -> str:
    """What Python says that imports the file of `folder`."""
    command = [
        sys.executable,
        "-c",
        f"import sys; sys.path[:0] = [{str(folder)!r}]; import one; print({expression})",
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def folder_of_one(place: Path) -> Path:
    place.mkdir()
    (place / "one.py").write_text(TEXT)
    return place


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    return folder_of_one(tmp_path / "elsewhere")


@pytest.fixture
def code(tmp_path: Path) -> Path:
    return folder_of_one(tmp_path / "code")


def compiled_as_if(source: Path, text: str) -> Path:
    """Byte code that says of itself that it is of what `source` holds, and does what `text` does: so it shows."""
    kept = source.read_text()
    info = source.stat()
    py_compile.compile(str(source), doraise=True)
    header = pyc(source).read_bytes()[:16]
    source.write_text(text)
    py_compile.compile(str(source), doraise=True)
    source.write_text(kept)
    os.utime(source, ns=(info.st_atime_ns, info.st_mtime_ns))
    pyc(source).write_bytes(header + pyc(source).read_bytes()[16:])
    return pyc(source)


def test_what_was_compiled_of_the_same_text_is_taken_over(elsewhere: Path, code: Path) -> None:
    compiled_as_if(elsewhere / "one.py", OTHER)
    compile_folder(code, elsewhere)
    assert said(code) == "as it was tampered"
    assert said(code, "one.said.__code__.co_filename") == str(code / "one.py")


def test_python_does_not_look_at_the_source_when_it_imports_what_was_taken_over(elsewhere: Path, code: Path) -> None:
    py_compile.compile(str(elsewhere / "one.py"), doraise=True)
    compile_folder(code, elsewhere)
    (code / "one.py").write_text(OTHER)
    assert said(code) == "as it was compiled"


def test_what_was_compiled_of_another_text_is_not(elsewhere: Path, code: Path) -> None:
    (elsewhere / "one.py").write_text(OTHER)
    py_compile.compile(str(elsewhere / "one.py"), doraise=True)
    compile_folder(code, elsewhere)
    assert said(code) == "as it was compiled"


def test_what_is_older_than_its_source_is_not(elsewhere: Path, code: Path) -> None:
    compiled_as_if(elsewhere / "one.py", OTHER)
    os.utime(elsewhere / "one.py", (1, 1))
    compile_folder(code, elsewhere)
    assert said(code) == "as it was compiled"


@pytest.mark.parametrize("damage", ["cut off", "zeros", "no code", "nothing", "another Python's", "absent", "a folder"])
def test_what_is_damaged_is_not(elsewhere: Path, code: Path, damage: str) -> None:
    made = compiled_as_if(elsewhere / "one.py", OTHER)
    data = made.read_bytes()
    made.unlink()
    match damage:
        case "cut off":
            made.write_bytes(data[:-9])
        case "zeros":
            made.write_bytes(data[:16] + bytes(len(data) - 16))
        case "no code":
            made.write_bytes(data[:16] + b"N")
        case "nothing":
            made.write_bytes(b"")
        case "another Python's":
            made.write_bytes(b"\0\0\r\n" + data[4:])
        case "a folder":
            made.mkdir()
    compile_folder(code, elsewhere)
    assert said(code) == "as it was compiled"


def test_what_is_no_program_is_told(code: Path) -> None:
    (code / "one.py").write_text("def (:\n")
    with pytest.raises(HostError, match="no program of this Python"):
        compile_folder(code, code)


def test_each_file_and_its_folder_is_made_durable_and_no_handle_stays(
    code: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(SYNC_TOGETHER_MAX + 2):
        (code / f"more{number}.py").write_text(TEXT)
    durable: list[Path] = []
    fsync = os.fsync

    def traced(handle: int) -> None:
        durable.append(Path(f"/proc/self/fd/{handle}").readlink())
        fsync(handle)

    monkeypatch.setattr(os, "fsync", traced)
    before = len(list(Path("/proc/self/fd").iterdir()))
    compile_folder(code, elsewhere)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    made = sorted((code / "__pycache__").iterdir())
    assert len(made) == SYNC_TOGETHER_MAX + 3
    assert sorted(durable[:-1]) == made
    assert durable[-1] == code / "__pycache__"
