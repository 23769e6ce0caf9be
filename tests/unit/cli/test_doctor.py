from __future__ import annotations

import json
import os
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from aurora.cli import doctor as verb
from aurora.runtime.abilities import Ability
from aurora.runtime.doctor import Examined
from aurora.runtime.verdict import Row, Verdict

GOOD = Row("MemoryMax", "64M", "64M", Verdict.ENFORCED, "", "memory.max")
DOWN = GOOD._replace(verdict=Verdict.NOT_RUNNING, effective="")
BAD = Row("TasksMax", "16", "infinity", Verdict.NOT_ENFORCED, "pids.max is max", "pids.max")
UNREAD = Row("PrivateNetwork", "yes", "", Verdict.NOT_READ, "it takes root", "/proc/PID/ns/net")
MACHINE = [
    Ability("memory controller", False, "/proc/cmdline: quiet", "with it memory_max holds", "cmdline.txt", True),
    Ability("seccomp", True, "actions_avail: errno", "system calls are refused by it", "", False),
]


type Run = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the verb on modules that were examined so."""

    def call(*rows: Row, names: tuple[str, ...] = (), as_json: bool = False) -> int:
        found = [Examined("hello", "active", rows)]
        monkeypatch.setattr(verb, "require", lambda _paths, name: name)
        monkeypatch.setattr(verb, "read_records", lambda _paths: [SimpleNamespace(installed=True)])
        monkeypatch.setattr(verb, "read_survey", lambda _paths: None)
        monkeypatch.setattr(verb, "Planner", lambda _paths: SimpleNamespace(facts=None))
        monkeypatch.setattr(verb, "abilities", lambda _survey, _facts: MACHINE)
        monkeypatch.setattr(verb, "connect", lambda: None)
        monkeypatch.setattr(verb, "examine", lambda *_arguments: found)
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        return verb.doctor(SimpleNamespace(names=list(names), json=as_json))

    return call


def test_all_as_declared_is_status_0_and_one_line(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(GOOD) == 0
    shown = capsys.readouterr()
    assert "hello: all 1 are enforced" in shown.out
    assert "MemoryMax" not in shown.out
    assert "no, accepted" in shown.out
    assert "to change it: cmdline.txt" in shown.out
    assert shown.err == ""


def test_the_owners_word_on_signatures_is_shown(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for word in ("off", "warn", "required"):
        monkeypatch.setattr(verb, "owner_settings", lambda _paths, word=word: SimpleNamespace(signatures=word))
        assert run(GOOD) == 0
        assert f"signatures of packages: {word}; " in capsys.readouterr().out
        assert run(GOOD, as_json=True) == 0
        assert json.loads(capsys.readouterr().out)["signatures"] == word


def test_what_is_not_as_declared_is_status_1_and_shown(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(GOOD, BAD) == 1
    shown = capsys.readouterr().out
    assert "1 of 2 are not as declared" in shown
    assert "not enforced: pids.max is max" in shown
    assert "MemoryMax" not in shown


def test_a_module_that_is_named_shows_every_row(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(GOOD, names=("hello",)) == 0
    shown = capsys.readouterr().out
    assert "MemoryMax" in shown
    assert "THIS MACHINE" not in shown


def test_what_could_not_be_read_is_status_1_and_asks_for_sudo(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(GOOD, UNREAD) == 1
    shown = capsys.readouterr()
    assert "1 of 2 could not be read" in shown.out
    assert "sudo" in shown.err


def test_a_module_that_is_down_is_no_fault(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(DOWN) == 0
    assert "nothing of it runs" in capsys.readouterr().out


def test_json_has_every_row(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(GOOD, BAD, as_json=True) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["as_declared"] is False
    assert [row["verdict"] for row in document["modules"][0]["rows"]] == ["enforced", "not enforced"]
    assert document["machine"][0]["remedy"] == "cmdline.txt"
