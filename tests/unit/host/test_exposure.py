from __future__ import annotations

import shutil

import pytest

from aurora.emit import unit_text
from aurora.errors import HostError
from aurora.host import exposure, process
from tests.unit.examples import plan

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is in the build tree")


def test_every_unit_has_its_own_score() -> None:
    units = {
        "bare": "[Service]\nExecStart=/bin/true\n",
        "strict": unit_text(plan()),
        "odd name / with %": unit_text(plan('[sandbox]\ngrants = ["network.internet"]')),
    }
    scores = exposure.read_scores(units)
    assert scores.keys() == units.keys()
    assert scores["strict"] < scores["odd name / with %"] < 20 < scores["bare"] <= 100


def test_a_unit_that_has_no_score_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposure, "run", lambda *_, **__: process.Completed(1, "", "it is broken"))
    with pytest.raises(HostError, match="systemd-analyze did not tell it: it is broken"):
        exposure.read_scores({"x": "[Service]\n"})
