from __future__ import annotations

import pytest

from aurora.plan import volume_at
from aurora.plan.volume import BLOCK_BYTES, Volume

MIB = 1 << 20
GIB = 1 << 30


def volume(size_bytes: int) -> Volume:
    return volume_at("state", "aurora/hello", size_bytes)


@pytest.mark.parametrize("size_bytes", [4 * MIB, 20 * MIB, 255 * MIB, 256 * MIB, GIB, 100 * GIB, 1024 * GIB])
def test_an_image_holds_the_budget_and_what_ext4_keeps_for_itself(size_bytes: int) -> None:
    made = volume(size_bytes)
    own = made.journal_mib * MIB + made.inodes * 256
    assert made.image_bytes % BLOCK_BYTES == 0
    assert size_bytes + own < made.image_bytes < 1.06 * size_bytes + own + MIB


def test_another_budget_is_another_image() -> None:
    lengths = [volume(4 * MIB + n * BLOCK_BYTES).image_bytes for n in range(70_000)]
    assert len(set(lengths)) == len(lengths)


def test_a_hyphen_of_a_name_is_escaped_in_the_mount_unit() -> None:
    assert volume_at("logs", "aurora/a-b", 1).unit == "var-log-private-aurora-a\\x2db.mount"
    assert volume_at("logs", "aurora-run/ab", 1).unit == "var-log-private-aurora\\x2drun-ab.mount"
