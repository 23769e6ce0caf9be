"""Rows of the manifest: when the module starts, counts as up, ends, starts again, and is as good as before."""

from __future__ import annotations

from aurora import names
from aurora.manifest import values
from aurora.manifest.key import SECOND_USEC, Key, TomlType, usec
from aurora.manifest.model import Readiness, RestartPolicy, StopSignal

__all__ = ["LIFE"]

_START, _START_BOUND = usec("100ms", "1h")
_STOP, _STOP_BOUND = usec("100ms", "1h")
_WATCHDOG, _WATCHDOG_BOUND = usec("100ms", "1h")
_DELAY, _DELAY_BOUND = usec("0s", "1d")
_WITHIN, _WITHIN_BOUND = usec("1s", "7d")
_INTERVAL, _INTERVAL_BOUND = usec("1s", "365d")
_JITTER, _JITTER_BOUND = usec("0s", "7d")
_WINDOW, _WINDOW_BOUND = usec("0s", "1d")

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
        doc="A module that is not up by then is stopped and has failed. A oneshot must have ended by then.",
        example='"30s"',
        bound=_START_BOUND,
    ),
    Key(
        table="stop",
        name="signal",
        type=TomlType.TEXT,
        convert=values.choice(StopSignal),
        default=StopSignal.TERM,
        doc="The signal that asks the module to end.",
        example='"SIGINT"',
    ),
    Key(
        table="stop",
        name="timeout",
        type=TomlType.TEXT,
        convert=_STOP,
        default=15 * SECOND_USEC,
        doc="A module that has not ended by then is killed.",
        example='"30s"',
        bound=_STOP_BOUND,
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
        doc="When systemd starts the module again by itself: always, on-failure or no. Left out, it is no for a"
        " oneshot.",
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
    Key(
        table="schedule",
        name="calendar",
        type=TomlType.TEXT,
        convert=values.calendar,
        default=None,
        doc="When a oneshot runs by itself, as systemd.time(7) writes calendar events; systemd-analyze calendar shows"
        " what one means. The unit is aurora@NAME.timer.",
        example='"*-*-* 03:30"',
        bound="at most 128 characters",
    ),
    Key(
        table="schedule",
        name="interval",
        type=TomlType.TEXT,
        convert=_INTERVAL,
        default=None,
        doc="A oneshot runs at once and then again this long after each start.",
        example='"10min"',
        bound=_INTERVAL_BOUND,
    ),
    Key(
        table="schedule",
        name="jitter",
        type=TomlType.TEXT,
        convert=_JITTER,
        default=0,
        doc="Each run is late by a random time of at most this, so that many machines do not act at once.",
        example='"1min"',
        bound=_JITTER_BOUND,
    ),
    Key(
        table="schedule",
        name="catch_up",
        type=TomlType.BOOLEAN,
        convert=values.boolean,
        default=False,
        doc="Runs at boot when a run of the calendar was missed because the machine was off.",
        example="true",
    ),
    Key(
        table="order",
        name="after",
        type=TomlType.TEXTS,
        convert=values.module_names,
        default=(),
        doc="Modules after which this one starts, where they start at all. When one of them gets another plan, this"
        " one is restarted behind it.",
        example='["broker"]',
        bound="at most 64",
    ),
    Key(
        table="order",
        name="requires",
        type=TomlType.TEXTS,
        convert=values.module_names,
        default=(),
        doc="Modules without which this one does not run: they are started with it and before it, and it stops when one"
        " of them does.",
        example='["broker"]',
        bound="at most 64",
    ),
    Key(
        table="safe_state",
        name="command",
        type=TomlType.TEXT_OR_TEXTS,
        convert=values.entry,
        default=None,
        doc="Run once when the module fails for good, misses its watchdog or is stopped by force: a program, as in"
        " module.entry. It has the module's own sandbox, limits and directories (but for /run/aurora-modules), and is"
        " ended after 90s. Its own failure starts nothing more.",
        example='["run.py", "--safe"]',
        bound="as module.entry",
    ),
    Key(
        table="safe_state",
        name="module",
        type=TomlType.TEXT,
        convert=values.module_name,
        default=None,
        doc="Another installed module that is started then, instead of a command.",
        example='"hold-still"',
        bound=names.NAME_RULE,
    ),
    Key(
        table="update",
        name="window",
        type=TomlType.TEXT,
        convert=_WINDOW,
        default=60 * SECOND_USEC,
        doc="How long auroractl update apply looks at a new version of the module before it is confirmed; until then,"
        " and when it is worse than the version before, that one is put back. 0s: it only has to come up.",
        example='"5min"',
        bound=_WINDOW_BOUND,
    ),
    Key(
        table="update",
        name="restarts_max",
        type=TomlType.INTEGER,
        convert=values.integer(0, 1000),
        default=0,
        doc="How often systemd may start a new version again by itself within the window. A missed watchdog is one too"
        " many in any case.",
        example="1",
        bound="0 to 1000",
    ),
    Key(
        table="update",
        name="memory_growth",
        type=TomlType.TEXT,
        convert=values.size(0, 1 << 40),
        default=1 << 24,
        doc="How much more memory a new version may hold within the window than the version before held. Caches, which"
        " the kernel can take back, do not count.",
        example='"8M"',
        bound="0B to 1T",
    ),
    Key(
        table="update",
        name="check",
        type=TomlType.TEXT_OR_TEXTS,
        convert=values.entry,
        default=None,
        doc="Run once when a new version is up and its window is over: a program, as in module.entry. When it does not"
        " end with status 0 within 90s, the version before is put back. It has the module's own sandbox, limits and"
        " directories (but for /run/aurora-modules).",
        example='["run.py", "--check"]',
        bound="as module.entry",
    ),
    Key(
        table="update",
        name="snapshot",
        type=TomlType.BOOLEAN,
        convert=values.boolean,
        default=False,
        doc="Copies the module's state directory before a new version is tried, and puts the copy back with the version"
        " before. The module is down meanwhile, and the disk needs room for the copy. What the new version stored is"
        " lost then, and what the module says on AuroraLink is not taken back. Once the new version is confirmed, the"
        " copy is gone.",
        example="true",
    ),
)
"""[start], [stop], [watchdog], [restart], [schedule], [order], [safe_state] and [update]."""
