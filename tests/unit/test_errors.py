from __future__ import annotations

import json
import os

import pytest

from aurora import errors
from aurora.errors import AuroraError, InputError, Problem

FAMILY = [getattr(errors, name) for name in errors.__all__ if name not in {"AuroraError", "Problem"}]


def test_a_problem_reads_cannot_because_at_try() -> None:
    problem = Problem("read the manifest", "the key is missing", "module.toml", 'name = "hello"')
    assert str(problem) == ('cannot read the manifest, because the key is missing, at module.toml; try name = "hello"')


def test_a_problem_without_place_and_remedy_leaves_them_out() -> None:
    assert str(Problem("start hello", "it is not installed")) == ("cannot start hello, because it is not installed")


def test_a_problem_keeps_its_four_parts_in_json() -> None:
    problem = Problem("a", "b", "c", "d")
    assert json.loads(json.dumps(problem.to_json())) == {"what": "a", "why": "b", "where": "c", "remedy": "d"}


def test_an_error_has_a_line_for_each_of_its_problems() -> None:
    error = InputError.of([Problem("a", "b"), Problem("c", "d")])
    assert str(error) == "cannot a, because b\ncannot c, because d"
    assert error.problems == (Problem("a", "b"), Problem("c", "d"))


def test_an_error_of_several_problems_keeps_its_class() -> None:
    assert type(InputError.of([Problem("a", "b")])) is InputError


def test_an_error_without_a_problem_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="at least one problem"):
        InputError.of([])


@pytest.mark.parametrize("family", FAMILY)
def test_every_error_is_an_aurora_error_with_a_status_of_its_own(family: type[AuroraError]) -> None:
    assert issubclass(family, AuroraError)
    sharing = [other for other in FAMILY if other.exit_status == family.exit_status]
    assert sharing == [family]
    assert family.exit_status in range(os.EX_USAGE, os.EX_CONFIG + 1)


@pytest.mark.parametrize("family", FAMILY)
def test_the_family_tree_in_the_docstring_shows_each_error_with_its_status(family: type[AuroraError]) -> None:
    lines = [line.split() for line in (errors.__doc__ or "").splitlines() if "──" in line]
    assert [family.__name__, str(family.exit_status)] in [line[1:3] for line in lines]


def test_an_error_never_commands_the_terminal_it_is_shown_on() -> None:
    problem = Problem("read \x1b[2J", "its last line was:\n  \x9b2J\x07", "a\u202eb", "\x1b]0;x\x07")
    assert str(problem) == (
        "cannot read \\x1b[2J, because its last line was:\n  \\x9b2J\\x07, at a\\u202eb; try \\x1b]0;x\\x07"
    )
    assert str(InputError.of([problem])) == str(problem)
    assert str(InputError("read \x1b[2J", "x")) == "cannot read \\x1b[2J, because x"
