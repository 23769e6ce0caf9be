from __future__ import annotations

import pytest

from aurora.cli import render


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59, "59s"), (60, "1min 0s"), (302, "5min 2s"), (3600, "1h 0min"), (273_600, "3d 4h")],
)
def test_an_age_is_told_in_its_two_largest_units(seconds: int, text: str) -> None:
    assert render.age(seconds) == text


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert render.table(("A", "LONG"), [("wide", "x"), ("y", "")]) == "A     LONG\nwide  x\ny\n"


def test_usage_is_told_against_its_limit_where_there_is_one() -> None:
    assert render.memory(None, None) == "-"
    assert render.memory(1 << 20, None) == "1M"
    assert render.memory(3 << 19, 64 << 20) == "1.5M of 64M"
    assert render.cpu(1_500_000, None) == "1.5s"
    assert render.cpu(None, 200_000) == "-, max 20%"


HEAD = ("NAME", "SIZE", "PLACE", "NOTE")
LINES = [("one", "5", "here", "short"), ("two", "12345", "anywhere", "one that goes on and on and on")]


def test_without_a_terminal_nothing_is_cut_or_left_out() -> None:
    assert "on and on and on" in render.table(HEAD, LINES, columns=None, spare=("SIZE",))
    assert render.width() is None


@pytest.mark.parametrize("columns", range(1, 60))
def test_no_line_is_wider_than_the_terminal(columns: int) -> None:
    lines = render.table(HEAD, LINES, columns=columns, spare=("SIZE", "PLACE")).splitlines()
    assert max(map(len, lines)) <= columns


def test_columns_are_left_out_one_after_the_other_until_the_note_can_be_read() -> None:
    def head(columns: int) -> list[str]:
        return render.table(HEAD, LINES, columns=columns, spare=("SIZE", "PLACE")).splitlines()[0].split()

    assert head(80) == ["NAME", "SIZE", "PLACE", "NOTE"]
    assert head(43) == ["NAME", "SIZE", "PLACE", "NOTE"]
    assert head(42) == ["NAME", "PLACE", "NOTE"]
    assert head(30) == ["NAME", "NOTE"]


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("short", 5, "short"),
        ("longer", 5, "long…"),
        ("two words", 5, "two…"),
        ("longer", 1, "…"),
        ("longer", 0, ""),
        ("\u4e16\u754c", 4, "\u4e16\u754c"),
        ("\u4e16\u754c", 3, "\u4e16…"),
        ("e\u0301a", 2, "e\u0301a"),
    ],
)
def test_what_is_too_wide_is_cut_and_says_so(text: str, columns: int, shown: str) -> None:
    assert render.cut(text, columns) == shown


def test_wide_characters_keep_columns_in_line() -> None:
    assert render.table(("A", "B"), [("\u4e16", "x"), ("yy", "x")]) == "A   B\n\u4e16  x\nyy  x\n"


def test_there_is_no_colour_where_there_is_no_terminal() -> None:
    assert render.paint("x", "red") == "x"


def test_what_is_shown_does_not_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    render.emit(render.table(("A",), [("x\x1b[2J\x1b]0;x\x07",), ("\x9b2J",)]))
    render.tell("y\x1b[2J")
    shown = capsys.readouterr()
    assert shown.out == "A\nx\\x1b[2J\\x1b]0;x\\x07\n\\x9b2J\n"
    assert shown.err == "y\\x1b[2J\n"


def test_colours_are_shown_as_colours(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    render.emit(render.paint("red\x1b[5m", "red"))
    assert capsys.readouterr().out == "\x1b[31mred\\x1b[5m\x1b[0m\n"
