from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

pytest.importorskip("pystemd", reason="pystemd is in the build tree")

from aurora.cli import core  # after what it needs is known to be there
from aurora.errors import Problem
from aurora.runtime.apply import Applied

BAD = Problem("take in the package of bad", "it is odd", "/bad", "another")
UNSIGNED = Problem("take in the package of hello", "it was not accepted", "/hello", "a signed one")


def applied(monkeypatch: pytest.MonkeyPatch, done: Applied, *, as_json: bool = False) -> int:
    monkeypatch.setattr(core, "connect", lambda: None)
    monkeypatch.setattr(core, "make_equal", lambda _paths, _systemd: done)
    return core.apply(SimpleNamespace(json=as_json))


@pytest.mark.parametrize(("stream", "error", "warning"), [("8:9", "<3>", "<4>"), ("", "", "")])
def test_problems_and_warnings_have_their_level_in_the_journal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stream: str, error: str, warning: str
) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    if stream:
        monkeypatch.setenv("JOURNAL_STREAM", stream)
    assert applied(monkeypatch, Applied([], ["hello"], [], [BAD], (UNSIGNED,))) == 70
    assert capsys.readouterr().err.splitlines() == [
        "hello was taken in from its package",
        f"{error}auroractl: {BAD}",
        f"{warning}auroractl: warning: it was not accepted, at /hello",
    ]


def test_a_warning_is_no_failure_and_is_data_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert applied(monkeypatch, Applied([], ["hello"], [], [], (UNSIGNED,)), as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["warnings"] == [UNSIGNED.to_json()]
