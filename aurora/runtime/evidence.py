"""What is known of one failure: frozen, printable as JSON, small enough to be kept. Pure.

Read and written while a module is failing, so it imports little.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["EVIDENCE_MAX_BYTES", "Change", "Denial", "Evidence", "evidence_from_json", "evidence_to_bytes"]

EVIDENCE_MAX_BYTES = 4096
"""Larger evidence loses log lines, oldest first, then denials."""
LINE_MAX_CHARS = 200
LINES_MAX = 8
DENIALS_MAX = 8
CHANGES_MAX = 4
TEXT_MAX_CHARS = 256


class Denial(NamedTuple):
    """Something that the kernel refused to the module, and how often."""

    source: str
    """apparmor or seccomp."""
    operation: str
    """AppArmor's operation (open, exec, create, capable, ...), or the name of a system call."""
    subject: str
    """The path, address family or capability; empty for a system call."""
    asked: str = ""
    """What was asked of a file, in AppArmor's letters (r, w, c, x, ...)."""
    often: int = 1


class Change(NamedTuple):
    """Something that was changed shortly before."""

    what: str
    """Reads after "since": "version 2.0 was installed"."""
    before_sec: int
    """How long before the failure."""


class Evidence(NamedTuple):
    """What systemd, the kernel and the journal knew of one failure when it happened."""

    module: str
    version: str
    safe_state: bool
    """Whether it is the module's safe state that failed, not the module."""
    when_usec: int
    """When it failed, since the epoch."""
    first_usec: int
    """When the first of `times` equal failures was seen."""
    times: int
    """How many failures in a row were recorded with equal cause; the numbers are those of the last."""
    invocation: str
    """systemd's InvocationID of the run that failed; empty when it is not known."""
    result: str
    """systemd's Result= of the run: exit-code, signal, oom-kill, watchdog, timeout, ..."""
    code: str
    """How the main process ended: exited, killed, dumped; empty when it never ran."""
    status: int
    """Its exit status, or the number of the signal."""
    was_up: bool
    """Whether it had come up before it failed."""
    ran_sec: int
    """How long it had run."""
    gave_up: bool
    """Whether systemd does not start it again by itself."""
    restarts: int
    """How often systemd had restarted it since it was last started."""
    settings: Mapping[str, int | str]
    """What the plan said on the points that a remedy may change; a key that is absent was not declared."""
    memory_peak_bytes: int | None
    oom_kills: int | None
    """Kills for memory, counted by the kernel in the module's slice."""
    denials: tuple[Denial, ...]
    lines: tuple[str, ...]
    """The last lines that the module wrote, oldest first."""
    dependency: str
    """The unit whose failure kept this one from being started; empty when there is none."""
    changes: tuple[Change, ...]

    @property
    def fingerprint(self) -> tuple[object, ...]:
        """Equal for failures that have the same cause as far as can be told."""
        refused = tuple((one.source, one.operation, one.subject) for one in self.denials)
        return (self.version, self.safe_state, self.result, self.code, self.status, self.was_up, self.gave_up, refused,
                self.dependency)  # fmt: skip

    def bounded(self) -> Evidence:
        """The same, cut so that `evidence_to_bytes` keeps to EVIDENCE_MAX_BYTES."""
        cut = self._replace(
            lines=tuple(line[:LINE_MAX_CHARS] for line in self.lines[-LINES_MAX:]),
            denials=tuple(
                one._replace(subject=one.subject[:TEXT_MAX_CHARS], operation=one.operation[:64])
                for one in self.denials[:DENIALS_MAX]
            ),
            changes=tuple(one._replace(what=one.what[:TEXT_MAX_CHARS]) for one in self.changes[:CHANGES_MAX]),
        )
        while len(_encoded(cut)) > EVIDENCE_MAX_BYTES:
            if cut.lines:
                cut = cut._replace(lines=cut.lines[1:])
            elif cut.denials:
                cut = cut._replace(denials=cut.denials[:-1])
            else:
                cut = cut._replace(changes=(), settings={})
        return cut

    def to_json(self) -> dict[str, object]:
        """All of it in JSON types."""
        rows = {name: [one._asdict() for one in getattr(self, name)] for name in ("denials", "changes")}
        return {**self._asdict(), "lines": list(self.lines), **rows}


def _encoded(evidence: Evidence) -> bytes:
    return json.dumps(evidence.to_json(), ensure_ascii=False, separators=(",", ":")).encode(errors="replace") + b"\n"


def evidence_to_bytes(evidence: Evidence) -> bytes:
    """One line of JSON, at most EVIDENCE_MAX_BYTES long with its line end."""
    return _encoded(evidence.bounded())


def evidence_from_json(document: Mapping[str, object]) -> Evidence:
    """What `to_json` gave; KeyError, TypeError or ValueError when it is something else."""
    if not isinstance(document, dict):
        raise TypeError("it is not an object")
    values = {name: value for name, value in document.items() if name in Evidence._fields}
    for name, kind in (("denials", Denial), ("changes", Change)):
        rows = values[name]
        if not isinstance(rows, list):
            raise TypeError(f"{name} is not a list")
        values[name] = tuple(kind(**row) for row in rows)
    lines = values["lines"]
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise TypeError("lines is not a list of texts")
    values["lines"] = tuple(lines)
    return Evidence(**values)
