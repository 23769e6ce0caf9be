"""The loop of what is live on a whole terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from aurora.cli import live


@pytest.mark.parametrize("last", ["q", None])
def test_it_looks_again_when_the_delay_is_over_and_shows_what_a_key_changed(
    monkeypatch: pytest.MonkeyPatch, last: str | None
) -> None:
    now = 100.0
    events: list[object] = []
    keys = iter([("m", 0.5), ("", 0.6), ("", 2.0), (last, 0.0)])

    def wait(_until: float) -> str | None:
        nonlocal now
        key, passed_sec = next(keys)
        now += passed_sec
        return key

    @contextmanager
    def screen(_output: int, _keys: int) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(size=lambda: (80, 24), show=events.append, wait=wait)
        events.append("given back")

    monkeypatch.setattr(live, "screen", screen)
    monkeypatch.setattr(live, "time", SimpleNamespace(monotonic=lambda: now))
    for stream in ("stdin", "stdout"):
        monkeypatch.setattr(sys, stream, SimpleNamespace(fileno=lambda: 0, flush=lambda: None))
    live.live(
        lambda: events.append("look"),
        lambda width, height: [f"{width}x{height}"],
        lambda key: events.append(f"key {key}"),
        delay_sec=2,
    )
    shown = ["80x24"]
    assert events == [
        "look", shown, "key m", shown, "key ", "look", shown, "key ", "look", shown, "given back",
    ]  # fmt: skip


def test_rows_without_room_are_counted_and_nothing_is_larger_than_the_terminal() -> None:
    def lines(rows: list[str], height: int) -> list[str]:
        return live.fitted("title of it", rows, lambda some: ["head", *some], width=8, height=height)

    assert lines(["a", "b"], 4) == ["title o…", "head", "a", "b"]
    assert lines(["a", "b", "c"], 4) == ["title o…", "head", "a", "… 2 more"]
    assert lines(["a"], 1) == ["title o…"]
