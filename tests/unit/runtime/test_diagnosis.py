from __future__ import annotations

import pytest

from aurora.host.fake import FakeSystemd
from aurora.host.journal import Line
from aurora.host.systemd import JobResult
from aurora.runtime import diagnosis
from aurora.runtime.diagnosis import diagnose
from aurora.runtime.results import result_words
from tests.unit.examples import plan


@pytest.mark.parametrize(
    ("result", "code", "status", "words"),
    [
        ("exit-code", 1, 3, "its program ended with status 3"),
        ("exit-code", 1, 203, "the program cannot be executed: it is missing, or its interpreter is (EXEC)"),
        ("exit-code", 1, 231, "its AppArmor profile is not loaded (APPARMOR)"),
        ("protocol", 1, 0, "it ended before it said that it is ready"),
        ("signal", 2, 9, "its program was killed by SIGKILL"),
        ("core-dump", 3, 11, "its program was killed by SIGSEGV"),
        ("signal", 2, 250, "its program was killed by signal 250"),
        ("timeout", 2, 15, "it was not ready in time"),
        ("oom-kill", 2, 9, "it was killed for using more memory than memory_max"),
        ("watchdog", 2, 6, "it missed its watchdog"),
        ("something-new", 0, 0, "its result is something-new"),
    ],
)
def test_a_result_is_told_in_words(result: str, code: int, status: int, words: str) -> None:
    assert result_words(result, code, status) == words


def test_systemds_own_words_are_told_when_it_refused() -> None:
    job = JobResult("aurora@hello.service", "refused", "Unit x was already loaded")
    problem = diagnose(FakeSystemd(), plan(), job, since_usec=0)
    assert problem.why == "systemd refused it: Unit x was already loaded"


def test_the_last_lines_and_the_denials_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(realtime_usec=0, priority=6, identifier="", message="no such sensor", unit_result="")
    monkeypatch.setattr(diagnosis, "read_lines", lambda _matches, **_more: [line])
    monkeypatch.setattr(diagnosis, "denials", lambda _profile, **_more: ['apparmor="DENIED" name="/dev/x"'])
    problem = diagnose(FakeSystemd(), plan(), JobResult("aurora@hello.service", "failed"), since_usec=0)
    assert problem.why.splitlines() == [
        "its start job ended with failed",
        "  its last lines were:",
        "    no such sensor",
        "  AppArmor refused it:",
        '    apparmor="DENIED" name="/dev/x"',
    ]
    assert problem.remedy == "journalctl -u aurora@hello.service"
