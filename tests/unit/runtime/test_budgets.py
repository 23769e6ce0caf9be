from __future__ import annotations

import pytest

from aurora.host.mounts import parse_mounts
from aurora.plan import Facts, Feature, Volume
from aurora.runtime.budgets import budget_rows
from aurora.runtime.readback import Readback
from aurora.runtime.verdict import Verdict
from tests.unit.examples import EVERY, plan
from tests.unit.runtime.observed import MOUNTS, evidence, process

MORE = '[limits]\nstate_max = "8M"\n[directories]\nstate = true\nruntime = true\n'
LOOP, MEMORY = "7:3", "0:99"


def volumes() -> tuple[Volume, Volume]:
    state, runtime = plan(MORE).volumes
    return state, runtime


def seen(
    *, image: str = "", length_bytes: int = 0, kind: str = "ext4", size: str = "size=16384k", state: str = "active"
) -> Readback:
    disk, memory = volumes()
    lines = [
        f"150 146 {LOOP} / {disk.place} rw,nosuid shared:158 - {kind} /dev/loop3 rw",
        f"151 110 {MEMORY} / {memory.place} rw,nosuid shared:159 - tmpfs tmpfs rw,{size},nr_inodes=4096",
    ]
    kept = [line for line in MOUNTS.splitlines() if "/private/aurora/hello" not in line]
    loops = {LOOP: (image or disk.image, length_bytes or disk.image_bytes)}
    mounts = parse_mounts("\n".join([*kept, *lines]))
    states = {disk.unit: state, memory.unit: state}
    return evidence(plan(MORE), process=process(mounts=mounts), loops=loops, volume_states=states)


def bad(found: Readback) -> dict[str, str]:
    return {row.name: row.why for row in budget_rows(found) if not row.good}


def test_a_budget_that_the_kernel_shows_is_enforced() -> None:
    rows = {row.name: (row.declared, row.effective, row.verdict) for row in budget_rows(seen())}
    assert rows == {
        "state size": ("8M", "8M", Verdict.ENFORCED),
        "runtime size": ("16M", "16M", Verdict.ENFORCED),
    }


@pytest.mark.parametrize(
    ("found", "name", "why"),
    [
        (seen(image="/somewhere/else.ext4"), "state size", "is in /somewhere/else.ext4"),
        (seen(length_bytes=1 << 30), "state size", "has 1073741824 bytes"),
        (seen(kind="tmpfs"), "state size", "no loop device"),
        (seen(size="size=32768k"), "runtime size", "holds 32M"),
        (seen(size="inode64"), "runtime size", "holds any amount"),
    ],
)
def test_a_volume_that_is_another_than_declared_is_not_enforced(found: Readback, name: str, why: str) -> None:
    faults = bad(found)
    assert faults.keys() == {name}
    assert why in faults[name]


def test_a_directory_on_the_machines_own_disk_has_no_budget() -> None:
    assert "on no loop device" in bad(evidence(plan(MORE)))["state size"]


def test_a_mount_unit_that_systemd_does_not_have_up_is_told() -> None:
    assert bad(seen(state="failed")).keys() == {"state size", "runtime size"}


def test_a_module_that_is_down_has_nothing_to_be_held_to() -> None:
    down = evidence(plan(MORE), process=None, volume_states={})
    assert {row.verdict for row in budget_rows(down)} == {Verdict.NOT_RUNNING}


def test_budgets_that_the_owner_goes_without_are_not_enforced() -> None:
    facts = Facts(features=EVERY - {Feature.LOOP}, accepted=frozenset({Feature.LOOP}))
    (row, *_) = [row for row in budget_rows(evidence(plan(MORE, facts=facts))) if row.name == "disk budgets"]
    assert row.verdict is Verdict.NOT_ENFORCED
    assert "lacks loop" in row.why
