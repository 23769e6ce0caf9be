from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aurora.errors import AuroraError, Denied, HostError, InputError, Refused
from aurora.host import files, staging
from aurora.host.files import (
    Entry,
    folder_entries,
    locked,
    read_bounded,
    remove_tree,
    remove_unfinished,
    replace_link,
    write_atomic,
)
from aurora.host.staging import copy_folder


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def tree(folder: Path) -> dict[str, str | None]:
    """Every path below and its content; None for a folder."""
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_text()
        for path in sorted(folder.rglob("*"))
    }  # fmt: skip


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the kernel, in order."""
    made: list[str] = []
    fsync, replace = os.fsync, os.replace

    def traced_fsync(handle: int) -> None:
        made.append("fsync folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "fsync file")
        fsync(handle)

    def traced_replace(source: Path, target: Path) -> None:
        made.append("replace")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", traced_fsync)
    monkeypatch.setattr(os, "replace", traced_replace)
    return made


# write_atomic


def test_a_file_is_written_with_its_folders_and_mode(tmp_path: Path) -> None:
    file = tmp_path / "a/b/file"
    write_atomic(file, b"text", mode=0o600)
    assert file.read_bytes() == b"text"
    assert file.stat().st_mode & 0o777 == 0o600
    assert names_in(file.parent) == ["file"]


def test_content_is_on_disk_before_its_name_and_the_name_before_it_returns(tmp_path: Path, calls: list[str]) -> None:
    write_atomic(tmp_path / "file", b"text")
    assert calls == ["fsync file", "replace", "fsync folder"]


def test_what_does_not_outlive_a_reboot_is_not_synced(tmp_path: Path, calls: list[str]) -> None:
    write_atomic(tmp_path / "file", b"text", durable=False)
    assert calls == ["replace"]


def test_a_file_is_written_from_chunks_and_stays_as_it_was_when_one_does_not_come(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_atomic(file, (chunk for chunk in (b"te", b"", b"xt")))
    assert file.read_bytes() == b"text"

    def failing() -> Iterator[bytes]:
        yield b"new"
        raise ValueError("the source is gone")

    with pytest.raises(ValueError, match="the source is gone"):
        write_atomic(file, failing())
    assert tree(tmp_path) == {"file": "text"}


@pytest.mark.parametrize("broken", ["open", "fsync", "replace"])
@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, HostError), (errno.EIO, HostError), (errno.EACCES, Denied)]
)
def test_a_write_that_fails_leaves_the_old_content_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str, number: int, kind: type[AuroraError]
) -> None:
    file = tmp_path / "file"
    file.write_text("old")

    def fail(*_args: object, **_more: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, broken, fail)
        with pytest.raises(kind) as caught:
            write_atomic(file, b"new")
    assert caught.value.problems[0].where == str(file)
    assert file.read_text() == "old"
    assert names_in(tmp_path) == ["file"]


def test_a_disk_that_is_full_leaves_the_old_content(tmp_path: Path) -> None:
    # The kernel's own full disk: every write to /dev/full fails with ENOSPC.
    file = tmp_path / "file"
    file.write_text("old")
    real_open = os.open
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", lambda _path, _flags, _mode=0: real_open("/dev/full", os.O_WRONLY))
        with pytest.raises(HostError, match="No space left"):
            write_atomic(file, b"new")
    assert file.read_text() == "old"


def test_an_interruption_leaves_the_old_content_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_text("old")

    def interrupt(_handle: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(file, b"new")
    assert file.read_text() == "old"
    assert names_in(tmp_path) == ["file"]


def test_what_a_killed_write_left_is_found_and_removed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("whole")
    (tmp_path / ".file.0a1b2c3d").write_text("half")
    remove_unfinished(tmp_path)
    assert tree(tmp_path) == {"file": "whole"}
    remove_unfinished(tmp_path / "not there")


def test_a_link_is_pointed_elsewhere_in_one_step(tmp_path: Path, calls: list[str]) -> None:
    link = tmp_path / "link"
    replace_link(link, "a")
    replace_link(link, "b")
    assert os.readlink(link) == "b"  # noqa: PTH115  # as it was written
    assert names_in(tmp_path) == ["link"]
    assert calls[-2:] == ["replace", "fsync folder"]


# read_bounded


def test_reading_stops_one_byte_behind_the_bound(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 100)
    assert len(read_bounded(file, max_bytes=10)) == 11
    assert len(read_bounded(file, max_bytes=100)) == 100


def test_reading_follows_no_link_and_waits_for_no_pipe(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "."):
        with pytest.raises(OSError, match=r"."):
            read_bounded(tmp_path / name, max_bytes=10)


# folder_entries and copy_folder


@pytest.fixture
def module(tmp_path: Path) -> Path:
    folder = tmp_path / "module"
    (folder / "data/deep").mkdir(parents=True)
    (folder / "run.py").write_text("pass")
    (folder / "tool").write_text("#!/bin/sh")
    (folder / "tool").chmod(0o755)
    (folder / "data/deep/x").write_text("x")
    return folder


def refusal_of(folder: Path) -> list[tuple[str, str]]:
    """Where and why the folder is refused; that nothing was copied is checked."""
    target = folder.parent / "target"
    with pytest.raises(InputError) as caught:
        copy_folder(folder, target)
    assert not target.exists()
    return [(problem.where, problem.why) for problem in caught.value.problems]


def test_the_entries_of_a_folder_are_sorted_and_tell_what_counts(module: Path) -> None:
    assert folder_entries(module) == [
        Entry("data", is_folder=True, size_bytes=0, executable=False),
        Entry("data/deep", is_folder=True, size_bytes=0, executable=False),
        Entry("data/deep/x", is_folder=False, size_bytes=1, executable=False),
        Entry("run.py", is_folder=False, size_bytes=4, executable=False),
        Entry("tool", is_folder=False, size_bytes=9, executable=True),
    ]


def test_what_python_and_git_leave_is_not_part_of_a_module(module: Path) -> None:
    before = folder_entries(module)
    (module / "__pycache__").mkdir()
    (module / "__pycache__/x.pyc").write_text("x")
    (module / ".git").symlink_to("/")
    assert folder_entries(module) == before


def test_a_copy_has_the_same_files_and_modes_that_depend_on_nothing(module: Path, tmp_path: Path) -> None:
    (module / "run.py").chmod(0o600)
    (module / "tool").chmod(0o700)
    (module / "data").chmod(0o700)
    mask = os.umask(0o077)
    try:
        copy_folder(module, tmp_path / "target")
    finally:
        os.umask(mask)
    assert tree(tmp_path / "target") == tree(module)
    modes = {path: (tmp_path / "target" / path).stat().st_mode & 0o7777 for path in (".", "run.py", "tool", "data")}
    assert modes == {".": 0o755, "run.py": 0o644, "tool": 0o755, "data": 0o755}


def test_a_copy_takes_the_place_of_what_was_there(module: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    (target / "old").mkdir(parents=True)
    (target / "run.py").write_text("older")
    copy_folder(module, target)
    assert tree(target) == tree(module)


def test_every_file_and_folder_of_a_copy_is_synced(module: Path, tmp_path: Path, calls: list[str]) -> None:
    copy_folder(module, tmp_path / "target")
    assert calls.count("fsync file") == 3
    assert calls.count("fsync folder") == 4, "data, data/deep, the target and what holds it"
    assert calls.index("fsync folder") > len(calls) - 5, "names come after what they name"


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: path.symlink_to("run.py"), "it is a link"),
        (lambda path: path.symlink_to("/etc"), "it is a link"),
        (lambda path: path.symlink_to("nowhere"), "it is a link"),
        (os.mkfifo, "it is a link, a device, a socket or a pipe"),
        (lambda path: (path.write_text("x"), path.chmod(0o4755)), "it is setuid or setgid"),
        (lambda path: (path.write_text("x"), path.chmod(0o2755)), "it is setuid or setgid"),
    ],
    ids=["link", "link to a folder", "dangling link", "pipe", "setuid", "setgid"],
)
def test_a_file_that_a_module_may_not_hold_is_named(module: Path, make: Callable[[Path], object], why: str) -> None:
    make(module / "data/bad")
    ((where, said),) = refusal_of(module)
    assert where == str(module / "data/bad")
    assert why in said


def test_a_socket_is_refused(module: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(module / "bad"))
        ((where, _),) = refusal_of(module)
    assert where == str(module / "bad")


@pytest.mark.parametrize("name", ["two\nlines", "bell\a", "back\\slash", "\udcff", "\u202eright-to-left"])
def test_a_name_that_is_not_plain_text_is_refused(module: Path, name: str) -> None:
    (module / name).write_text("x")
    ((where, why),) = refusal_of(module)
    assert why == "the name is not plain text"
    assert where.isprintable()


def test_a_module_may_have_names_in_any_language(module: Path, tmp_path: Path) -> None:
    (module / "Gr\u00f6\u00dfe \u4e16").write_text("x")
    copy_folder(module, tmp_path / "target")
    assert tree(tmp_path / "target") == tree(module)


def test_everything_that_is_wrong_is_named_at_once(module: Path) -> None:
    (module / "link").symlink_to("x")
    os.mkfifo(module / "data/pipe")
    (module / "data/deep/x").chmod(0o4644)
    assert sorted(where for where, _ in refusal_of(module)) == [
        str(module / "data/deep/x"),
        str(module / "data/pipe"),
        str(module / "link"),
    ]


def test_a_folder_with_too_many_entries_is_refused(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "FOLDER_MAX_ENTRIES", 5)
    assert len(folder_entries(module)) == 5
    (module / "one-more").write_text("x")
    assert any("more than 5 files and folders" in why for _, why in refusal_of(module))


def test_a_folder_with_too_many_bytes_is_refused(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "FOLDER_MAX_BYTES", 14)
    assert sum(entry.size_bytes for entry in folder_entries(module)) == 14
    (module / "run.py").write_text("pass!")
    assert refusal_of(module) == [(str(module), "its files have 15 bytes, more than 14")]


def test_a_folder_that_is_nested_too_deeply_is_refused(module: Path) -> None:
    deep = module.joinpath(*["d"] * files.FOLDER_MAX_DEPTH)
    deep.mkdir(parents=True)
    assert folder_entries(module)
    (deep / "d").mkdir()
    ((_, why),) = refusal_of(module)
    assert f"nested deeper than {files.FOLDER_MAX_DEPTH}" in why


def test_a_folder_that_cannot_be_read_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(HostError):
        folder_entries(tmp_path / "not there")


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, HostError), (errno.EACCES, Denied)])
def test_a_copy_that_fails_says_where(
    module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[AuroraError]
) -> None:
    def fail(_handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(kind) as caught:
        copy_folder(module, tmp_path / "target")
    assert caught.value.problems[0].where == str(tmp_path / "target")


@pytest.mark.parametrize("swapped", ["data", "data/deep", "data/deep/x", "run.py"])
def test_what_is_swapped_for_a_link_during_the_copy_is_not_followed(
    module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swapped: str
) -> None:
    secret = tmp_path / "secret"
    (secret / "deep").mkdir(parents=True)
    (secret / "x").write_text("?")
    (secret / "deep/x").write_text("?")
    look = files.folder_entries

    def and_swap(folder: Path, *, hard_links: bool = True) -> list[Entry]:
        found = look(folder, hard_links=hard_links)
        (module / swapped).rename(tmp_path / "away")
        (module / swapped).symlink_to(secret / "x" if swapped.endswith(("x", ".py")) else secret)
        return found

    monkeypatch.setattr(staging, "folder_entries", and_swap)
    with pytest.raises(HostError):
        copy_folder(module, tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_a_file_that_grows_or_becomes_a_pipe_during_the_copy_is_not_read_on(
    module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = files.folder_entries

    def and_change(folder: Path, *, hard_links: bool = True) -> list[Entry]:
        found = look(folder, hard_links=hard_links)
        changes.pop(0)()
        return found

    monkeypatch.setattr(staging, "folder_entries", and_change)
    changes: list[Callable[[], object]] = [
        lambda: (module / "run.py").write_text("pass" * 1000),
        lambda: ((module / "run.py").unlink(), os.mkfifo(module / "run.py")),
    ]
    for _ in range(2):
        with pytest.raises(HostError):
            copy_folder(module, tmp_path / "target")
        assert not (tmp_path / "target").exists()


def test_nobody_looks_into_a_copy_before_it_was_checked(module: Path, tmp_path: Path) -> None:
    def check(copy: Path) -> None:
        assert copy.stat().st_mode & 0o777 == 0o700
        assert tree(copy) == tree(module)
        raise InputError("stage the module", "it changed")

    with pytest.raises(InputError):
        copy_folder(module, tmp_path / "target", check=check)
    assert not (tmp_path / "target").exists()


def test_a_hard_link_is_told_where_it_is_asked_for(module: Path, tmp_path: Path) -> None:
    (module / "same").hardlink_to(module / "run.py")
    assert len(folder_entries(module)) == 6
    with pytest.raises(InputError, match="it is a hard link") as caught:
        folder_entries(module, hard_links=False)
    assert len(caught.value.problems) == 2


# remove_tree


def test_a_tree_is_removed_and_what_its_links_point_at_is_not(module: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("x")
    (module / "link").symlink_to(kept)
    (module / "data/link").symlink_to(kept / "file")
    remove_tree(module)
    assert tree(tmp_path) == {"kept": None, "kept/file": "x"}


def test_a_link_to_a_tree_is_removed_alone(module: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(module)
    before = tree(module)
    remove_tree(tmp_path / "link")
    assert names_in(tmp_path) == ["module"]
    assert tree(module) == before


def test_removing_what_is_not_there_does_nothing(tmp_path: Path) -> None:
    remove_tree(tmp_path / "a/b")


# locked


def holds(path: Path) -> bool:
    """Whether somebody holds the lock."""
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "run/lock"
    yield path
    assert not holds(path), "it was not given back"


def test_a_lock_is_held_while_the_body_runs(lock: Path) -> None:
    with locked(lock):
        assert holds(lock)


def test_a_lock_is_given_back_when_the_body_fails(lock: Path) -> None:
    with pytest.raises(KeyboardInterrupt), locked(lock):
        raise KeyboardInterrupt


def test_one_who_does_not_want_to_wait_is_refused(lock: Path) -> None:
    with locked(lock):
        with pytest.raises(Refused), locked(lock, wait=False):
            pytest.fail("two held it")
        assert holds(lock)


def test_a_lock_that_cannot_be_made_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file in the folder's place")
    with pytest.raises(HostError), locked(tmp_path / "run/lock"):
        pytest.fail("it was not held")


def test_what_is_the_same_in_an_earlier_copy_is_the_same_file_and_all_else_is_written(
    module: Path, tmp_path: Path
) -> None:
    earlier, later = tmp_path / "a", tmp_path / "b"
    copy_folder(module, earlier)
    (module / "run.py").write_text("fail")
    (module / "data/deep/x").chmod(0o755)
    copy_folder(module, later, alike=earlier)
    assert tree(later) == tree(module)
    same = {str(path.relative_to(later)) for path in later.rglob("*") if path.is_file() and path.stat().st_nlink == 2}
    every = {str(path.relative_to(later)) for path in later.rglob("*") if path.is_file()}
    assert same == every - {"run.py", "data/deep/x"}
    assert same


@pytest.mark.parametrize("damage", ["other bytes", "mode", "link", "pipe", "gone"])
def test_what_was_damaged_in_an_earlier_copy_is_not_the_same(module: Path, tmp_path: Path, damage: str) -> None:
    earlier, later = tmp_path / "a", tmp_path / "b"
    copy_folder(module, earlier)
    place = earlier / "run.py"
    held = place.read_bytes()
    if damage == "mode":
        place.chmod(0o666)
    else:
        place.unlink()
    if damage == "other bytes":
        place.write_bytes(bytes([held[0] ^ 1]) + held[1:])
    elif damage == "link":
        (tmp_path / "outside").write_bytes(held)
        place.symlink_to(tmp_path / "outside")
    elif damage == "pipe":
        os.mkfifo(place)
    copy_folder(module, later, alike=earlier)
    assert tree(later) == tree(module)
    assert (later / "run.py").stat().st_nlink == 1
