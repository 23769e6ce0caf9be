"""A proposal as the [sandbox] of a manifest: TOML, a comment with the evidence above each grant."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from aurora.plan.evidence import Did, Evidence
from aurora.plan.proposal import Proposal, Reasoned

__all__ = ["evidence_words", "sandbox_table"]

REASONS_MAX = 8
"""Deeds and addresses that are named beside one grant; the rest is counted."""
_WORDS = {"r": "read", "w": "written", "x": "run", "m": "mapped as code", "k": "locked", "l": "linked"}


def sandbox_table(proposal: Proposal) -> str:
    """The lines of the table, without its header."""
    lines = [f"policy = {_quoted(proposal.policy)}"]
    if not proposal.grants:
        return "\n".join([*lines, "grants = []"]) + "\n"
    lines.append("grants = [")
    for one in proposal.grants:
        lines += [f"  # {reason}" for reason in _reasons(one)]
        lines.append(f"  {_quoted(one.grant)},")
    return "\n".join([*lines, "]"]) + "\n"


def _reasons(one: Reasoned) -> list[str]:
    found = [evidence_words(evidence) for evidence in one.evidence]
    if one.peers:
        found.append(f"talked to {', '.join(one.peers[:REASONS_MAX])}{_more(one.peers)}")
    return [*found[:REASONS_MAX], *([f"and {len(found) - REASONS_MAX} more"] if len(found) > REASONS_MAX else [])]


def _more(items: Sequence[object]) -> str:
    return f" and {len(items) - REASONS_MAX} more" if len(items) > REASONS_MAX else ""


def evidence_words(one: Evidence) -> str:
    """One line of plain characters, whatever names the module chose."""
    did, what = one.deed
    subject = {
        Did.FILE: f"file {_shown(what)} {', '.join(_WORDS[letter] for letter in one.access)}",
        Did.RUN: f"program {_shown(what)} run",
        Did.NETWORK: f"socket {_shown(what)} used",
        Did.CAPABILITY: f"capability {_shown(what)} used",
        Did.SYSCALL: f"system call {_shown(what)} made",
        Did.OTHER: f"{_shown(what)} asked for",
    }[did]
    times = "once" if one.count == 1 else f"{one.count} times"
    at = datetime.fromtimestamp(one.first_sec, UTC).strftime("%H:%M:%S")
    return f"{subject} {times}, first at {at} UTC by {_shown(one.program)}"


def _shown(text: str) -> str:
    """As it stands when it is harmless, else quoted in ASCII; cut where it is long."""
    plain = text.isascii() and text.isprintable() and "'" not in text
    cut = text if len(text) <= 200 else text[:200] + "..."
    return cut if plain and cut else ascii(cut)


def _quoted(text: str) -> str:
    """A TOML string: JSON's escapes are all among TOML's."""
    return json.dumps(text)
