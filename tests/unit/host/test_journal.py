"""What the kernel said of a profile is what is told, the newest last; a journal that takes too long tells nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import pytest

from aurora.errors import HostError
from aurora.host import journal
from aurora.host.process import Completed


def line(number: int, profile: str = "aurora.log", words: str = 'apparmor="DENIED"') -> str:
    return f'audit({number}.000:{number}): {words} operation="open" profile="{profile}" name="/{number}"'


def journal_of(messages: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """A journalctl that knows --grep, --lines and --reverse; what it was called with."""
    seen: list[Sequence[str]] = []

    def run(argv: Sequence[str], **_more: object) -> Completed:
        seen.append(argv)
        options = dict(word.removeprefix("--").partition("=")[::2] for word in argv if word.startswith("--"))
        found = [message for message in messages if re.search(options["grep"], message)][-int(options["lines"]) :]
        assert "reverse" in options
        return Completed(0, "\n".join(json.dumps({"MESSAGE": message}) for message in reversed(found)), "")

    monkeypatch.setattr(journal, "run", run)
    return seen


def test_the_newest_of_one_profile_are_told_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    others = [line(number, "aurora.logger") for number in range(1000, 3000)]
    mine = [line(number) for number in range(100)]
    journal_of([*mine[:60], *others, *mine[60:], *others, line(7, words='apparmor="STATUS"')], monkeypatch)
    assert journal.denials("aurora.log", since_usec=0) == mine[-20:]
    assert journal.refusals("aurora.log", since_usec=0) == mine[-50:]


def test_a_system_call_that_was_refused_is_of_the_profile_that_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = [f"audit: type=1326 audit(1.0:1): subj={name} pid=1 sig=31 syscall=1" for name in ("aurora.a", "aurora.ab")]
    journal_of(calls, monkeypatch)
    assert journal.refusals("aurora.a", since_usec=0) == calls[:1]


def test_no_more_than_an_hour_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = journal_of([], monkeypatch)
    monkeypatch.setattr(journal.time, "time_ns", lambda: 10_000_000_000_000)
    for since_usec in (0, 9_000_000_000):
        journal.refusals("aurora.a", since_usec=since_usec)
    assert [next(word for word in argv if "--since" in word) for argv in seen] == ["--since=@6400", "--since=@9000"]


def test_where_it_takes_too_long_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(argv: Sequence[str], **_more: object) -> Completed:
        raise HostError("run journalctl", "it did not end within 60 s")

    monkeypatch.setattr(journal, "run", slow)
    assert journal.refusals("aurora.a", since_usec=0) == []
