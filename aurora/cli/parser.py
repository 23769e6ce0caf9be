"""A verb's row of the table -> argparse."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from types import SimpleNamespace
from typing import NoReturn

from aurora.cli.completion import shown_value
from aurora.cli.verbs import Argument, Takes, Verb, split_command
from aurora.errors import UsageError

__all__ = ["make_parser", "parse"]


class _Parser(argparse.ArgumentParser):
    """Raises instead of printing usage and exiting."""

    def error(self, message: str) -> NoReturn:
        raise _wrong(self.prog, message)


def _wrong(program: str, why: str) -> UsageError:
    return UsageError("understand the command line", why, where=program, remedy=f"{program} --help")


def parse(verb: Verb, words: Sequence[str]) -> SimpleNamespace | None:
    """The arguments of a verb; None when they asked for help, which has been printed. UsageError when wrong."""
    try:
        own, command = split_command(verb, words)
        # Names and switches in any order, as `remove one --purge two`.
        found = make_parser(verb).parse_intermixed_args(own, SimpleNamespace())
        place = verb.command
        if place is not None:
            if not command:
                raise _wrong(f"auroractl {verb.name}", f"no command stands after --, as in {verb.example}")
            setattr(found, place.name, command)
        return found
    except SystemExit:  # argparse exits after --help alone: errors are raised above
        return None


def make_parser(verb: Verb) -> argparse.ArgumentParser:
    """The parser of one verb; its errors are UsageErrors."""
    parser = _Parser(
        prog=f"auroractl {verb.name}",
        usage=_usage(verb),
        description=verb.description,
        epilog=f"Example: {verb.example}" if verb.example else None,
        allow_abbrev=False,
    )
    for argument in verb.arguments:
        _add(parser, argument)
    return parser


def _usage(verb: Verb) -> str | None:
    """How to use a verb with a command, which argparse knows nothing of; None for others."""
    if verb.command is None:
        return None
    options = [f"[{argument.flags[0]}]" for argument in verb.arguments if argument.flags]
    places = [shown_value(argument) for argument in verb.arguments if not argument.flags]
    return " ".join((f"auroractl {verb.name}", "[-h]", *options, *places))


def _add(parser: argparse.ArgumentParser, argument: Argument) -> None:
    if argument.takes == Takes.COMMAND:
        return  # `parse` has taken it away
    if argument.takes == Takes.NOTHING:
        parser.add_argument(*argument.flags, dest=argument.name, action="store_true", help=argument.help)
        return
    kind = _whole_number if argument.takes == Takes.NUMBER else str
    if argument.flags:
        parser.add_argument(
            *argument.flags, dest=argument.name, type=kind, default=argument.default, help=argument.help,
            metavar=None if argument.choices else argument.takes.upper(), choices=argument.choices or None,
        )  # fmt: skip
        return
    nargs = {(False, False): None, (False, True): "?", (True, False): "+", (True, True): "*"}
    parser.add_argument(
        argument.name, metavar=argument.name.upper(), type=kind, help=argument.help,
        nargs=nargs[argument.many, argument.optional],
    )  # fmt: skip


def _whole_number(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if not 1 <= number <= 1_000_000:
        raise argparse.ArgumentTypeError("it must be a number from 1 to 1000000")
    return number
