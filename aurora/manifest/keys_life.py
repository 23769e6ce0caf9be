"""Rows of the manifest: when the module starts, counts as up, ends, and starts again."""

from __future__ import annotations

from aurora.manifest import values
from aurora.manifest.key import SECOND_USEC, Key, TomlType, usec
from aurora.manifest.model import Readiness, RestartPolicy

__all__ = ["LIFE"]

_START, _START_BOUND = usec("100ms", "1h")
_WATCHDOG, _WATCHDOG_BOUND = usec("100ms", "1h")
_DELAY, _DELAY_BOUND = usec("0s", "1d")
_WITHIN, _WITHIN_BOUND = usec("1s", "7d")

LIFE: tuple[Key, ...] = (
    Key(
        table="start",
        name="readiness",
        type=TomlType.TEXT,
        convert=values.choice(Readiness),
        default=Readiness.EXEC,
        doc="notify: the module is up when it says READY=1 (aurora.sdk.ready() does); exec: as soon as its"
        " program runs.",
        example='"notify"',
    ),
    Key(
        table="start",
        name="timeout",
        type=TomlType.TEXT,
        convert=_START,
        default=90 * SECOND_USEC,
        doc="A module that is not up by then is stopped and has failed.",
        example='"30s"',
        bound=_START_BOUND,
    ),
    Key(
        table="watchdog",
        name="timeout",
        type=TomlType.TEXT,
        convert=_WATCHDOG,
        default=None,
        doc="The module must send WATCHDOG=1 at least this often (aurora.sdk.alive() does), or it is killed"
        " and started again. Needs readiness notify.",
        example='"10s"',
        bound=_WATCHDOG_BOUND,
    ),
    Key(
        table="restart",
        name="policy",
        type=TomlType.TEXT,
        convert=values.choice(RestartPolicy),
        default=RestartPolicy.ON_FAILURE,
        doc="When systemd starts the module again by itself: always, on-failure or no.",
        example='"always"',
    ),
    Key(
        table="restart",
        name="delay",
        type=TomlType.TEXT,
        convert=_DELAY,
        default=1 * SECOND_USEC,
        doc="The wait before the first restart.",
        example='"1s"',
        bound=_DELAY_BOUND,
    ),
    Key(
        table="restart",
        name="delay_max",
        type=TomlType.TEXT,
        convert=_DELAY,
        default=60 * SECOND_USEC,
        doc="The longest wait. Left out, it is 1min, or delay where that is longer or the wait does not grow.",
        example='"1min"',
        bound=_DELAY_BOUND,
    ),
    Key(
        table="restart",
        name="steps",
        type=TomlType.INTEGER,
        convert=values.integer(0, 100),
        default=6,
        doc="How many restarts it takes to grow from delay to delay_max; 0: the wait stays at delay."
        " Left out, it is 6 where there is room to grow; a delay of 0s cannot grow.",
        example="6",
        bound="0 to 100",
    ),
    Key(
        table="restart",
        name="give_up_after",
        type=TomlType.INTEGER_OR_TEXT,
        convert=values.give_up,
        default=None,
        doc="How many starts within give_up_within make systemd give up, or never.",
        example="10",
        bound='1 to 10000, or "never"',
    ),
    Key(
        table="restart",
        name="give_up_within",
        type=TomlType.TEXT,
        convert=_WITHIN,
        default=600 * SECOND_USEC,
        doc="The window in which give_up_after counts.",
        example='"10min"',
        bound=_WITHIN_BOUND,
    ),
)
"""[start], [watchdog] and [restart]."""
