"""why: the cause of how a module stands."""

from __future__ import annotations

import time
from types import SimpleNamespace

from aurora.cli import render
from aurora.paths import Paths
from aurora.runtime.cause import CauseKind, told_evidence
from aurora.runtime.records import require
from aurora.runtime.why import Told, Why, explain_module

__all__ = ["why"]

EXIT_DOWN = 3  # as in aurora.cli.status
_WELL = frozenset({CauseKind.HEALTHY, CauseKind.STARTING, CauseKind.STOPPED, CauseKind.ENDED, CauseKind.NEVER_STARTED})


def why(arguments: SimpleNamespace) -> int:
    """`auroractl why NAME`."""
    paths = Paths()
    record = require(paths, arguments.name)
    found = explain_module(paths, record)
    if arguments.json:
        document = _document(record.name, found)
        if arguments.all:
            document["incidents"] = [_told(one) for one in found.past]
        render.dump(document)
    else:
        render.emit(_text(found))
        if arguments.all:
            render.emit(_past(found))
    return 0 if found.cause.kind in _WELL else EXIT_DOWN


def _document(name: str, found: Why) -> dict[str, object]:
    cause = found.cause
    return {
        "name": name,
        "cause": cause.kind,
        "sentence": cause.sentence,
        "remedy": cause.remedy,
        "patch": list(cause.patch),
        "failed": cause.kind not in _WELL,
        "evidence": None if found.failure is None else found.failure.evidence.to_json(),
    }


def _told(one: Told) -> dict[str, object]:
    return {"cause": one.cause.kind, "sentence": one.cause.sentence, "evidence": one.evidence.to_json()}


def _when(usec: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(usec / 1_000_000))


def _text(found: Why) -> str:
    cause = found.cause
    lines = [f"{cause.sentence}."]
    if found.failure is not None:
        evidence = found.failure.evidence
        rows = [("when", _when(evidence.when_usec)), *told_evidence(evidence)]
        lines += [f"{label:>10}: {text}" for label, text in rows]
        if evidence.lines:
            lines += ["  its last lines:", *(f"    {line}" for line in evidence.lines)]
    elif found.past:
        last = found.past[-1]
        lines.append(f"It last failed at {_when(last.evidence.when_usec)}: {last.cause.sentence}.")
    if cause.remedy:
        lines.append(f"Try {cause.remedy}.")
    if cause.patch:
        lines += ["In module.toml:", *(f"    {line}" for line in cause.patch)]
    return "\n".join(lines)


def _past(found: Why) -> str:
    if not found.past:
        return "No incident of it is kept."
    rows = [
        (_when(one.evidence.when_usec), str(one.evidence.times), one.cause.kind, one.cause.sentence)
        for one in found.past
    ]
    return render.table(("LAST", "TIMES", "CAUSE", "WHAT HAPPENED"), rows)
