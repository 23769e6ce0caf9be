"""The table of manifest keys: parser, documentation, `auroractl new`, completion and errors read these rows.

To add a key, add a row here and a field in `model`; a test fails until both agree and the documents are made
anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from aurora import names, quantity
from aurora.manifest import values
from aurora.manifest.model import Readiness, RestartPolicy

__all__ = ["KEYS", "MANIFEST_MAX_BYTES", "OLDER_KEYS", "REQUIRED", "Key", "TomlType"]

MANIFEST_MAX_BYTES = 64 * 1024
"""A longer manifest is refused unread."""


class TomlType(StrEnum):
    """The type that a key has in the file, as a user would call it."""

    TEXT = "text"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    TEXTS = "list of texts"
    TEXT_OR_TEXTS = "text or list of texts"
    TABLE = "table of texts"
    INTEGER_OR_TEXT = "integer or text"


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED = _Required()


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """One row: a key of the manifest."""

    table: str
    """The TOML table it stands in."""
    name: str
    """The key within the table; "*" for a table whose keys are free."""
    type: TomlType
    convert: Callable[[object], object]
    """From whatever the file holds to the value in `model`; ValueError with a reason a user can read."""
    default: object
    """The value in `model` where the key is left out; REQUIRED where it must not be."""
    doc: str
    """One or two sentences for aurora.module(5)."""
    example: str
    """A value as it is written in TOML."""
    bound: str = ""
    """The limits of the value, in words; empty where the type says it all."""

    @property
    def path(self) -> str:
        """As errors and documents show it: "table.name"."""
        return self.table if self.name == "*" else f"{self.table}.{self.name}"


def _usec(low: str, high: str) -> tuple[Callable[[object], int], str]:
    return values.duration(quantity.parse_duration(low), quantity.parse_duration(high)), f"{low} to {high}"


_START, _START_BOUND = _usec("100ms", "1h")
_WATCHDOG, _WATCHDOG_BOUND = _usec("100ms", "1h")
_DELAY, _DELAY_BOUND = _usec("0s", "1d")
_WITHIN, _WITHIN_BOUND = _usec("1s", "7d")
_SECOND_USEC = 1_000_000

KEYS: tuple[Key, ...] = (
    Key(
        table="module",
        name="name",
        type=TomlType.TEXT,
        convert=values.module_name,
        default=REQUIRED,
        doc="Names the module, its unit aurora@NAME.service, its user and its directories.",
        example='"hello"',
        bound=names.NAME_RULE,
    ),
    Key(
        table="module",
        name="version",
        type=TomlType.TEXT,
        convert=values.version,
        default=REQUIRED,
        doc="The module's version, ordered as dpkg orders versions.",
        example='"1.0.2"',
        bound="a digit first, then letters, digits and . + ~, at most 64",
    ),
    Key(
        table="module",
        name="description",
        type=TomlType.TEXT,
        convert=values.one_line,
        default="",
        doc="One line that status, list and systemctl show.",
        example='"Says hello"',
        bound="one line, at most 200 characters",
    ),
    Key(
        table="module",
        name="entry",
        type=TomlType.TEXT_OR_TEXTS,
        convert=values.entry,
        default=REQUIRED,
        doc="The program: a file of the module (a .py file runs under python3, a .sh file under sh, any other"
        " must be executable), or a list of a program and its arguments. A program with a slash in front is"
        " one of the machine's. Nothing in it is expanded; the working directory is the module's folder.",
        example='"run.py"',
        bound="1 to 64 texts, each at most 4096 bytes, the program at most 1024",
    ),
    Key(
        table="environment",
        name="*",
        type=TomlType.TABLE,
        convert=values.environment,
        default=(),
        doc="Environment variables of the program, taken literally. Not for secrets: anyone on the machine"
        " can read them with systemctl show.",
        example='INTERVAL_SEC = "5"',
        bound="at most 128, names of letters, digits and _, values at most 4096 bytes",
    ),
    Key(
        table="limits",
        name="cpu",
        type=TomlType.TEXT,
        convert=values.share,
        default=None,
        doc="The CPU time the module may use; 100% is one whole CPU. Above it the kernel makes it wait.",
        example='"20%"',
        bound="1% to 102400%",
    ),
    Key(
        table="limits",
        name="memory_max",
        type=TomlType.TEXT,
        convert=values.size(1 << 20),
        default=None,
        doc="The memory the module may use, swap included. Above it the kernel kills the module, and nothing else.",
        example='"64M"',
        bound="1M or more",
    ),
    Key(
        table="limits",
        name="memory_high",
        type=TomlType.TEXT,
        convert=values.size(1 << 20),
        default=None,
        doc="Above this the kernel slows the module and takes memory back; at most memory_max.",
        example='"48M"',
        bound="1M or more",
    ),
    Key(
        table="limits",
        name="tasks",
        type=TomlType.INTEGER,
        convert=values.integer(1, 65536),
        default=256,
        doc="How many processes and threads the module may have; further forks fail.",
        example="32",
        bound="1 to 65536",
    ),
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
        default=90 * _SECOND_USEC,
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
        default=1 * _SECOND_USEC,
        doc="The wait before the first restart.",
        example='"1s"',
        bound=_DELAY_BOUND,
    ),
    Key(
        table="restart",
        name="delay_max",
        type=TomlType.TEXT,
        convert=_DELAY,
        default=60 * _SECOND_USEC,
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
        default=600 * _SECOND_USEC,
        doc="The window in which give_up_after counts.",
        example='"10min"',
        bound=_WITHIN_BOUND,
    ),
    Key(
        table="directories",
        name="state",
        type=TomlType.BOOLEAN,
        convert=values.boolean,
        default=False,
        doc="Gives the module /var/lib/aurora/NAME, its place in $STATE_DIRECTORY; kept until purge.",
        example="true",
    ),
    Key(
        table="directories",
        name="cache",
        type=TomlType.BOOLEAN,
        convert=values.boolean,
        default=False,
        doc="Gives the module /var/cache/aurora/NAME, its place in $CACHE_DIRECTORY.",
        example="true",
    ),
    Key(
        table="directories",
        name="logs",
        type=TomlType.BOOLEAN,
        convert=values.boolean,
        default=False,
        doc="Gives the module /var/log/aurora/NAME, its place in $LOGS_DIRECTORY.",
        example="true",
    ),
    Key(
        table="directories",
        name="runtime",
        type=TomlType.BOOLEAN,
        convert=values.boolean,
        default=False,
        doc="Gives the module /run/aurora-modules/NAME, its place in $RUNTIME_DIRECTORY; gone when it stops.",
        example="true",
    ),
    Key(
        table="sandbox",
        name="policy",
        type=TomlType.TEXT,
        convert=values.identifier,
        default="strict",
        doc="The policy that the sandbox starts from.",
        example='"strict"',
    ),
    Key(
        table="sandbox",
        name="grants",
        type=TomlType.TEXTS,
        convert=values.grants,
        default=(),
        doc="What the module may reach beyond its policy, one thing each.",
        example='["network.loopback"]',
        bound="at most 64",
    ),
)
"""Every key of module.toml, in the order of the documents."""

OLDER_KEYS: tuple[str, ...] = ("name", "version", "entry", "description")
"""What a module.json may hold, each with the meaning of module.NAME; everything else takes its default."""
