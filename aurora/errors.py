"""Every error a user can meet.

    AuroraError                 the root; carries one or more Problems and the exit status of the command
    ├── UsageError        64    the command line itself is wrong
    ├── InputError        65    a file's content is wrong (manifest, policy, owner's file, package)
    ├── NotFound          66    what was named does not exist
    ├── Refused           69    this machine or its owner does not allow it; nothing was changed
    ├── StartFailed       70    systemd could not bring the module up; the problem says why
    ├── HostError         71    the operating system refused a step that ought to work
    ├── DeadlineExceeded  75    an answer did not come in time; trying again may help
    └── Denied            77    the caller lacks the right (run as root)

An error has its own class where a caller branches on it; the exit status (sysexits(3)) is such a branch.
Each reads: cannot X, because Y, at Z; try W.
"""

from __future__ import annotations

import os

from aurora.text import visible
from aurora.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


__all__ = [
    "AuroraError",
    "DeadlineExceeded",
    "Denied",
    "HostError",
    "InputError",
    "NotFound",
    "Problem",
    "Refused",
    "StartFailed",
    "UsageError",
]


class Problem(Value):
    """One thing that is wrong, in the four parts a reader needs."""

    what: str
    """What could not be done, as the object of "cannot": "read the manifest"."""
    why: str
    """The reason, as the object of "because"."""
    where: str = ""
    """Where it stands: file, line and key, or a unit; empty when there is no place."""
    remedy: str = ""
    """What to try; empty when there is nothing to say."""

    def __str__(self) -> str:
        text = f"cannot {self.what}, because {self.why}"
        if self.where:
            text += f", at {self.where}"
        if self.remedy:
            text += f"; try {self.remedy}"
        return visible(text, keep="\n")  # parts of it were written by strangers; a reason may have several lines

    def to_json(self) -> dict[str, object]:
        """The four parts under their names."""
        return self._asdict()


class AuroraError(Exception):
    """An error with one or more `Problem`s; `str` has one line for each."""

    exit_status: int = os.EX_SOFTWARE

    def __init__(self, what: str, why: str, *, where: str = "", remedy: str = "") -> None:
        self.problems: tuple[Problem, ...] = (Problem(what, why, where, remedy),)
        super().__init__(str(self.problems[0]))

    @classmethod
    def of(cls, problems: Iterable[Problem]) -> AuroraError:
        """The error for all `problems` of one input at once; ValueError when there are none."""
        found = tuple(problems)
        if not found:
            raise ValueError("an error needs at least one problem")
        error = cls(found[0].what, found[0].why, where=found[0].where, remedy=found[0].remedy)
        error.problems = found
        error.args = ("\n".join(str(problem) for problem in found),)
        return error


class UsageError(AuroraError):
    """The command line is wrong."""

    exit_status = os.EX_USAGE


class InputError(AuroraError):
    """A file that was read is wrong; nothing was changed."""

    exit_status = os.EX_DATAERR


class NotFound(AuroraError):
    """What was named does not exist."""

    exit_status = os.EX_NOINPUT


class Refused(AuroraError):
    """The machine cannot enforce it, or its owner does not allow it; nothing was changed."""

    exit_status = os.EX_UNAVAILABLE


class StartFailed(AuroraError):
    """A module did not come up; the problem holds exit status, last log lines and denials."""

    exit_status = os.EX_SOFTWARE


class HostError(AuroraError):
    """The operating system refused a step."""

    exit_status = os.EX_OSERR


class DeadlineExceeded(AuroraError):
    """An answer did not come in time."""

    exit_status = os.EX_TEMPFAIL


class Denied(AuroraError):
    """The caller lacks the right."""

    exit_status = os.EX_NOPERM
