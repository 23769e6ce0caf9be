"""The manual pages and shell completions, made when the package is built from the tables that the program reads.

    python3 -m aurora.cli.documents OUTDIR POLICIES

writes auroractl.1, aurora.module.5, auroralink.7, aurora-edge.1 and the completions for bash, zsh and fish into OUTDIR.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from aurora.cli.completion import completion_bash, completion_fish, completion_zsh, shown_value
from aurora.cli.link_pages import man_edge, man_link
from aurora.cli.places import FILES
from aurora.cli.roff import bold, code, escape, italic, page, prose, references, tagged
from aurora.cli.verbs import GROUPS, VERBS, Argument, Verb
from aurora.errors import AuroraError
from aurora.manifest.schema import KEYS, MANIFEST_MAX_BYTES, OLDER_KEYS, REQUIRED, Key
from aurora.paths import Paths
from aurora.policy import ARGUMENTS, FILE_MAX_BYTES, Catalogue, read_catalogue
from aurora.quantity import format_duration, format_share, format_size

__all__ = [
    "EXIT_DOWN",
    "EXIT_INTERRUPTED",
    "EXIT_NOT_AS_DECLARED",
    "completion_bash",
    "completion_fish",
    "completion_zsh",
    "main",
    "man_auroractl",
    "man_module",
    "shown_default",
]

EXIT_DOWN = 3  # aurora.cli.status, .main and .doctor say the same; a test compares. Their imports need systemd.
EXIT_INTERRUPTED = 130
EXIT_NOT_AS_DECLARED = 1


# The page of the program


def _flag(argument: Argument) -> str:
    value = shown_value(argument)
    flags = ", ".join(bold(flag) for flag in argument.flags)
    return f"{flags} {italic(value)}" if value else flags


def _signature(verb: Verb) -> str:
    words = [bold(verb.name)]
    for argument in verb.arguments:
        value = shown_value(argument)
        if argument.flags:
            word = bold(argument.flags[0]) + (f" {italic(value)}" if value else "")
        else:
            word = italic(value) + ("..." if argument.many else "")
        words.append(f"[{word}]" if argument.flags or argument.optional else word)
    return " ".join(words)


def _verb(verb: Verb) -> list[str]:
    lines = [*tagged(_signature(verb), prose(verb.description)), ".RS"]
    for argument in verb.arguments:
        about = argument.help[0].upper() + argument.help[1:]
        if argument.default is not None:
            about += f"; {'here' if argument.default == '.' else argument.default} when left out"
        lines += tagged(_flag(argument) if argument.flags else italic(shown_value(argument)), prose(about + "."))
    if verb.example:
        lines += [".PP", "Example:", bold(verb.example)]
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
        yield from tagged(bold(str(status)), [line for about in rows[status] for line in prose(about)])


def _files() -> Iterator[str]:
    paths = Paths()
    for name, about in FILES:
        yield from tagged(italic(str(getattr(paths, name))), prose(about))
    yield from tagged(italic("/usr/share/aurora/examples"), prose("Example modules."))


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
    body += [".SH SYNOPSIS", f"{bold('auroractl')} {italic('VERB')} [{italic('ARGUMENT')} ...]"]
    body += [".SH DESCRIPTION"]
    body += prose(
        "A module is a folder with a manifest, described in aurora.module(5), and a program. auroractl gives each"
        " module a unit of its own, aurora@NAME.service, with limits, a sandbox, a system call filter and an"
        " AppArmor profile, and leaves running, restarting and logging to systemd. systemctl and journalctl work on it"
        " as on any unit: stop, start, restart and edit too. Nothing of AuroraOS Core stays resident."
    )
    body += [".PP", *prose("Data goes to standard output, everything else to standard error.")]
    body += [r"With \fB\-\-json\fR the data is JSON; then errors are printed there too."]
    for group, title in GROUPS:
        body.append(f".SH {escape(title.upper())}")
        for verb in VERBS:
            if verb.group == group:
                body += _verb(verb)
    body += [".SH OPTIONS"]
    body += tagged(rf"{bold('-h')}, {bold('--help')}", prose("Print help; after a verb, that of the verb."))
    body += tagged(bold("--version"), prose("The same as the verb version."))
    body += [".SH EXIT STATUS", *_exit_status()]
    body += [".PP", *prose("run ends with the status of the program that it ran.")]
    body += [".SH FILES", *_files()]
    body += [".SH EXAMPLES", "From nothing to a module that starts at boot:", *code(_FIRST_STEPS)]
    body += [".PP", "The same module as a package, and all of it removed again:", *code(_AS_PACKAGE)]
    body += [".SH SEE ALSO"]
    body += references(
        ("aurora.module", 5), ("systemctl", 1), ("journalctl", 1), ("systemd.exec", 5),
        ("systemd.resource-control", 5), ("apparmor", 7),
    )  # fmt: skip
    return page("auroractl", 1, date, body)


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
    tag = f"{italic('VARIABLE')} = {italic('text')}" if key.name == "*" else f"{bold(key.name)} ({escape(key.type)})"
    lines = [*tagged(tag, prose(key.doc)), ".RS"]
    if key.bound:
        lines += [".PP", *prose(f"Bounds: {key.bound}.")]
    example = key.example if key.name == "*" else f"{key.name} = {key.example}"
    lines += [".PP", *prose(f"Default: {shown_default(key)}."), "Example:", bold(example)]
    return [*lines, ".RE"]


def _catalogue(catalogue: Catalogue) -> Iterator[str]:
    if catalogue.policies:
        yield ".SS Policies"
        yield from _described((one.name, one.description) for one in catalogue.policies.values())
    if catalogue.grants:
        yield ".SS Grants"
        kinds = ", ".join(f"{row.word} {row.doc}" for row in ARGUMENTS.values())
        yield from prose(f"In these names, a word in capitals stands for what the manifest writes there: {kinds}.")
        yield from _described((one.name, one.description) for one in catalogue.grants.values())


def _described(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, description in sorted(rows):
        yield from tagged(bold(name), prose(description.replace("$", "") + "."))


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


_BUDGETS = (
    "A directory with a budget is a file system of its own, in an image that is mounted from the module's first start"
    " until the machine goes down or the module is removed. A module does not run while its volume is not mounted."
    " The kernel refuses what would go beyond the budget with ENOSPC. Files are counted too, one for each 16K of the"
    " budget and at least 1024. The module reads its budgets in bytes in AURORA_STATE_MAX, AURORA_CACHE_MAX and"
    " AURORA_LOGS_MAX.",
    "The image takes from the machine's disk what is stored in it, and about a tenth of a small budget, less of a"
    " large one, for the file system itself. Nothing is set aside: budgets may add up to more than the disk has. Where"
    " the disk is full before the budget is, writes fail as on a full disk, and the volume may turn read-only;"
    " auroractl restart then checks it and mounts it anew.",
    "A budget can change, come or go with a new version or the owner's file. What is stored is then copied into a new"
    " image, or into a plain directory, while the module is stopped: the disk needs room for both. A budget below what"
    " is stored is refused. An interruption leaves the old or the new, whole. A volume that somebody else uses, such as"
    " a shell in it, is not changed or removed.",
    "Under the policy strict, /tmp, /var/tmp, /dev/shm and the runtime directory are the module's own, in memory,"
    " bounded, and counted as its memory.",
)
"""Paragraphs on disk budgets."""


def man_module(catalogue: Catalogue | None = None, date: str = "") -> str:
    """aurora.module(5), with the policies and grants of `catalogue`; `date` is its day, YYYY-MM-DD."""
    body = [".SH NAME", r"aurora.module \- the manifest of an AuroraOS module"]
    body += [".SH SYNOPSIS", italic("module.toml"), ".br", italic("module.json")]
    body += [".SH DESCRIPTION"]
    body += prose(
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
    for head, text in zip((".SH DISK BUDGETS", *[".PP"] * len(_BUDGETS)), _BUDGETS, strict=False):
        body += [head, *prose(text)]
    if catalogue is not None:
        body += [".SH POLICIES AND GRANTS", *prose("The owner can add policies, and replace these.")]
        body += _catalogue(catalogue)
    body += [".SH THE OLDER MANIFEST"]
    body += prose(
        f"A folder with module.json in place of module.toml runs as it is. It holds {', '.join(OLDER_KEYS)}, each with"
        " the meaning that it has in [module], and nothing else; every other key has its default."
    )
    body += [".SH EXAMPLES", *prose("A program in Python that says when it is up and that it is alive:")]
    body += code(_EXAMPLE)
    body += [".PP", "An older manifest:", *code(_OLDER_EXAMPLE)]
    body += [".SH SEE ALSO", *references(("auroractl", 1), ("systemd.service", 5), ("systemd.exec", 5))]
    return page("aurora.module", 5, date, body)


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
        "auroralink.7": man_link(date),
        "aurora-edge.1": man_edge(date),
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
