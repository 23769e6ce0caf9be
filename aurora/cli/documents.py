"""The manual pages and shell completions, made when the package is built from the tables that the program reads.

    python3 -m aurora.cli.documents OUTDIR POLICIES

writes auroractl.1, aurora.module.5 and the completions for bash, zsh and fish into OUTDIR.
"""

from __future__ import annotations

import os
import re
import sys
import textwrap
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from aurora import __version__
from aurora.cli.completion import completion_bash, completion_fish, completion_zsh, shown_value
from aurora.cli.verbs import GROUPS, VERBS, Argument, Verb
from aurora.errors import AuroraError
from aurora.manifest.schema import KEYS, MANIFEST_MAX_BYTES, OLDER_KEYS, REQUIRED, Key
from aurora.paths import Paths
from aurora.policy import ARGUMENTS, FILE_MAX_BYTES, OWNER_FEATURES, Catalogue, read_catalogue
from aurora.quantity import format_duration, format_share, format_size

__all__ = [
    "EXIT_DOWN",
    "EXIT_INTERRUPTED",
    "EXIT_NOT_AS_DECLARED",
    "completion_bash",
    "completion_fish",
    "completion_zsh",
    "escape",
    "main",
    "man_auroractl",
    "man_module",
    "shown_default",
]

EXIT_DOWN = 3  # aurora.cli.status, .main and .doctor say the same; a test compares. Their imports need systemd.
EXIT_INTERRUPTED = 130
EXIT_NOT_AS_DECLARED = 1
LINE_MAX_CHARS = 78

