"""link approvals, link approve, link deny: messages of modules that wait for a human."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from types import SimpleNamespace

from aurora.cli import render
from aurora.cli.link import asked
from aurora.cli.span import span
from aurora.link.bounds import Bounds
from aurora.topics import APPROVALS

__all__ = ["approvals", "approve", "deny"]

_GRANT_MAX_USEC = Bounds().grant_max_msec * 1000


def approvals(arguments: SimpleNamespace) -> int:
    """`auroractl link approvals`."""
    said = asked(APPROVALS, None)
    if arguments.json:
        render.dump(said)
        return 0
    waiting, answered = said.get("waiting"), said.get("answered")
    if isinstance(waiting, list) and waiting:
        rows = [_waiting(one) for one in waiting]
        render.emit(render.table(("ID", "FROM", "WANTS", "TOPIC", "LEFT", "DATA"), rows, columns=render.width()))
    else:
        render.tell("nothing waits")
    if isinstance(answered, list) and answered:
        rows = [_answered(one) for one in answered]
        render.emit(render.table(("ID", "FROM", "TOPIC", "AGO", "ANSWER"), rows, columns=render.width()))
    return 0


def approve(arguments: SimpleNamespace) -> int:
    """`auroractl link approve ID`."""
    wanted: dict[str, object] = {"approve": arguments.id}
    if arguments.grant is not None:
        wanted["grant_ms"] = span(arguments.grant, "--for", example="10min", most_usec=_GRANT_MAX_USEC) // 1000
    return _report(asked(APPROVALS, wanted), arguments)


def deny(arguments: SimpleNamespace) -> int:
    """`auroractl link deny ID`."""
    return _report(asked(APPROVALS, {"deny": arguments.id}), arguments)


def _report(said: dict[str, object], arguments: SimpleNamespace) -> int:
    if arguments.json:
        render.dump(said)
    else:
        render.tell(f"{said['from']} {said['topic']}: {_ending(said)}")
    return 0


def _waiting(one: dict[str, object]) -> tuple[str, ...]:
    data = json.dumps(one["data"], ensure_ascii=False) if "data" in one else f"{one['data_bytes']} bytes"
    words = {"pub": "to publish", "req": "to ask"}
    left = render.age(int(str(one["left_ms"])) // 1000)
    return (str(one["id"]), str(one["from"]), words.get(str(one["type"]), "?"), str(one["topic"]), left, data)


def _answered(one: dict[str, object]) -> tuple[str, ...]:
    ago = max(0, int(time.time()) - int(str(one["ts"])) // 1000)
    return (str(one["id"]), str(one["from"]), str(one["topic"]), render.age(ago), _ending(one))


def _ending(one: dict[str, object]) -> str:
    if not one["by"]:
        return "nobody answered"
    grant_ms = int(str(one["grant_ms"]))
    if not grant_ms:
        return f"{'approved' if one['approved'] else 'denied'} by {one['by']}"
    until = datetime.fromtimestamp((int(str(one["ts"])) + grant_ms) / 1000, UTC).astimezone()
    return f"approved by {one['by']}, and others like it until {until:%H:%M:%S}"
