"""auroractl: finds the verb, parses its arguments, calls its code, and says what went wrong."""

from __future__ import annotations

import os
import sys

from aurora.cli.verbs import GROUPS, INTERNAL, VERBS, Takes, Verb, families, split_command
from aurora.errors import AuroraError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import SimpleNamespace
else:
    SimpleNamespace = type(sys.implementation)  # as types has it, without its import

__all__ = ["main", "overview", "plain_arguments"]

_HELP = ("-h", "--help", "help")
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it


def main(argv: Sequence[str]) -> int:
    """Run `auroractl ARGV` and return its exit status (sysexits(3), and 3 where `status` finds a module down)."""
    os.umask(0o022)  # what is staged and recorded is for all to read, whatever umask root has
    try:
        try:
            status = _run(list(argv))
        except AuroraError as error:
            _complain(error, as_json="--json" in _own_words(argv))
            status = error.exit_status
        sys.stdout.flush()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader went away, as with `| head`: nothing is wrong, but Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + 13
    return status


def _own_words(argv: Sequence[str]) -> Sequence[str]:
    """The words that are for us and not for a command after them."""
    for verb in VERBS:
        if verb.command is not None and argv and argv[0] == verb.name:
            return split_command(verb, argv)[0]
    return argv


def _run(argv: list[str]) -> int:
    if not argv or argv[0] in _HELP:
        sys.stdout.write(overview())
        return 0
    if argv[0] == "--version":
        argv = ["version", *argv[1:]]
    verb = _find(argv)
    if verb is None:
        sys.stdout.write(_family_overview(argv[0]))
        return 0
    words = argv[len(verb.name.split()) :]
    arguments = plain_arguments(verb, words)
    if arguments is None:
        from aurora.cli.parser import parse  # noqa: PLC0415  # argparse costs half a Python start-up

        arguments = parse(verb, words)
    if arguments is None:  # it was --help
        return 0
    module, _, function = verb.code.partition(":")
    return int(getattr(__import__(module, fromlist=[function]), function)(arguments))  # importlib is one more import


def _find(argv: list[str]) -> Verb | None:
    """The verb that the command line begins with; None when it asks for the help of a family."""
    for verb in (*VERBS, *INTERNAL):
        if verb.name.split() == argv[: verb.name.count(" ") + 1]:
            return verb
    family = families().get(argv[0])
    if family is None:
        raise UsageError("find the verb " + repr(argv[0]), "there is no such verb", remedy="auroractl --help")
    if len(argv) == 1 or argv[1] in _HELP:
        return None
    known = ", ".join(verb.name for verb in family)
    raise UsageError(f"find the verb {' '.join(argv[:2])!r}", f"{argv[0]} has no such verb", remedy=known)


def plain_arguments(verb: Verb, words: Sequence[str]) -> SimpleNamespace | None:
    """The arguments where they are nothing but switches in full and words, and as many as the verb takes.

    None for everything else, errors included: argparse then reads them, and says what is wrong.
    """
    words, command = split_command(verb, words)
    if verb.command is not None and not command:
        return None
    values: dict[str, object] = {}
    switches = {}
    places = []
    for argument in verb.arguments:
        if argument.takes == Takes.COMMAND:
            values[argument.name] = command
        elif argument.flags:
            values[argument.name] = False if argument.takes == Takes.NOTHING else argument.default
            switches.update(dict.fromkeys(argument.flags, argument) if argument.takes == Takes.NOTHING else {})
        else:
            values[argument.name] = None
            places.append(argument)
    plain = []
    for word in words:
        if word in switches:
            values[switches[word].name] = True
        elif word.startswith("-"):
            return None
        else:
            plain.append(word)
    if len(places) > 1 or any(a.takes == Takes.NUMBER for a in verb.arguments):
        return None
    if not places:
        return None if plain else SimpleNamespace(**values)
    place = places[0]
    if (not plain and not place.optional) or (len(plain) > 1 and not place.many):
        return None
    values[place.name] = plain if place.many else (plain[0] if plain else None)
    return SimpleNamespace(**values)


def overview() -> str:
    """The help that lists all verbs."""
    lines = [
        "usage: auroractl VERB [ARGUMENT ...]",
        "",
        "Runs small programs boxed, capped and watched by systemd.",
    ]
    for group, title in GROUPS:
        lines += ["", f"{title}:"]
        lines += _listed([verb for verb in VERBS if verb.group == group])
    lines += ["", "auroractl VERB --help tells more; so do auroractl(1) and aurora.module(5)."]
    return "\n".join(lines) + "\n"


def _family_overview(family: str) -> str:
    """The help that lists the verbs which share their first word."""
    lines = [f"usage: auroractl {family} VERB [ARGUMENT ...]", "", *_listed(families()[family])]
    lines += ["", f"auroractl {family} VERB --help tells more; so does auroractl(1)."]
    return "\n".join(lines) + "\n"


def _listed(verbs: Sequence[Verb]) -> list[str]:
    width = max(len(verb.name) for verb in VERBS)
    return [f"  {verb.name:<{width}}  {verb.summary}" for verb in verbs]


def _complain(error: AuroraError, *, as_json: bool) -> None:
    if as_json:
        import json  # noqa: PLC0415  # short verbs do without

        problems = [problem.to_json() for problem in error.problems]
        sys.stdout.write(json.dumps({"problems": problems}, indent=1) + "\n")
    for problem in error.problems:
        sys.stderr.write(f"auroractl: {problem}\n")
