"""`auroractl diff` and the refusals of `auroractl learn`, on a machine in a temporary folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from aurora.cli import author, diff, learn
from aurora.cli.main import main
from aurora.runtime.install import install_folder
from tests.unit.runtime.rig import Rig

LOOPBACK = '[sandbox]\ngrants = ["network.loopback"]\n'


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """With one module installed, version 1."""
    rig = Rig(tmp_path)
    for module in (author, diff, learn):
        monkeypatch.setattr(module, "Paths", lambda: rig.paths)
    monkeypatch.setattr(learn, "connect", lambda: rig.systemd)
    install_folder(rig.paths, rig.systemd, rig.module(), start=False)
    return rig


def said(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    code = main(argv)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_same_may_do_the_same(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "diff", "hello")[:2] == (0, "hello 1 may do what hello 1 may do, and is the same otherwise\n")


def test_a_version_that_may_do_more_says_what_and_ends_with_1(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "diff", str(rig.module(version="2", more=LOOPBACK)))
    assert code == 1
    lines = out.splitlines()
    assert lines[:3] == [
        "hello 1 becomes 2",
        "May newly:",
        "  Talk over IP with programs on this machine, and be talked to by them (network.loopback)",
    ]
    assert "  PrivateNetwork loosens: yes becomes no" in lines
    assert lines[-2:] == ["Changes otherwise:", "  version was 1 and is 2"]


def test_a_version_that_may_do_less_ends_with_0(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    new = str(rig.module(version="2", more=LOOPBACK))
    code, out, _ = said(capsys, "diff", "hello", new)
    assert code == 0
    assert "May no more:\n  Talk over IP with programs on this machine" in out


def test_programs_get_json(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "diff", str(rig.module(version="2", more=LOOPBACK)), "--json")
    found = json.loads(out)
    assert (code, found["module"], found["before"], found["after"], found["grows"]) == (1, "hello", "1", "2", True)
    assert found["changes"][0] == {
        "subject": "grant",
        "before": "",
        "after": "network.loopback",
        "effect": "more",
        "words": "Talk over IP with programs on this machine, and be talked to by them",
    }


def test_two_modules_are_not_two_versions(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = said(capsys, "diff", "hello", str(rig.module(name="other")))
    assert code == os.EX_USAGE
    assert "one is other and one is hello" in err


def test_a_module_that_is_not_installed_has_nothing_to_compare_with(
    rig: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = said(capsys, "diff", str(rig.module(name="other")))
    assert code == os.EX_NOINPUT
    assert "find the module other" in err


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ([], "nobody confirmed it"),
        (["--for", "0s", "--yes"], "0s is not 1s to 1d"),
        (["--for", "soon", "--yes"], "'soon' is not a time"),
        (["--watch", "2d", "--yes"], "2d is not 1s to 1d"),
    ],
)
def test_a_learning_run_is_asked_for_in_full_or_not_made(
    rig: Rig, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, more: list[str], why: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    code, _, err = said(capsys, "learn", "hello", *more)
    assert code == os.EX_USAGE
    assert why in err


def test_only_root_may_learn(rig: Rig, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    code, _, err = said(capsys, "learn", "hello", "--yes")
    assert (code, "only root may" in err) == (os.EX_NOPERM, True)
