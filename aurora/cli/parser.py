"""A verb's row of the table -> argparse."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from types import SimpleNamespace
from typing import NoReturn

from aurora.cli.verbs import Argument, Takes, Verb
from aurora.errors import UsageError

__all__ = ["make_parser", "parse"]


class _Parser(argparse.ArgumentParser):
    """Raises instead of printing usage and exiting."""

    def error(self, message: str) -> NoReturn:
        raise UsageError("understand the command line", message, where=self.prog, remedy=f"{self.prog} --help")


def parse(verb: Verb, words: Sequence[str]) -> SimpleNamespace | None:
    """The arguments of a verb; None when they asked for help, which has been printed. UsageError when wrong."""
    try:
        return make_parser(verb).parse_args(list(words), SimpleNamespace())
    except SystemExit:  # argparse exits after --help alone: errors are raised above
        return None


def make_parser(verb: Verb) -> argparse.ArgumentParser:
    """The parser of one verb; its errors are UsageErrors."""
    parser = _Parser(
        prog=f"auroractl {verb.name}",
        description=verb.description,
        epilog=f"Example: {verb.example}" if verb.example else None,
        allow_abbrev=False,
    )
    for argument in verb.arguments:
        _add(parser, argument)
    return parser


def _add(parser: argparse.ArgumentParser, argument: Argument) -> None:
    if argument.takes is Takes.NOTHING:
        parser.add_argument(*argument.flags, dest=argument.name, action="store_true", help=argument.help)
        return
    kind = _whole_number if argument.takes is Takes.NUMBER else str
    if argument.flags:
        parser.add_argument(
            *argument.flags, dest=argument.name, type=kind, default=argument.default, help=argument.help,
            metavar=argument.takes.value.upper(),
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
