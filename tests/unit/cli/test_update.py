from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from aurora.cli import install, update
from aurora.cli.main import main
from aurora.paths import Paths
from aurora.plan.update import End, Kind, Move, State, Transaction, Version
from aurora.runtime.records import Origin, Record
from aurora.runtime.updates import Known, RefusedVersion, write_known, write_transaction


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A machine with hello 2, which was updated from 1."""
    paths = Paths(tmp_path)
    monkeypatch.setattr(update, "Paths", lambda: paths)
    record = Record(
        name="hello", version="2", description="", origin=Origin.FOLDER, enabled=True, slot="b", source_digest="2"
    )
    paths.records.mkdir(parents=True)
    (paths.records / "hello").write_bytes(record.to_bytes())
    write_transaction(paths, transaction("00000001", State.NONE, end=End.UPDATED))
    return paths


def version(text: str, slot: str) -> Version:
    return Version(version=text, description="", slot=slot, digest=text)


def transaction(name: str, state: State, *, end: End = End.OPEN, why: str = "") -> Transaction:
    move = Move(
        module="hello", before=version("1", "a"), after=version("2", "b"), up=True, written_bytes=2048,
        permissions=("more",), signed_by=("ann", "bob"), messages_lost=3,
    )  # fmt: skip
    return Transaction(
        id=name, kind=Kind.UPDATE, state=state, moves=(move,), beside=(), window_usec=60_000_000, begun_usec=1,
        down_usec=12_345, end=end, why=why,
    )  # fmt: skip


def test_the_history_tells_what_was_done_and_how_it_ended(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    write_transaction(paths, transaction("00000002", State.NONE, end=End.ROLLED_BACK, why="it has ended\nlines"))
    assert main(["update", "history"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["WHEN", "MODULE", "FROM", "TO", "DOWN", "LOST", "WRITTEN", "SIGNED", "BY", "ENDED"]
    assert lines[1].split()[2:] == ["hello", "1", "2", "12ms", "3", "2K", "ann,", "bob", "updated"]
    assert lines[2].endswith("rolled back: it has ended")
    assert main(["update", "history", "other"]) == 0
    assert capsys.readouterr() == ("", "nothing was updated\n")


def test_the_history_is_data_too(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["update", "history", "hello", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["end"], row["downtime_ms"], row["window_usec"]) == ("updated", 12, 60_000_000)
    assert row["modules"] == [
        {
            "module": "hello", "from": "1", "to": "2", "written_bytes": 2048, "permissions": ["more"], "was_up": True,
            "signed_by": ["ann", "bob"], "messages_lost": 3,
        }
    ]  # fmt: skip


def test_what_is_not_known_of_an_update_is_not_said_to_be_nothing(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    one = transaction("00000002", State.NONE, end=End.UPDATED)
    (move,) = one.moves
    write_transaction(paths, replace(one, moves=(replace(move, messages_lost=None, signed_by=()),)))
    write_transaction(paths, replace(one, id="00000003", moves=(replace(move, messages_lost=0, up=False),)))
    assert main(["update", "history"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[2][5:] == ["12ms", "unknown", "2K", "-", "updated"]
    assert rows[3][5:] == ["-", "-", "2K", "ann,", "bob", "updated"]
    assert main(["update", "history", "--json"]) == 0
    found = [row["modules"][0] for row in json.loads(capsys.readouterr().out)]
    assert [one["messages_lost"] for one in found] == [3, None, 0]
    assert [one["signed_by"] for one in found] == [["ann", "bob"], [], ["ann", "bob"]]


def test_the_status_shows_what_is_tried_refused_and_held(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    refused = RefusedVersion(version="3", digest="3", why="it has ended", when_usec=1)
    write_known(paths, "hello", Known(held=True, refused=(refused,), previous=version("1", "a")))
    write_transaction(paths, transaction("00000002", State.TRYING))
    assert main(["update", "status"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("hello: trying since ")
    assert lines[2].split() == ["hello", "2", "-", "1", "held", "3"]
    assert main(["update", "status", "hello", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["open"]["state"] == "trying"
    assert found["modules"][0]["refused"][0]["why"] == "it has ended"


def test_holding_says_whether_it_is_a_change(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    for verb, held in (("hold", True), ("unhold", False)):
        for changed in (True, False):
            assert main(["update", verb, "hello", "--json"]) == 0
            assert json.loads(capsys.readouterr().out) == [{"module": "hello", "held": held, "changed": changed}]
    assert main(["update", "hold", "hello", "other"]) == os.EX_NOINPUT
    assert not update.read_known(paths, "hello").held


@pytest.mark.parametrize("text", ["soon", "2d"])
def test_a_window_that_is_none_is_told(
    text: str, paths: Paths, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert main(["update", "apply", "--window", text, str(paths.root)]) == os.EX_USAGE
    assert "at --window; try --window 60s" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["apply", "x"], ["rollback", "hello"], ["confirm", "hello"]])
def test_what_changes_versions_takes_root(
    words: list[str], paths: Paths, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["update", *words]) == os.EX_NOPERM
    assert "only root may" in capsys.readouterr().err
    assert paths.root.is_dir()


def test_apt_is_not_interrupted_amid_its_work(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    done = []

    def apt(packages: list[str]) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        done.extend(packages)

    monkeypatch.setattr(update, "through_apt", apt)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        update._installed(["a.deb"])
    assert (done, signal.getsignal(signal.SIGTERM)) == (["a.deb"], before)


def test_what_apt_changed_meanwhile_is_followed(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    applied = []
    monkeypatch.setattr(update, "apply", applied.append)
    one = transaction("00000001", State.NONE, end=End.UPDATED)
    update._follow_packages(None)
    update._follow_packages(one)
    assert applied == [], "it came from a folder"
    file = paths.records / "hello"
    file.write_bytes(file.read_bytes().replace(b"folder", b"package"))
    update._follow_packages(one)
    assert len(applied) == 1, "its package is not there any more"


def test_a_package_whose_module_is_being_updated_is_not_removed_through_apt(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    apt: list[list[str]] = []
    monkeypatch.setattr(install, "Paths", lambda: paths)
    monkeypatch.setattr(install, "_apt", apt.append)
    file = paths.records / "hello"
    file.write_bytes(file.read_bytes().replace(b"folder", b"package"))
    write_transaction(paths, transaction("00000002", State.TRYING))
    assert main(["remove", "hello"]) == os.EX_UNAVAILABLE
    assert apt == []
    write_transaction(paths, transaction("00000002", State.NONE, end=End.UPDATED))
    assert main(["remove", "hello"]) == 0
    assert len(apt) == 1


def test_what_became_of_it_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    one = transaction("00000001", State.NONE, end=End.UPDATED)
    update._report(one, as_json=False)
    update._report(replace(one, end=End.NOT_WELL, why="it has ended"), as_json=False)
    assert capsys.readouterr().err == (
        "hello 1 is now 2, down for 12 ms, 3 messages lost, looked at for 1min, 2K written, signed by ann, bob\n"
        "hello is 1 as before: 2 was rolled back, not well, 3 messages lost\nwhy: it has ended\n"
    )


@pytest.mark.parametrize(
    ("count", "words"), [(0, "no message lost"), (1, "1 message lost"), (None, "messages lost unknown")]
)
def test_how_many_messages_were_lost_is_said(capsys: pytest.CaptureFixture[str], count: int | None, words: str) -> None:
    one = transaction("00000001", State.NONE, end=End.UPDATED)
    one = replace(one, moves=(replace(one.moves[0], messages_lost=count, signed_by=()),))
    update._report(one, as_json=False)
    assert capsys.readouterr().err == f"hello 1 is now 2, down for 12 ms, {words}, looked at for 1min, 2K written\n"


def test_of_one_that_was_down_nothing_was_lost_and_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    one = transaction("00000001", State.NONE, end=End.UPDATED)
    update._report(replace(one, moves=(replace(one.moves[0], up=False, messages_lost=0),)), as_json=False)
    assert capsys.readouterr().err == "hello 1 is now 2, which is down, 2K written, signed by ann, bob\n"


@pytest.fixture
def closed(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """The same machine outside its owner's windows, where hello's package has another version."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    file = paths.records / "hello"
    file.write_bytes(file.read_bytes().replace(b"folder", b"package"))
    folder = paths.package_modules / "hello"
    folder.mkdir(parents=True)
    (folder / "module.toml").write_text('[module]\nname = "hello"\nversion = "3"\nentry = "run"\n')
    (folder / "run").write_text("#!/bin/sh\n")
    (folder / "run").chmod(0o755)
    now = time.localtime()
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[(now.tm_wday + 3) % 7]
    paths.owner.mkdir(parents=True)
    paths.owner_core.write_text(f'[update]\nwindows = ["{day} 02:00-04:00"]\n')
    return paths


