"""Rows of the manifest: what the module may use and reach."""

from __future__ import annotations

from aurora.manifest import values
from aurora.manifest.key import Key, TomlType

__all__ = ["BOUNDS"]

BOUNDS: tuple[Key, ...] = (
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
"""[limits], [directories] and [sandbox]."""
