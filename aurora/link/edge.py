"""What a device says that takes part as an older client does, and when it tries again."""

from __future__ import annotations

import json

from aurora.errors import InputError
from aurora.link.backoff import DELAY_MAX_SEC, FIRST_DELAY_SEC

__all__ = ["ABOUT", "DEFAULT_ADDRESS", "ENVIRONMENT", "ID_MAX_CHARS", "answer", "checked", "hello"]

DEFAULT_ADDRESS = "ws://127.0.0.1:9801"
ID_MAX_CHARS = 64
"""As the hub has it for every id."""

ABOUT = (
    "Takes part in the broadcast group of AuroraLink as one device: connects by WebSocket, says hello with its id, and"
    ' answers each {"type":"ping"} that another one sends with {"type":"pong","id":ID,"ts":MILLISECONDS}.',
    f"When the connection ends, or cannot be made, it tries again after {FIRST_DELAY_SEC:g} s, then after twice as long"
    f" each time, {DELAY_MAX_SEC:g} s at most; by chance up to half of that less, so that devices do not come back all"
    " at once. It goes on until SIGTERM or SIGINT.",
)
"""For --help and aurora-edge(1)."""
ENVIRONMENT = (
    ("AURORA_LINK", f"The hub's address, ws:// or wss://; {DEFAULT_ADDRESS} when it is not set."),
    ("AURORA_EDGE_ID", f"What it calls itself, at most {ID_MAX_CHARS} characters; the host's name when it is not set."),
)
"""Variables, and what they say."""


def checked(address: str, name: str) -> tuple[str, str]:
    """Both as they can be used; InputError otherwise."""
    what = "connect"
    if not address.startswith(("ws://", "wss://")):
        raise InputError(
            what, f"{address!r} is no address of a WebSocket", where="$AURORA_LINK", remedy=DEFAULT_ADDRESS
        )
    if not (0 < len(name) <= ID_MAX_CHARS and name.isprintable()):
        why = f"an id is one line of at most {ID_MAX_CHARS} characters"
        raise InputError(what, why, where="$AURORA_EDGE_ID", remedy="edge-1")
    return address, name


def hello(name: str) -> str:
    """Its first message."""
    return json.dumps({"type": "hello", "id": name}, ensure_ascii=False)


def answer(text: str | bytes, name: str, wall_msec: int) -> str:
    """What it says to a message; nothing to most of them."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(message, dict) or message.get("type") != "ping":
        return ""
    return json.dumps({"type": "pong", "id": name, "ts": wall_msec}, ensure_ascii=False)
