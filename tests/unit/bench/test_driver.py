from __future__ import annotations

import pytest

from tests.bench.driver import main, phases


@pytest.mark.parametrize("text", ["short,restart", "short restart", " short, restart "])
def test_figures_are_named_with_commas_or_spaces(text: str) -> None:
    assert phases(text) == "short restart"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["--only", "short,lunch"], "there is no lunch; there are start, profiles, restart, short"),
        (["--counts", "1,x"], "no list of numbers"),
        (["--counts", "0"], "no list of numbers"),
    ],
)
def test_what_cannot_be_measured_is_said_before_a_machine_is_booted(
    line: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(line)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
