"""Rows of the manifest: what the module may talk about on AuroraLink."""

from __future__ import annotations

from aurora.manifest import values
from aurora.manifest.key import Key, TomlType, usec
from aurora.topics import BROADCAST, WhenFull

__all__ = ["LINK"]

_AGE, _AGE_BOUND = usec("1min", "366d")
_BOUND = "at most 64, each at most 256 bytes in at most 16 levels"

LINK: tuple[Key, ...] = (
    Key(
        table="link",
        name="publish",
        type=TomlType.TEXTS,
        convert=values.topic_patterns(BROADCAST),
        default=(),
        doc="Topics that the module may publish: levels with / between them, where + stands for any one level and # at"
        " the end for any number. With any key of this table the module reaches AuroraLink at $AURORA_LINK; see"
        " auroralink(7).",
        example='["site/+/temperature"]',
        bound=_BOUND,
    ),
    Key(
        table="link",
        name="subscribe",
        type=TomlType.TEXTS,
        convert=values.topic_patterns(BROADCAST, "$sys"),
        default=(),
        doc="Topics that it may subscribe to. What the hub says of the module itself it may read anyway.",
        example='["site/#"]',
        bound=_BOUND,
    ),
    Key(
        table="link",
        name="request",
        type=TomlType.TEXTS,
        convert=values.topic_patterns(),
        default=(),
        doc="Topics under which it may ask others and get an answer.",
        example='["lamp/set"]',
        bound=_BOUND,
    ),
    Key(
        table="link",
        name="serve",
        type=TomlType.TEXTS,
        convert=values.topic_patterns(),
        default=(),
        doc="Topics under which it answers what others ask.",
        example='["lamp/#"]',
        bound=_BOUND,
    ),
    Key(
        table="link",
        name="durable",
        type=TomlType.TEXTS,
        convert=values.topic_patterns(),
        default=(),
        doc="Of the topics that it publishes those whose messages are on disk before they are acknowledged. Who"
        " subscribes with a cursor gets each of them once at least, over restarts and power cuts.",
        example='["alarm/#"]',
        bound=_BOUND,
    ),
    Key(
        table="link",
        name="durable_size_max",
        type=TomlType.INTEGER_OR_TEXT,
        convert=values.size(1 << 16, 1 << 30),
        default=16 << 20,
        doc="How much disk all durable messages of the module may take, each with 64 bytes beside its topic and data.",
        example='"64M"',
        bound="64K to 1G",
    ),
    Key(
        table="link",
        name="durable_age_max",
        type=TomlType.TEXT,
        convert=_AGE,
        default=7 * 86_400_000_000,
        doc="Durable messages older than that, by the machine's clock, are removed, read or not.",
        example='"30d"',
        bound=_AGE_BOUND,
    ),
    Key(
        table="link",
        name="durable_full",
        type=TomlType.TEXT,
        convert=values.choice(WhenFull),
        default=WhenFull.REFUSE,
        doc="What happens where durable_size_max is reached. refuse: what all cursors for it have acknowledged makes"
        " room, and while there is no such, further messages are refused. drop-oldest: the oldest make room, read or"
        " not.",
        example='"drop-oldest"',
    ),
    Key(
        table="link",
        name="retained",
        type=TomlType.TEXTS,
        convert=values.topic_patterns(),
        default=(),
        doc="Of the topics that it publishes those where a value that it retains is kept on disk. Others are gone when"
        " the hub ends, which it does when nobody is connected.",
        example='["site/+/setpoint"]',
        bound=_BOUND,
    ),
    Key(
        table="link",
        name="approve",
        type=TomlType.TEXTS,
        convert=values.topic_patterns(),
        default=(),
        doc="Topics where what is sent waits for a human, and is refused when nobody approves it (auroractl link"
        " approvals). Of those that the module serves or subscribes to, what any module sends; of those that it only"
        " publishes or requests, what it sends itself. That holds from its start until it is removed or the machine"
        " goes down, whether it runs or not.",
        example='["actuator/#"]',
        bound=_BOUND,
    ),
)
"""[link]."""
