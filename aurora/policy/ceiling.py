"""The owner's ceiling: what no module gets, whatever its manifest asks for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aurora.errors import Problem
from aurora.policy.model import Owner
from aurora.quantity import format_score

__all__ = ["exposure_problems", "forbidden"]

OWNER_FILE = "/etc/aurora/core.toml"


def forbidden(owner: Owner, policy: str, grants: Iterable[str], *, module: str, where: str) -> list[Problem]:
    """A problem for the policy and for each grant that the owner never gives."""
    what = f"run the module {module}"
    problems = []
    if policy in owner.policies_never:
        problems.append(
            Problem(
                what,
                f"this machine's owner never gives the policy {policy} (policies_never in {OWNER_FILE})",
                f"{where}, key sandbox.policy",
                "a stricter policy",
            )
        )
    for grant in grants:
        pattern = next((one for one in owner.grants_never if _matches(one, grant)), None)
        if pattern is not None:
            problems.append(
                Problem(
                    what,
                    f"this machine's owner never gives the grant {grant} ({pattern!r} in grants_never of {OWNER_FILE})",
                    f"{where}, key sandbox.grants",
                    "a module that does without",
                )
            )
    return problems


def _matches(pattern: str, grant: str) -> bool:
    if pattern.endswith(":*"):
        return grant.startswith(pattern[:-1])
    return grant == pattern


def exposure_problems(
    score_tenths: int,
    bounds: Iterable[tuple[int | None, str]],
    costs: Mapping[str, int],
    *,
    module: str,
) -> list[Problem]:
    """A problem for each bound (tenths, where it stands) that the score is above, with what each part costs."""
    parts = "; ".join(f"{name} costs {format_score(tenths)}" for name, tenths in costs.items())
    return [
        Problem(
            f"run the module {module}",
            f"its exposure score {format_score(score_tenths)} is above {format_score(bound)}: {parts}",
            where,
            "fewer grants or a stricter policy",
        )
        for bound, where in bounds
        if bound is not None and score_tenths > bound
    ]
