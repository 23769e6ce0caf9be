from __future__ import annotations

from collections.abc import Mapping

import pytest

from aurora.host.mounts import parse_mounts
from aurora.names import LINK_SOCKET
from aurora.runtime.applied import applied_link, forget_plan, remember_plan
from aurora.runtime.doctor import rows_of
from aurora.runtime.verdict import Verdict
from tests.unit.examples import plan
from tests.unit.runtime.observed import MOUNTS, evidence, process
from tests.unit.runtime.rig import Rig

MORE = '[link]\npublish = ["site/#", "b"]\n'
DECLARED = {"publish": ("site/#", "b")}


def verdict(more: str, held: Mapping[str, tuple[str, ...]] | None) -> list[Verdict]:
    return [row.verdict for row in rows_of(evidence(plan(more), link_held=held), None) if row.name == "link"]


@pytest.mark.parametrize("held", [{}, None, {"publish": ("site/#",)}, {**DECLARED, "serve": ("#",)}])
def test_rules_of_the_hub_that_are_not_the_plans_are_seen(held: Mapping[str, tuple[str, ...]] | None) -> None:
    assert verdict(MORE, held) == [Verdict.NOT_ENFORCED]


def test_rules_as_declared_are_and_none_are_no_row() -> None:
    assert verdict(MORE, DECLARED) == [Verdict.ENFORCED]
    assert verdict("", {}) == []
    assert verdict("", DECLARED) == [Verdict.NOT_ENFORCED]
    rows = rows_of(evidence(plan(MORE), process=None), None)
    assert [row.verdict for row in rows if row.name == "link"] == [Verdict.NOT_RUNNING]


@pytest.mark.parametrize(("root", "words"), [("/aurora/link.sock", []), ("/aurora/link.sock//deleted", ["no more"])])
def test_a_socket_that_was_made_anew_under_the_module_is_seen(root: str, words: list[str]) -> None:
    line = f"150 110 0:26 {root} {LINK_SOCKET} ro,nosuid shared:158 - tmpfs tmpfs rw\n"
    seen = evidence(plan(MORE), process=process(mounts=parse_mounts(MOUNTS.rstrip("\n") + "\n" + line)))
    seen = evidence(plan(MORE), process=seen.process, places={**seen.places, LINK_SOCKET: LINK_SOCKET})
    (row,) = [row for row in rows_of(seen, None) if row.name == "BindReadOnlyPaths"]
    assert [word for word in ("no more",) if word in row.why] == words, row


def test_what_the_hub_goes_by_is_what_was_applied(rig: Rig) -> None:
    assert applied_link(rig.paths, "hello") == {}
    remember_plan(rig.paths, plan(MORE))
    assert applied_link(rig.paths, "hello") == DECLARED
    (rig.paths.link_rules / "hello.json").write_text("[]")
    assert applied_link(rig.paths, "hello") is None
    forget_plan(rig.paths, "hello")
    assert applied_link(rig.paths, "hello") == {}
