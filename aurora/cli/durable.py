"""link durable: what AuroraLink keeps on disk."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace

from aurora.cli import render
from aurora.cli.link import asked
from aurora.link.bounds import Bounds
from aurora.link.client import ANSWER_SEC, connect
from aurora.paths import Paths
from aurora.quantity import format_size
from aurora.topics import DURABLE

__all__ = ["durable", "forget_kept"]


def durable(arguments: SimpleNamespace) -> int:
    """`auroractl link durable`."""
    if arguments.forget is not None:
        forget(arguments.forget)
        render.tell(f"nothing of {arguments.forget} is on AuroraLink's disk any more")
        return 0
    said = asked(DURABLE, None)
    if arguments.json:
        render.dump(said)
        return 0
    logs, cursors = said.get("logs"), said.get("cursors")
    if isinstance(logs, list) and logs:
        rows = [_log(one) for one in logs]
        render.emit(render.table(("FROM", "MESSAGES", "SIZE", "DROPPED"), rows, columns=render.width()))
    else:
        render.tell("no message is kept")
    if isinstance(cursors, list) and cursors:
        rows = [_cursor(one) for one in cursors]
        render.emit(render.table(("READER", "CURSOR", "TOPICS", "TO READ"), rows, columns=render.width()))
    return 0


def forget_kept(paths: Paths, modules: Iterable[str]) -> None:
    """Have the hub forget what purged modules have on its disk; nothing where it keeps nothing."""
    if paths.link_state.exists():
        for name in modules:
            forget(name)


def forget(name: str) -> None:
    """Have the hub forget all that a module, or user:NAME, has on its disk."""
    with connect() as client:
        client.request(DURABLE, {"forget": name}, deadline_sec=ANSWER_SEC)


def _log(one: dict[str, object]) -> tuple[str, ...]:
    size = format_size(int(str(one["bytes"])))
    return (str(one["publisher"]), str(one["messages"]), size, str(one["dropped"]))


def _cursor(one: dict[str, object]) -> tuple[str, ...]:
    left = int(str(one["left"]))
    more = "+" if left >= Bounds().cursor_counted_max else ""
    return (str(one["owner"]), str(one["name"]), str(one["pattern"]), f"{left}{more}")