def test_outside_the_windows_an_update_takes_the_word_for_it(
    closed: Paths, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(update, "open_sources", lambda *_: pytest.fail("nothing is to be looked at"))
    assert main(["update", "apply", "./hello"]) == os.EX_UNAVAILABLE
    said = capsys.readouterr().err
    assert "no window of their owner's is open until 20" in said
    assert said.endswith("try --now\n")


def test_what_waits_is_shown_and_taken_in_by_the_word_alone(
    closed: Paths, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["update", "status"]) == 0
    assert capsys.readouterr().out.startswith("hello: wait until 20")
    assert main(["update", "status", "hello", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["modules"]
    assert row["package"] == "3"
    assert time.time() < row["waits_until_sec"] < time.time() + 8 * 86_400

    taken: list[list[str]] = []
    monkeypatch.setattr(update, "take_in", lambda names, *, as_json: taken.append(names) or 0)
    assert main(["update", "apply", "--now"]) == 0
    assert taken == [["hello"]]
    closed.owner_core.unlink()
    assert main(["update", "apply", "--now"]) == 0
    assert capsys.readouterr().err == "nothing waits for a window\n"
    assert len(taken) == 1


@pytest.mark.parametrize("words", [[], ["--accept"], ["--now", "--accept"], ["--now", "--window", "1s"]])
def test_an_update_of_nothing_is_none(closed: Paths, words: list[str]) -> None:
    assert main(["update", "apply", *words]) == os.EX_USAGE


def test_settings_that_are_wrong_do_not_hide_the_rest(closed: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    closed.owner_core.write_text('[update]\nwindows = ["at night"]\n')
    assert main(["update", "status"]) == 0
    said = capsys.readouterr()
    assert "at night" in said.err
    assert "hello" in said.out
