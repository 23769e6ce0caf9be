"""The owner's word on where an approval is needed, as the hub reads it."""

from __future__ import annotations

import errno
import json
import logging
import os
from pathlib import Path

import pytest

from aurora.link import rulebook
from aurora.link.bounds import Bounds
from aurora.link.gates import ALL, Gates
from aurora.paths import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / "etc/aurora").mkdir(parents=True)
    return Paths(tmp_path)


def applied(paths: Paths, module: str, **rules: object) -> Path:
    """The rules of a module whose plan systemd was given, written as they are: beside, and swapped in."""
    paths.link_rules.mkdir(parents=True, exist_ok=True)
    place = paths.link_rules / f"{module}.json"
    beside = place.with_name(f".{place.name}.0123abcd")
    beside.write_text(json.dumps(rules))
    beside.replace(place)
    return place


def long_ago(paths: Paths) -> None:
    """Nothing has changed in the folder for a while."""
    os.utime(paths.link_rules, (1_700_000_000, 1_700_000_000))


def test_without_a_file_nothing_needs_one(paths: Paths) -> None:
    assert Gates(paths)() == ()


def test_a_change_of_the_file_counts_from_the_next_look_on(paths: Paths) -> None:
    gates = Gates(paths)
    paths.owner_core.write_text('[link]\napprove = ["door/#"]\n')
    assert gates() == ("door/#",)
    other = paths.owner_core.with_suffix(".new")
    other.write_text('[link]\napprove = ["lock/#"]\n')
    other.replace(paths.owner_core)
    assert gates() == ("lock/#",)
    paths.owner_core.unlink()
    assert gates() == ()


def test_it_is_read_only_when_it_has_changed(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    gates = Gates(paths)
    paths.owner_core.write_text('[link]\napprove = ["door/#"]\n')
    assert gates() == ("door/#",)
    monkeypatch.setattr("aurora.link.origins.owner", lambda _paths: pytest.fail("it was read again"))
    assert gates() == ("door/#",)


@pytest.mark.parametrize("text", ["[link\n", '[link]\naprove = ["door/#"]\n', '[link]\napprove = "door/#"\n'])
def test_while_it_is_wrong_all_needs_one_and_the_journal_says_so(
    paths: Paths, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    paths.owner_core.write_text(text)
    with caplog.at_level(logging.WARNING):
        assert Gates(paths)() == ALL
    assert str(paths.owner_core) in caplog.text


def test_while_others_may_write_it_all_needs_one(paths: Paths) -> None:
    paths.owner_core.write_text("")
    paths.owner_core.chmod(0o666)
    assert Gates(paths)() == ALL


def test_what_could_not_be_read_is_read_again_at_the_next_look_though_nothing_has_changed(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gates = Gates(paths)
    paths.owner_core.write_text('[link]\napprove = ["door/#"]\n')

    def broken(_paths: Paths) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr("aurora.link.origins.owner", broken)
        assert [gates(), gates()] == [ALL, ALL]
    assert len(caplog.records) == 1, "it is told once"
    assert gates() == ("door/#",)


def test_what_manifests_name_for_all_counts_beside_what_the_owner_names(paths: Paths) -> None:
    gates = Gates(paths)
    assert gates() == ()
    applied(paths, "lock", serve=["lock/#"], approve_all=["lock/+"])
    applied(paths, "robot", publish=["arm/#"], approve=["arm/#"])
    assert gates() == ("lock/+",), "what a module names for what it sends itself is nothing to others"
    applied(paths, "door", subscribe=["door"], approve_all=["door", "lock/+"])
    paths.owner_core.write_text('[link]\napprove = ["house/#"]\n')
    assert gates() == ("house/#", "door", "lock/+")
    applied(paths, "lock", serve=["lock/#"])
    (paths.link_rules / "door.json").unlink()
    assert gates() == ("house/#",)


def test_what_is_only_being_written_does_not_count(paths: Paths) -> None:
    place = applied(paths, "lock", approve_all=["lock/+"])
    place.with_name(".door.json.0123abcd").write_text("{")
    assert Gates(paths)() == ("lock/+",)


def test_manifests_are_read_again_only_when_something_has_changed(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    gates = Gates(paths)
    applied(paths, "lock", approve_all=["lock/+"])
    applied(paths, "door", approve_all=["door"])
    long_ago(paths)
    assert gates() == ("door", "lock/+")
    read: list[str] = []
    real = rulebook._read
    monkeypatch.setattr(rulebook, "_read", lambda place: read.append(place.name) or real(place))
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", lambda _place: pytest.fail("it was looked through again"))
        assert gates() == ("door", "lock/+")
    applied(paths, "lock", approve_all=["lock/#"])
    assert gates() == ("door", "lock/#")
    assert read == ["lock.json"]


def test_a_change_within_the_same_tick_of_the_clock_is_not_missed(paths: Paths) -> None:
    gates = Gates(paths)
    applied(paths, "lock", approve_all=["lock/+"])
    before = paths.link_rules.stat().st_mtime_ns
    assert gates() == ("lock/+",)
    applied(paths, "door", approve_all=["door"])
    os.utime(paths.link_rules, ns=(before, before))
    assert gates() == ("door", "lock/+")


@pytest.mark.parametrize("text", ["", "{", '{"approve_all": "door"}', " " * (rulebook.FILE_MAX_BYTES + 1)])
def test_while_the_rules_of_one_module_cannot_be_read_all_needs_one(
    paths: Paths, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    gates = Gates(paths)
    applied(paths, "door", approve_all=["door"])
    place = applied(paths, "lock", approve_all=["lock/+"])
    place.write_text(text)
    long_ago(paths)
    with caplog.at_level(logging.WARNING):
        assert [gates(), gates()] == [ALL, ALL]
    assert str(place) in caplog.text
    assert len(caplog.records) == 1
    place.write_text('{"approve_all": ["lock/#"]}')
    long_ago(paths)
    assert gates() == ("door", "lock/#"), "it is read again though the folder looks the same"


def test_while_the_folder_cannot_be_read_all_needs_one(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    gates = Gates(paths)
    applied(paths, "lock", approve_all=["lock/+"])

    def broken(_place: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", broken)
        assert gates() == ALL
    assert gates() == ("lock/+",)


def test_more_patterns_than_may_be_are_all(paths: Paths, caplog: pytest.LogCaptureFixture) -> None:
    applied(paths, "lock", approve_all=["a", "b", "c"])
    with caplog.at_level(logging.WARNING):
        assert Gates(paths, Bounds(gates_max=2))() == ALL
    assert "3 patterns" in caplog.text
    assert Gates(paths, Bounds(gates_max=3))() == ("a", "b", "c")
