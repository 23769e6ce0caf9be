from __future__ import annotations

import sys

import pytest

from aurora.errors import HostError
from aurora.host.process import run, run_attached

NOWHERE = "/nonexistent/program"


def test_what_a_program_says_is_collected() -> None:
    done = run(["sh", "-c", "echo out; echo err >&2; exit 3"], check=False)
    assert done == (3, "out\n", "err\n")


def test_a_program_that_fails_is_an_error_with_its_last_words() -> None:
    with pytest.raises(HostError, match="ended with status 3: err"):
        run(["sh", "-c", "echo err >&2; exit 3"])


def test_an_argument_is_never_read_by_a_shell() -> None:
    assert run(["echo", "$HOME; `id`"]).stdout == "$HOME; `id`\n"


def test_a_program_reads_nothing_from_the_callers_terminal() -> None:
    assert run(["cat"]).stdout == ""


def test_bytes_that_are_not_text_are_replaced() -> None:
    assert run([sys.executable, "-c", r"import sys; sys.stdout.buffer.write(b'\xff')"]).stdout == "\ufffd"


def test_a_program_that_is_not_there_is_an_error_of_ours() -> None:
    with pytest.raises(HostError, match=NOWHERE):
        run([NOWHERE])
    with pytest.raises(HostError, match=NOWHERE):
        run_attached([NOWHERE])


def test_a_program_that_does_not_end_in_time_is_ended() -> None:
    with pytest.raises(HostError, match=r"did not end within 0\.1 s"):
        run(["sleep", "600"], timeout_sec=0.1)


def test_a_program_on_our_terminal_gives_its_status(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_attached(["sh", "-c", "echo out; exit 4"]) == 4
    assert capfd.readouterr().out == "out\n"
    assert run_attached(["echo", "talk"], talks=True) == 0
    assert capfd.readouterr() == ("", "talk\n")
    assert run_attached(["sh", "-c", "kill -TERM $$"]) == -15
