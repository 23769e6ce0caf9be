from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.errors import HostError, InputError, NotFound
from aurora.manifest import read_manifest
from aurora.paths import Paths
from aurora.runtime.records import SLOTS, Origin, Record, Removal, read_record, read_records, require

HELLO = Record(
    name="hello", version="1.0", description="Says hello", origin="folder", enabled=True, slot="a", source_digest="0f"
)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path)


def keep(paths: Paths, data: bytes, name: str = "hello") -> None:
    paths.records.mkdir(parents=True, exist_ok=True)
    (paths.records / name).write_bytes(data)


def described(text: str) -> bool:
    """Whether a manifest takes the text for a description."""
    quoted = "".join(f"\\U{ord(char):08X}" for char in text)
    data = f'[module]\nname = "hello"\nversion = "1"\nentry = "x"\ndescription = "{quoted}"\n'
    try:
        read_manifest(data.encode(), file="module.toml")
    except InputError:
        return False
    return True


@given(
    st.builds(
        Record,
        name=st.just("hello"),
        version=st.from_regex(r"[0-9][0-9a-z.+~]{0,8}", fullmatch=True),
        description=st.text(st.characters(exclude_categories=["Cs"]), max_size=20).filter(described),
        origin=st.sampled_from([Origin.FOLDER, Origin.PACKAGE]),
        enabled=st.booleans(),
        slot=st.sampled_from(SLOTS),
        source_digest=st.from_regex(r"[0-9a-f]{4}", fullmatch=True),
        removal=st.sampled_from([Removal.NONE, Removal.REMOVING, Removal.PURGING, Removal.KEPT]),
    )
)
def test_a_record_that_is_written_is_read_as_the_same_record(record: Record) -> None:
    with tempfile.TemporaryDirectory() as folder:
        keep(Paths(folder), record.to_bytes())
        assert read_record(Paths(folder), "hello") == record


def test_a_record_is_lines_that_people_can_read(paths: Paths) -> None:
    assert HELLO.to_bytes().decode().splitlines() == [
        "Name: hello",
        "Version: 1.0",
        "Description: Says hello",
        "Origin: folder",
        "Enabled: yes",
        "Slot: a",
        "Source-digest: 0f",
        "Removal: none",
    ]


def test_a_module_without_a_record_is_not_there(paths: Paths) -> None:
    assert read_record(paths, "hello") is None
    assert read_records(paths) == []


@pytest.mark.parametrize("name", ["", ".", "..", "../hello", "a/b", "Hello", "hello\n", "-x"])
def test_what_cannot_be_a_modules_name_is_not_looked_for(paths: Paths, name: str) -> None:
    keep(paths, HELLO.to_bytes())
    assert read_record(paths, name) is None


def test_records_are_sorted_and_half_written_ones_left_out(paths: Paths) -> None:
    for name in ("b", "a", "c"):
        keep(paths, HELLO._replace(name=name).to_bytes(), name)
    keep(paths, b"half", ".d.0a1b2c3d")
    assert [record.name for record in read_records(paths)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        HELLO.to_bytes()[:60],
        HELLO.to_bytes() + b"Colour: red\n",
        HELLO.to_bytes().replace(b"Slot: a", b"Slot: ../../etc"),
        HELLO.to_bytes().replace(b"Name: hello", b"Name: other"),
        HELLO.to_bytes().replace(b"Version", b"Release"),
    ],
    ids=["empty", "not text", "cut", "one line too many", "no slot", "another name", "another key"],
)
def test_a_damaged_record_is_an_error_that_names_the_file(paths: Paths, data: bytes) -> None:
    keep(paths, data)
    with pytest.raises(HostError) as caught:
        read_records(paths)
    assert caught.value.problems[0].where == str(paths.records / "hello")


def test_a_module_that_is_being_removed_is_not_installed(paths: Paths) -> None:
    assert HELLO._replace(removal=Removal.NONE).installed
    for removal in (Removal.REMOVING, Removal.PURGING, Removal.KEPT):
        assert not HELLO._replace(removal=removal).installed


def test_a_module_that_is_asked_for_by_a_wrong_name_is_not_found_and_those_there_are_named(paths: Paths) -> None:
    keep(paths, HELLO.to_bytes())
    keep(paths, HELLO._replace(name="going", removal="removing").to_bytes(), "going")
    for name in ("helo", "going"):
        with pytest.raises(NotFound, match=re.escape("try one of hello")):
            require(paths, name)
    assert require(paths, "hello") == HELLO


def test_where_nothing_is_installed_the_remedy_is_to_install(paths: Paths) -> None:
    with pytest.raises(NotFound, match="auroractl install DIR"):
        require(paths, "hello")
