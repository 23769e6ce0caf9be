"""link pub, link sub, link req, link clients, link topics: AuroraLink from a shell."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import NoReturn

from aurora.cli import render
from aurora.errors import HostError, InputError, UsageError
from aurora.link.client import ANSWER_SEC, connect
from aurora.topics import SUBSCRIPTIONS

__all__ = ["asked", "clients", "pub", "req", "sub", "topics"]

TELLS_SEC = 5.0
"""It tells about itself once a second."""


def asked(topic: str, data: object) -> dict[str, object]:
    """What the hub itself answers to a request of one of its topics; HostError when that is not understood."""
    with connect() as client:
        said = client.request(topic, data, deadline_sec=ANSWER_SEC)
    if not isinstance(said, dict):
        raise HostError("ask AuroraLink", "its answer is not understood", remedy="systemctl restart aurora-link")
    return said


def _data(text: str | None) -> object:
    """JSON as it is meant; what is none is a text."""
    try:
        return None if text is None else json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except RecursionError:
        raise InputError("read DATA", "its objects and lists are nested too deep") from None
    except ValueError:
        return text


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise InputError("read DATA", "an object in it has a key twice, and one of its values would be lost")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are no JSON


def _number(text: str | None, flag: str) -> float | None:
    try:
        found = None if text is None else float(text)
    except ValueError:
        found = 0
    if found is not None and not 0 < found < 1e9:
        raise UsageError("read the command line", f"{flag} is {text!r}", remedy="a number above 0")
    return found


def pub(arguments: SimpleNamespace) -> int:
    """`auroractl link pub TOPIC [DATA]`."""
    with connect() as client:
        client.publish(arguments.topic, _data(arguments.data), retain=arguments.retain)
    return 0


def sub(arguments: SimpleNamespace) -> int:
    """`auroractl link sub PATTERN…`."""
    if arguments.cursor == "":
        why = "--cursor is empty, and would be none at all"
        raise UsageError("read the command line", why, remedy="a name of your own, such as mine")
    if arguments.cursor and len(arguments.patterns) > 1:
        raise UsageError("read the command line", "a cursor is for one pattern", remedy="one with wildcards")
    left, within_sec = _number(arguments.count, "--count"), _number(arguments.within, "--within")
    with connect() as client:
        for pattern in dict.fromkeys(arguments.patterns):
            client.subscribe(pattern, cursor=arguments.cursor or "")
        for message in client.messages(within_sec=within_sec):
            text = json.dumps(message["data"], ensure_ascii=False)
            line = json.dumps(message) if arguments.json else f"{message['from']}  {message['topic']}  {text}"
            render.emit(line)
            sys.stdout.flush()
            if arguments.cursor:
                client.acknowledge(message)  # it is written: should that be lost, it was not by us
            left = None if left is None else left - 1
            if left is not None and left < 1:
                break
    return 0


def req(arguments: SimpleNamespace) -> int:
    """`auroractl link req TOPIC [DATA]`."""
    deadline_sec = _number(arguments.deadline, "--deadline") or ANSWER_SEC
    with connect() as client:
        answer = client.request(arguments.topic, _data(arguments.data), deadline_sec=deadline_sec)
    if arguments.json:
        render.dump(answer)
    else:
        render.emit(json.dumps(answer, ensure_ascii=False))
    return 0


def clients(arguments: SimpleNamespace) -> int:
    """`auroractl link clients`."""
    modules: dict[str, object] = {}
    counts: object = None
    with connect() as client:
        client.subscribe("$sys/modules/+/connections")
        client.subscribe("$sys/hub")
        for message in client.messages(within_sec=TELLS_SEC):
            topic = str(message["topic"])
            if topic != "$sys/hub":
                modules[topic.split("/")[2]] = message["data"]
            elif not message.get("retained"):  # kept is what it said before; that we came is told within a second
                counts = message["data"]
                break  # what it says of modules came before
    if not isinstance(counts, dict):
        raise HostError("see who is connected", f"the hub did not say within {TELLS_SEC:g} s", remedy="again")
    modules = {name: count for name, count in modules.items() if count}
    if arguments.json:
        render.dump({"modules": modules, "hub": counts})
        return 0
    for name, count in sorted(modules.items()):
        render.emit(f"{name}  {count}")
    render.emit("  ".join(f"{name} {count}" for name, count in counts.items()))
    return 0


def topics(arguments: SimpleNamespace) -> int:
    """`auroractl link topics`."""
    said = asked(SUBSCRIPTIONS, None)
    if arguments.json:
        render.dump(said)
        return 0
    found = said.get("subscriptions")
    rows = [
        (str(one["topic"]), str(one["reader"]), _manner(one), str(one["waiting"]), str(one["dropped"]))
        for one in (found if isinstance(found, list) else [])
    ]
    if rows:
        titles = ("TOPICS", "READER", "HOW", "WAITING", "LOST")
        render.emit(render.table(titles, rows, columns=render.width()))
    else:
        render.tell("nobody has subscribed")
    if said["left_out"]:
        render.tell(f"and {said['left_out']} more")
    return 0


def _manner(one: dict[str, object]) -> str:
    if one["serve"]:
        return "answers"
    if one["cursor"]:
        return f"cursor {one['cursor']}"
    return f"group {one['group']}, {one['bound']}" if one["group"] else str(one["bound"])
