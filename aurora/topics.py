"""What a topic of AuroraLink is, and what a pattern of topics: `link` routes by them, manifests name them.

By the rules of MQTT 5.0, section 4.7: a topic is levels with `/` between them; in a pattern `+` stands for any one
level, and `#`, as the last one, for any number of them.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = [
    "APPROVALS",
    "BROADCAST",
    "CLIENTS",
    "DURABLE",
    "LEVELS_MAX",
    "SUBSCRIPTIONS",
    "TOPIC_MAX_BYTES",
    "WhenFull",
    "covers",
    "pattern_fault",
    "topic_fault",
]  # fmt: skip

TOPIC_MAX_BYTES = 256
"""Of a topic or a pattern in UTF-8."""
LEVELS_MAX = 16
BROADCAST = "$broadcast"
"""What a module's publish and subscribe patterns have to name for it to take part in the older clients' group."""
APPROVALS = "$sys/approvals"
"""Where the hub itself is asked about messages that wait for an approval."""
CLIENTS = "$sys/clients"
"""Where the hub itself is asked who talks, and how much."""
DURABLE = "$sys/durable"
"""Where the hub itself is asked about what it keeps on disk."""
SUBSCRIPTIONS = "$sys/subscriptions"
"""Where the hub itself is asked who reads what, and what waits for them."""
_CONTROL = {*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029}
"""What would end a line or command a terminal; NUL is one of them."""


class WhenFull(StrEnum):
    """What happens to a durable message for which there is no room beside those that were kept before."""

    REFUSE = "refuse"
    """It is refused, unless what all cursors for it have acknowledged makes room."""
    DROP_OLDEST = "drop-oldest"
    """The oldest make room, read or not."""


def topic_fault(
    topic: str, *, max_bytes: int = TOPIC_MAX_BYTES, levels_max: int = LEVELS_MAX
) -> tuple[str, str] | None:
    """Why nothing can be published under `topic`, and what to try; None when it can."""
    fault = _fault(topic, max_bytes, levels_max)
    if fault is None and ("+" in topic or "#" in topic):
        return "+ and # are wildcards", "a topic without them"
    return fault


def pattern_fault(
    pattern: str, *, max_bytes: int = TOPIC_MAX_BYTES, levels_max: int = LEVELS_MAX
) -> tuple[str, str] | None:
    """Why nothing can be subscribed to by `pattern`, and what to try; None when it can."""
    fault = _fault(pattern, max_bytes, levels_max)
    if fault is not None:
        return fault
    levels = pattern.split("/")
    for place, level in enumerate(levels, 1):
        if "#" in level and (level != "#" or place < len(levels)):
            return "# has to be the last level, alone in it", "one like a/#"
        if "+" in level and level != "+":
            return "+ has to be alone in its level", "one like a/+/b"
    return None


def covers(granted: str, asked: str) -> bool:
    """Whether `granted` matches all topics that the pattern (or topic) `asked` matches.

    May say no where two patterns are written differently and mean the same (`#`, `+/#`), never yes where one topic of
    `asked` is not matched.
    """
    own, other = granted.split("/"), asked.split("/")
    if other[0][:1] == "$" and own[0] in ("+", "#"):
        return False
    for place, level in enumerate(own):
        if level == "#":
            return True
        if place == len(other):
            return False
        if other[place] == "#" or (level not in ("+", other[place])):
            return False
    return len(own) == len(other)


def _fault(text: str, max_bytes: int, levels_max: int) -> tuple[str, str] | None:
    if not text:
        return "it is empty", "at least one letter"
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return "it holds half of a UTF-16 pair", "whole characters"
    if size > max_bytes:
        return f"it has {size} bytes", f"at most {max_bytes}"
    if text.count("/") >= levels_max:
        return f"it has {text.count('/') + 1} levels", f"at most {levels_max}"
    if not text.isprintable() and not _CONTROL.isdisjoint(map(ord, text)):
        return "it holds a control character", "printable characters"
    return None
