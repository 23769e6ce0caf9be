from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.plan.inventory import (
    Damage,
    Fault,
    Found,
    Inventory,
    Item,
    Kind,
    compare,
    damage_words,
)

SHA = "0f" * 32
FILE = Item("data/values", False, False, 3, SHA)
PROGRAM = Item("run.py", False, True, 9, SHA)
FOLDER = Item("data", True, False, 0, "")
RIGHT = {
    "data": Found(Kind.FOLDER, 0o755),
    "data/values": Found(Kind.FILE, 0o644, 3, SHA),
    "run.py": Found(Kind.FILE, 0o755, 9, SHA),
}

names = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters="\\"), min_size=1)
files = st.builds(
    Item,
    names,
    st.just(value=False),
    st.booleans(),
    st.integers(0, 1 << 30),
    st.binary(min_size=32, max_size=32).map(bytes.hex),
)
folders = st.builds(Item, names, st.just(value=True), st.just(value=False), st.just(0), st.just(""))


@given(st.lists(files | folders))
def test_what_is_written_down_is_read_back(items: list[Item]) -> None:
    inventory = Inventory(items=tuple(items))
    again = Inventory.from_bytes(inventory.to_bytes())
    assert again == inventory
    assert again.digest == inventory.digest


@given(st.lists(files | folders, min_size=1, max_size=5), st.data())
def test_one_that_was_damaged_has_another_digest_or_is_none(items: list[Item], data: st.DataObject) -> None:
    inventory = Inventory(items=tuple(items))
    held = bytearray(inventory.to_bytes())
    held[data.draw(st.integers(0, len(held) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = Inventory.from_bytes(bytes(held))
    except ValueError:
        return
    assert found == inventory or found.digest != inventory.digest


@pytest.mark.parametrize(
    "text", ["", "aurora inventory 2\n", "aurora inventory 1\nd 0 - a", "aurora inventory 1\nd 0 -\n", "\0"]
)
def test_what_is_none_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"it is no inventory|a row of it is none"):
        Inventory.from_bytes(text.encode())


def test_nothing_is_damaged_where_all_is_as_it_was() -> None:
    assert compare([FOLDER, FILE, PROGRAM], RIGHT) == ()


def test_what_was_not_read_counts_as_right() -> None:
    unread = RIGHT | {"run.py": RIGHT["run.py"]._replace(sha256=None)}
    assert compare([FOLDER, FILE, PROGRAM], unread) == ()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"kind": Kind.LINK}, Fault.KIND),
        ({"size_bytes": 8}, Fault.SIZE),
        ({"sha256": "1f" * 32}, Fault.CONTENT),
        ({"unreadable": "Input/output error"}, Fault.UNREADABLE),
        ({"mode": 0o644}, Fault.MODE),
        ({"mode": 0o4755}, Fault.MODE),
    ],
)
def test_each_difference_has_its_word(change: dict[str, object], fault: Fault) -> None:
    (damage,) = compare([FOLDER, FILE, PROGRAM], RIGHT | {"run.py": RIGHT["run.py"]._replace(**change)})
    assert (damage.path, damage.fault) == ("run.py", fault)


def test_what_is_missing_and_what_is_extra_is_named() -> None:
    found = compare([FOLDER, FILE, PROGRAM], {"data": RIGHT["data"], "run.py": RIGHT["run.py"]}, ["evil"])
    assert found == (Damage("data/values", Fault.MISSING), Damage("evil", Fault.EXTRA))
    assert damage_words(found) == "data/values: it is missing, evil: it was not staged"


def test_a_slot_that_is_gone_is_one_thing_and_many_files_are_counted() -> None:
    gone = [Damage("", Fault.MISSING), *(Damage(f"{n}", Fault.MISSING) for n in range(9))]
    assert damage_words(gone) == "the slot: it is missing"
    assert damage_words(gone[1:]).endswith("4: it is missing, and 4 more")
