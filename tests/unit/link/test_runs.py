"""Which modules run, from what systemd keeps for journald."""

from __future__ import annotations

from pathlib import Path

from aurora.link.runs import read_runs
from aurora.paths import Paths

from .served import Served
from .talking import ROOT


def test_a_link_of_systemds_is_a_run(tmp_path: Path) -> None:
    folder = tmp_path / "run/systemd/units"
    folder.mkdir(parents=True)
    assert read_runs(Paths(tmp_path)) == {}
    for unit, run in (("aurora@hello", "1a"), ("aurora@two-words", "2b"), ("ssh", "3c"), ("aurora@.", "4d")):
        (folder / f"invocation:{unit}.service").symlink_to(run)
    (folder / "log-level-max:aurora@other.service").symlink_to("3")
    assert read_runs(Paths(tmp_path)) == {"hello": "1a", "two-words": "2b"}


def test_what_cannot_be_read_is_not_known(tmp_path: Path) -> None:
    assert read_runs(Paths(tmp_path)) is None


def test_what_is_not_known_takes_nobody_down(tmp_path: Path) -> None:
    with Served(tmp_path, ROOT) as hub:
        watcher = hub.client({"type": "sub", "topic": "$sys/modules/+/state"})
        for found in ({"hello": "1"}, None, {"hello": "1"}, {"hello": "2"}, {}):
            hub.server._runs = lambda found=found: found
            hub.ask(lambda: hub.server.look_around(lambda _peer: True))
        told = [watcher.until(lambda one: one.get("type") == "pub")[-1]["data"] for _ in range(3)]
        assert told == [{"state": "up", "run": "1"}, {"state": "up", "run": "2"}, {"state": "down"}]