_SPECIAL = {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti", '"': r"\(dq"}


# The language of manual pages, roff


def escape(text: str) -> str:
    """`text` as man(7) shows it character by character, in ASCII."""
    return "".join(_SPECIAL.get(char, char if char.isascii() else f"\\[u{ord(char):04X}]") for char in text)


def _prose(text: str) -> list[str]:
    """Lines of running text: each sentence begins one, as roff wants it."""
    lines: list[str] = []
    for sentence in re.split(r"(?<=[.!?]) +(?=[A-Z])", escape(text)):
        lines += textwrap.wrap(sentence, LINE_MAX_CHARS, break_long_words=False, break_on_hyphens=False)
    return [rf"\&{line}" if line.startswith(".") else line for line in lines]


def _tagged(tag: str, text: Iterable[str]) -> list[str]:
    return [".TP", tag, *text]


def _code(lines: Iterable[str]) -> list[str]:
    shown = (escape(line) for line in lines)
    return [".PP", ".RS 4", ".nf", *(rf"\&{line}" if line.startswith(".") else line for line in shown), ".fi", ".RE"]


def _bold(text: str) -> str:
    return rf"\fB{escape(text)}\fR"


def _italic(text: str) -> str:
    return rf"\fI{escape(text)}\fR"


def _references(*names: tuple[str, int]) -> list[str]:
    last = len(names) - 1
    return [
        f".BR {escape(name)} ({section})" + ("" if at == last else " ,") for at, (name, section) in enumerate(names)
    ]


def _page(title: str, section: int, date: str, body: Iterable[str]) -> str:
    head = [
        r".\" Made from the program's own tables when the package is built.",
        f'.TH {escape(title.upper())} {section} {date} "aurora\\-core {__version__}" "AuroraOS Core"',
    ]
    return "\n".join([*head, *body]) + "\n"


# The page of the program


def _flag(argument: Argument) -> str:
    value = shown_value(argument)
    flags = ", ".join(_bold(flag) for flag in argument.flags)
    return f"{flags} {_italic(value)}" if value else flags


def _signature(verb: Verb) -> str:
    words = [_bold(verb.name)]
    for argument in verb.arguments:
        value = shown_value(argument)
        if argument.flags:
            word = _bold(argument.flags[0]) + (f" {_italic(value)}" if value else "")
        else:
            word = _italic(value) + ("..." if argument.many else "")
        words.append(f"[{word}]" if argument.flags or argument.optional else word)
    return " ".join(words)


def _verb(verb: Verb) -> list[str]:
    lines = [*_tagged(_signature(verb), _prose(verb.description)), ".RS"]
    for argument in verb.arguments:
        about = argument.help[0].upper() + argument.help[1:]
        if argument.default is not None:
            about += f"; {'here' if argument.default == '.' else argument.default} when left out"
        lines += _tagged(_flag(argument) if argument.flags else _italic(shown_value(argument)), _prose(about + "."))
    if verb.example:
        lines += [".PP", "Example:", _bold(verb.example)]
    return [*lines, ".RE"]


def _exit_status() -> Iterator[str]:
    """One entry for each status; errors that share one stand together."""
    rows: dict[int, list[str]] = {0: ["All went well."]}
    rows[EXIT_NOT_AS_DECLARED] = ["doctor: something is not as declared, or could not be read."]
    rows[EXIT_DOWN] = [
        "status: the module, or one that ought to be up, is not up.",
        "why: there is a failure to explain.",
    ]
    for error in AuroraError.__subclasses__():
        about = (error.__doc__ or "").strip().splitlines()[0]
        rows.setdefault(error.exit_status, []).append(about)
    rows[EXIT_INTERRUPTED] = ["Interrupted from the keyboard."]
    for status in sorted(rows):
        yield from _tagged(_bold(str(status)), [line for about in rows[status] for line in _prose(about)])


_FILES: tuple[tuple[str, str], ...] = (
    ("package_modules", "What module packages bring: one folder each."),
    (
        "owner_core",
        "The owner's word on the core itself. accept_unenforced is a list of features that modules may go without"
        f" where this machine lacks them: {', '.join(sorted(OWNER_FEATURES))}. Without it such a module is refused."
        ' exposure_max = "3.0" refuses modules with a higher exposure score, grants_never = ["cap:*",'
        ' "network.internet"] those that ask for such a grant (:* stands for all of that name), policies_never ='
        ' ["trusted"] those under such a policy: when they are checked, installed and started, at boot too. What runs'
        " when the file is changed goes on until it is stopped.",
    ),
    ("owner_policies", "The owner's policies; one of a package's name replaces it."),
    (
        "owner_modules",
        "NAME.toml is the owner's file for a module: keys of its manifest, which they replace. A module package brings"
        " an empty one, and the module's state is kept until it is purged.",
    ),
    ("owner_credentials", "Secrets of modules, for root alone."),
    ("policies", "The package's policies and grants."),
    ("template", "What new copies."),
    ("records", "What is installed, and what starts at boot."),
    ("modules", "The modules as they run."),
    ("incidents", "The last failures of each module, with their last log lines; for those who may read the journal."),
    ("cache", "Compiled AppArmor profiles."),
    ("runtime", "What is true until the next boot."),
)
"""Property of `Paths` and what is there."""


def _files() -> Iterator[str]:
    paths = Paths()
    for name, about in _FILES:
        yield from _tagged(_italic(str(getattr(paths, name))), _prose(about))
    yield from _tagged(_italic("/usr/share/aurora/examples"), _prose("Example modules."))


_FIRST_STEPS = (
    "auroractl new my-sensor",
    "auroractl check my-sensor",
    "sudo auroractl run my-sensor",
    "sudo auroractl install my-sensor",
    "auroractl status my-sensor",
)
_AS_PACKAGE = (
    "auroractl pack my-sensor",
    "sudo apt install ./aurora-module-my-sensor_1.0.0_all.deb",
    "sudo apt purge aurora-module-my-sensor",
)


def man_auroractl(date: str = "") -> str:
    """auroractl(1); `date` is its day, YYYY-MM-DD."""
    body = [".SH NAME", r"auroractl \- run small programs boxed, capped and watched by systemd"]
    body += [".SH SYNOPSIS", f"{_bold('auroractl')} {_italic('VERB')} [{_italic('ARGUMENT')} ...]"]
    body += [".SH DESCRIPTION"]
    body += _prose(
        "A module is a folder with a manifest, described in aurora.module(5), and a program. auroractl gives each"
        " module a unit of its own, aurora@NAME.service, with limits, a sandbox, a system call filter and an"
        " AppArmor profile, and leaves running, restarting and logging to systemd. systemctl and journalctl work on it"
        " as on any unit: stop, start, restart and edit too. Nothing of AuroraOS Core stays resident."
    )
    body += [".PP", *_prose("Data goes to standard output, everything else to standard error.")]
    body += [r"With \fB\-\-json\fR the data is JSON; then errors are printed there too."]
    for group, title in GROUPS:
        body.append(f".SH {escape(title.upper())}")
        for verb in VERBS:
            if verb.group == group:
                body += _verb(verb)
    body += [".SH OPTIONS"]
    body += _tagged(rf"{_bold('-h')}, {_bold('--help')}", _prose("Print help; after a verb, that of the verb."))
    body += _tagged(_bold("--version"), _prose("The same as the verb version."))
    body += [".SH EXIT STATUS", *_exit_status()]
    body += [".PP", *_prose("run ends with the status of the program that it ran.")]
    body += [".SH FILES", *_files()]
    body += [".SH EXAMPLES", "From nothing to a module that starts at boot:", *_code(_FIRST_STEPS)]
    body += [".PP", "The same module as a package, and all of it removed again:", *_code(_AS_PACKAGE)]
    body += [".SH SEE ALSO"]
    body += _references(
        ("aurora.module", 5), ("systemctl", 1), ("journalctl", 1), ("systemd.exec", 5),
        ("systemd.resource-control", 5), ("apparmor", 7),
    )  # fmt: skip
    return _page("auroractl", 1, date, body)


# The page of the manifest


def shown_default(key: Key) -> str:
    """A key's default as it would be written in the file; a word where it cannot be."""
    default = key.default
    if default is REQUIRED:
        return "none; it must be given"
    if default is None:
        return '"never"' if _means(key, "never", None) else "none"
    if default == ():
        return "empty"
    if isinstance(default, tuple):
        return f"[{', '.join(f'"{word}"' for word in default)}]"
    if isinstance(default, bool):
        return "true" if default else "false"
    if isinstance(default, int):
        for form in (format_duration, format_size, format_share):
            if _means(key, form(default), default):
                return f'"{form(default)}"'
        return str(default)
    return f'"{default}"'


def _means(key: Key, text: str, value: object) -> bool:
    """Whether `text` in the file becomes `value`."""
    try:
        return key.convert(text) == value
    except ValueError:
        return False


def _key(key: Key) -> list[str]:
    tag = f"{_italic('VARIABLE')} = {_italic('text')}" if key.name == "*" else f"{_bold(key.name)} ({escape(key.type)})"
    lines = [*_tagged(tag, _prose(key.doc)), ".RS"]
    if key.bound:
        lines += [".PP", *_prose(f"Bounds: {key.bound}.")]
    example = key.example if key.name == "*" else f"{key.name} = {key.example}"
    lines += [".PP", *_prose(f"Default: {shown_default(key)}."), "Example:", _bold(example)]
    return [*lines, ".RE"]


def _catalogue(catalogue: Catalogue) -> Iterator[str]:
    if catalogue.policies:
        yield ".SS Policies"
        yield from _described((one.name, one.description) for one in catalogue.policies.values())
    if catalogue.grants:
        yield ".SS Grants"
        kinds = ", ".join(f"{row.word} {row.doc}" for row in ARGUMENTS.values())
        yield from _prose(f"In these names, a word in capitals stands for what the manifest writes there: {kinds}.")
        yield from _described((one.name, one.description) for one in catalogue.grants.values())


def _described(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, description in sorted(rows):
        yield from _tagged(_bold(name), _prose(description.replace("$", "") + "."))


_EXAMPLE = (
    "[module]",
    'name = "my-sensor"',
    'version = "1.0.0"',
    'description = "Reads a sensor every five seconds"',
    'entry = "run.py"',
    "",
    "[limits]",
    'cpu = "20%"',
    'memory_max = "64M"',
    "",
    "[start]",
    'readiness = "notify"',
    "",
    "[watchdog]",
    'timeout = "15s"',
)
_OLDER_EXAMPLE = ('{"name": "my-sensor", "version": "1.0.0", "entry": "run.py", "description": "Reads a sensor"}',)


def man_module(catalogue: Catalogue | None = None, date: str = "") -> str:
    """aurora.module(5), with the policies and grants of `catalogue`; `date` is its day, YYYY-MM-DD."""
    body = [".SH NAME", r"aurora.module \- the manifest of an AuroraOS module"]
    body += [".SH SYNOPSIS", _italic("module.toml"), ".br", _italic("module.json")]
    body += [".SH DESCRIPTION"]
    body += _prose(
        "A module is a folder that holds its manifest, module.toml, its program, and what the program reads. The"
        " manifest is TOML in UTF-8, in the tables below. A key that is not listed here is refused, as is a value"
        " beyond its bounds; auroractl check names every fault with file, line, key and remedy. Sizes are written as"
        ' "64M", times as "1min 30s", shares as "20%". A manifest of more than'
        f" {format_size(MANIFEST_MAX_BYTES)} is refused unread."
    )
    table = ""
    for key in KEYS:
        if key.table != table:
            table = key.table
            body.append(f".SH [{escape(table)}]")
        body += _key(key)
    if catalogue is not None:
        body += [".SH POLICIES AND GRANTS", *_prose("The owner can add policies, and replace these.")]
        body += _catalogue(catalogue)
    body += [".SH THE OLDER MANIFEST"]
    body += _prose(
        f"A folder with module.json in place of module.toml runs as it is. It holds {', '.join(OLDER_KEYS)}, each with"
        " the meaning that it has in [module], and nothing else; every other key has its default."
    )
    body += [".SH EXAMPLES", *_prose("A program in Python that says when it is up and that it is alive:")]
    body += _code(_EXAMPLE)
    body += [".PP", "An older manifest:", *_code(_OLDER_EXAMPLE)]
    body += [".SH SEE ALSO", *_references(("auroractl", 1), ("systemd.service", 5), ("systemd.exec", 5))]
    return _page("aurora.module", 5, date, body)


# Writing them


def main(argv: Sequence[str]) -> int:
    """Write all documents into the folder argv[0], with the policies of the folder argv[1]."""
    if len(argv) != 2:
        sys.stderr.write("usage: python3 -m aurora.cli.documents OUTDIR POLICIES\n")
        return os.EX_USAGE
    outdir, policies = Path(argv[0]), Path(argv[1])
    # Reproducible builds: the package's own date, not today's (https://reproducible-builds.org/specs/source-date-epoch/)
    date = time.strftime("%Y-%m-%d", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))))
    files = sorted(policies.glob("*.toml"))
    catalogue = read_catalogue((str(file), file.read_bytes()[: FILE_MAX_BYTES + 1]) for file in files)
    documents = {
        "auroractl.1": man_auroractl(date),
        "aurora.module.5": man_module(catalogue, date),
        "bash/auroractl": completion_bash(),
        "zsh/_auroractl": completion_zsh(),
        "fish/auroractl.fish": completion_fish(),
    }
    for name, text in documents.items():
        (outdir / name).parent.mkdir(parents=True, exist_ok=True)
        (outdir / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
