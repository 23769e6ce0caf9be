"""What a row of the table of verbs is: `verbs` has the rows."""

from __future__ import annotations

from aurora.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["JSON", "MODULE", "MODULES", "Argument", "Takes", "Verb", "split_command"]


class Takes:
    """What an argument is, for completion."""

    NOTHING = "nothing"
    """A switch."""
    MODULE = "module"
    """The name of an installed module."""
    FOLDER = "folder"
    PACKAGE = "package"
    """A .deb file."""
    SOURCE = "source"
    """A folder or a .deb file."""
    OFFER = "offer"
    """A folder, a .deb file, or the address of one."""
    SUBJECT = "subject"
    """An installed module, a folder or a .deb file."""
    TEXT = "text"
    CHOICE = "choice"
    """One of the row's `choices`."""
    NUMBER = "number"
    POLICY = "policy"
    """The name of a policy."""
    COMMAND = "command"
    """A program and its arguments: every word after --, as it stands. A verb's last argument."""


class Argument(Value):
    """A positional argument (no flags) or an option."""

    name: str
    help: str
    takes: str
    """One of `Takes`."""
    flags: tuple[str, ...] = ()
    many: bool = False
    """Zero or more when `optional`, one or more otherwise."""
    optional: bool = False
    default: str | None = None
    choices: tuple[str, ...] = ()


class Verb(Value):
    """A row: what `auroractl NAME` does and which code does it."""

    name: str
    """One word, or two such as `policy list`: then the first is a family, and no verb has it as its whole name."""
    group: str
    summary: str
    """One line, for the list of verbs."""
    description: str
    """What it does, what it changes, and what its exit status means where that is special."""
    code: str
    """module:function; the function takes the parsed arguments and returns the exit status."""
    arguments: tuple[Argument, ...] = ()
    example: str = ""

    @property
    def command(self) -> Argument | None:
        """The argument that takes every word after --."""
        last = self.arguments[-1] if self.arguments else None
        return last if last is not None and last.takes == Takes.COMMAND else None


def split_command(verb: Verb, words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words for the verb itself, and those of the command after the first -- where the verb takes one."""
    if verb.command is None or "--" not in words:
        return list(words), []
    at = list(words).index("--")
    return list(words[:at]), list(words[at + 1 :])


JSON = Argument("json", "print JSON for programs", Takes.NOTHING, ("--json",))
"""Every verb that reads has it."""
MODULE = Argument("name", "the module", Takes.MODULE)
MODULES = Argument("names", "the modules", Takes.MODULE, many=True)
