"""What AuroraLink's hub goes by for a module, against what its plan says. Nothing is read here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aurora.runtime.readback import Readback
from aurora.runtime.verdict import Row, Verdict

__all__ = ["link_rows"]

SOURCE = "/run/aurora/link, which the hub reads when the module connects"


def link_rows(evidence: Readback) -> Iterator[Row]:
    """A row where the plan has topics, or the hub lets the module have some."""
    declared, held = evidence.plan.link, evidence.link_held
    if not declared and not held:
        return
    if held is None:
        verdict, why = Verdict.NOT_ENFORCED, "the hub cannot read it, and lets the module do nothing"
    elif dict(declared) != dict(held):
        verdict, why = Verdict.NOT_ENFORCED, f"auroractl restart {evidence.plan.module} writes it anew"
    elif not evidence.running:
        verdict, why = Verdict.NOT_RUNNING, ""
    else:
        verdict, why = Verdict.ENFORCED, ""
    yield Row("link", _words(declared), _words(held or {}), verdict, why, SOURCE)


def _words(link: Mapping[str, tuple[str, ...] | int | str]) -> str:
    return "; ".join(f"{name} {_word(link[name])}" for name in sorted(link)) or "nothing"


def _word(value: tuple[str, ...] | int | str) -> str:
    return " ".join(value) if isinstance(value, tuple) else str(value)
