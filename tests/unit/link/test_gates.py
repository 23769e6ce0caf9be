"""The owner's word on where an approval is needed, as the hub reads it."""

from __future__ import annotations

import errno
import logging
from pathlib import Path

import pytest

from aurora.link.gates import ALL, Gates
from aurora.paths import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / "etc/aurora").mkdir(parents=True)
    return Paths(tmp_path)


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
