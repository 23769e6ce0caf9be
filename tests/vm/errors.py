"""The one error of the VM test rig."""

from __future__ import annotations


class RigError(Exception):
    """What the rig could not do: `cannot WHAT, because WHY; try REMEDY`, and the evidence below it."""

    def __init__(self, what: str, why: str, remedy: str = "", evidence: str = "") -> None:
        self.what = what
        self.why = why
        self.remedy = remedy
        self.evidence = evidence
        text = f"cannot {what}, because {why}"
        if remedy:
            text += f"; try {remedy}"
        if evidence:
            text += "\n" + "\n".join("  | " + line for line in evidence.rstrip().splitlines())
        super().__init__(text)


class CommandFailed(RigError):
    """A command in the machine ended with a status other than zero, or did not end in its time."""


class EmulationBroke(CommandFailed):
    """The kernel of an emulated machine panicked: it says nothing about what was tried there."""


def tail(text: str, lines: int = 40) -> str:
    """The last `lines` lines of a log: errors are at its end."""
    return "\n".join(text.rstrip().splitlines()[-lines:])
