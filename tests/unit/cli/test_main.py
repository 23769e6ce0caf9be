from __future__ import annotations

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from aurora import __version__
from aurora.cli import status, version
from aurora.cli.main import EXIT_INTERRUPTED, main, overview
from aurora.cli.verbs import GROUPS, VERBS
from aurora.errors import InputError, Problem
from aurora.paths import Paths
from tests.unit.examples import CHECKOUT


@pytest.fixture(autouse=True)
def nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """No module is installed, whatever there is on this machine."""
    monkeypatch.setattr(status, "Paths", lambda: Paths(str(tmp_path)))


def said(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of `auroractl ARGV`."""
    code = main(argv)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


# Usage errors: that error, not the help


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (["nonsense"], "there is no such verb"),
        (["--nonsense"], "there is no such verb"),
        (["list", "--nonsense"], "unrecognized arguments: --nonsense"),
        (["list", "hello"], "unrecognized arguments: hello"),
        (["status", "a", "b"], "unrecognized arguments: b"),
        (["start"], "the following arguments are required: NAMES"),
        (["install"], "the following arguments are required: SOURCE"),
        (["list", "--js"], "unrecognized arguments: --js"),
        (["logs", "hello", "-n"], "expected one argument"),
        (["logs", "hello", "-n", "0"], "it must be a number from 1 to 1000000"),
        (["logs", "hello", "-n", "x"], "it must be a number from 1 to 1000000"),
        (["new", "Not A Name"], "a name is lower-case letters"),
    ],
)
def test_a_wrong_command_line_gives_64_and_that_error_alone(
    capsys: pytest.CaptureFixture[str], argv: list[str], why: str
) -> None:
    code, out, err = said(capsys, *argv)
    assert code == os.EX_USAGE == 64
    assert out == ""
    assert why in err
    assert err.count("\n") == 1
    assert "usage:" not in err


def test_a_verb_that_is_not_there_points_to_the_list_of_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "nonsense")[2] == (
        "auroractl: cannot find the verb 'nonsense', because there is no such verb; try auroractl --help\n"
    )


# Help


@pytest.mark.parametrize("argv", [[], ["-h"], ["--help"], ["help"]])
def test_the_help_names_every_verb_once(capsys: pytest.CaptureFixture[str], argv: list[str]) -> None:
    code, out, err = said(capsys, *argv)
    assert (code, err) == (0, "")
    assert out == overview()
    assert [line[2:].partition("  ")[0] for line in out.splitlines() if line.startswith("  ")] == [
        verb.name for group, _ in GROUPS for verb in VERBS if verb.group == group
    ]


@pytest.mark.parametrize("verb", [verb.name for verb in VERBS])
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_verb_tells_about_itself(capsys: pytest.CaptureFixture[str], verb: str, flag: str) -> None:
    code, out, err = said(capsys, *verb.split(), flag)
    assert (code, err) == (0, "")
    assert f"usage: auroractl {verb}" in out


@pytest.mark.parametrize("rest", [[], ["-h"], ["--help"], ["help"]])
def test_the_first_word_of_verbs_lists_them(capsys: pytest.CaptureFixture[str], rest: list[str]) -> None:
    code, out, err = said(capsys, "policy", *rest)
    assert (code, err) == (0, "")
    assert out.startswith("usage: auroractl policy VERB")
    listed = [line[2:].partition("  ")[0] for line in out.splitlines() if line.startswith("  ")]
    assert listed == [verb.name for verb in VERBS if verb.name.startswith("policy ")]


def test_a_wrong_second_word_is_told_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    known = ", ".join(verb.name for verb in VERBS if verb.name.startswith("policy "))
    expected = f"auroractl: cannot find the verb 'policy wrong', because policy has no such verb; try {known}\n"
    assert said(capsys, "policy", "wrong") == (os.EX_USAGE, "", expected)


def test_two_words_in_one_are_no_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert "cannot find the verb 'policy list'" in said(capsys, "policy list")[2]


def test_the_version_is_told_both_ways(capsys: pytest.CaptureFixture[str]) -> None:
    for word in ("version", "--version"):
        assert said(capsys, word) == (0, f"auroractl {__version__}\n", "")
        assert json.loads(said(capsys, word, "--json")[1]) == {"version": __version__}


# Errors


def failing(_arguments: SimpleNamespace) -> int:
    raise InputError.of([Problem("read x", "it is odd", "x, line 1", "even"), Problem("read y", "it is gone")])


def test_every_problem_has_its_line_on_stderr(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version, "version", failing)
    assert said(capsys, "version") == (
        65,
        "",
        "auroractl: cannot read x, because it is odd, at x, line 1; try even\n"
        "auroractl: cannot read y, because it is gone\n",
    )


def test_with_json_the_problems_are_data_as_well(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version, "version", failing)
    code, out, err = said(capsys, "version", "--json")
    assert code == 65
    assert json.loads(out) == {
        "problems": [
            {"what": "read x", "why": "it is odd", "where": "x, line 1", "remedy": "even"},
            {"what": "read y", "why": "it is gone", "where": "", "remedy": ""},
        ]
    }
    assert err.count("\n") == 2


def test_a_usage_error_is_data_with_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "list", "--json", "--nonsense")
    assert code == os.EX_USAGE
    assert [problem["why"] for problem in json.loads(out)["problems"]] == ["unrecognized arguments: --nonsense"]


def test_a_json_switch_of_the_command_is_not_ours(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = said(capsys, "exec", "hello", "--nonsense", "--", "cmd", "--json")
    assert (code, out) == (os.EX_USAGE, "")
    assert "unrecognized arguments: --nonsense" in err


def test_the_help_of_a_verb_with_a_command_shows_where_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    assert "usage: auroractl exec [-h] [--root] [--outside] NAME -- CMD [ARG...]" in said(capsys, "exec", "--help")[1]


def test_an_interruption_is_told_as_a_shell_does(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_arguments: SimpleNamespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(version, "version", interrupted)
    assert main(["version"]) == EXIT_INTERRUPTED == 130


@pytest.mark.parametrize(
    "argv", [["version"], ["--help"], ["list", "--json", "--nonsense"]], ids=["data", "help", "problems"]
)
def test_a_reader_that_has_gone_away_is_no_error_to_speak_of(argv: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    program = "import sys; from aurora.cli.main import main; sys.exit(main(sys.argv[1:]))"
    with os.fdopen(write) as stdout:
        done = subprocess.run(
            [sys.executable, "-B", "-c", program, *argv],
            stdout=stdout,
            stderr=subprocess.PIPE,
            cwd=CHECKOUT,
            check=False,
        )
    assert done.returncode == 128 + 13
    assert b"BrokenPipe" not in done.stderr
    assert b"Traceback" not in done.stderr


def test_no_error_of_ours_is_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = said(capsys, "status", "nobody")
    assert (code, out) == (66, "")
    assert "no such module is installed" in err


def test_an_empty_machine_says_how_to_begin(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "list") == (0, "", "no module is installed; auroractl install DIR installs one\n")
    assert said(capsys, "list", "--json") == (0, "[]\n", "")


def test_short_verbs_import_next_to_nothing() -> None:
    """What a Python that does nothing lacks costs `auroractl status` its bound: three times that Python."""
    heavy = (
        "argparse", "asyncio", "collections", "cryptography", "enum", "importlib", "json", "pathlib", "pystemd", "re",
        "subprocess", "tomllib", "types", "typing",
    )  # fmt: skip
    program = f"""
import sys
from aurora.cli import status
from aurora.cli.main import main
from aurora.paths import Paths
status.Paths = lambda: Paths("/nonexistent")
main(["list"]); main(["status"]); main(["version"])
print(sorted(set({heavy!r}) & set(sys.modules)))
"""
    line = [sys.executable, "-I", "-S", "-B", "-c", f"import sys; sys.path.insert(0, {str(CHECKOUT)!r})\n{program}"]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_verbs_are_found_by_their_whole_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "versio")[0] == os.EX_USAGE
