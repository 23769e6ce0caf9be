"""Rows of the manifest: what the module is, and what its program is given."""

from __future__ import annotations

from aurora import names
from aurora.manifest import values
from aurora.manifest.key import REQUIRED, Key, TomlType
from aurora.manifest.model import ModuleKind

__all__ = ["PROGRAM"]

OWNER_MAY = ("environment.*", "limits.*", "restart.*", "schedule.*", "start.timeout", "stop.*", "watchdog.*")
"""What an owner may set where the manifest does not say: how a module runs here, not what it is or may reach."""

PROGRAM: tuple[Key, ...] = (
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
        table="module",
        name="kind",
        type=TomlType.TEXT,
        convert=values.choice(ModuleKind),
        default=ModuleKind.SERVICE,
        doc="service: the program runs until it is stopped; oneshot: it does one thing and ends, and its start has"
        " gone well when it ends with status 0.",
        example='"oneshot"',
    ),
    Key(
        table="module",
        name="owner_may",
        type=TomlType.TEXTS,
        convert=values.key_patterns,
        default=OWNER_MAY,
        doc="Which keys the owner may set in /etc/aurora/modules/NAME.toml, where they replace the module's own:"
        " TABLE.KEY, or TABLE.* for a whole table. An empty list lets nothing be set.",
        example='["environment.*", "limits.*"]',
        bound="at most 64",
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
        table="credentials",
        name="names",
        type=TomlType.TEXTS,
        convert=values.credential_names,
        default=(),
        doc="Secrets that the module is given, each as a file of that name in $CREDENTIALS_DIRECTORY that only it can"
        " read. The owner sets them with auroractl credential set; without one of them the module does not start.",
        example='["api-key"]',
        bound="at most 32, names of letters, digits, _ . and -",
    ),
)
"""[module], [environment] and [credentials]."""
