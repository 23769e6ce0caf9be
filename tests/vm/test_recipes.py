"""The rig's own decisions: what is built anew, what is kept, what is read from debian/control. Needs no machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.vm import cache, debiandir, flavours
from tests.vm.errors import RigError

CONTROL = """\
# a comment
Source: one
Build-Depends: debhelper-compat (= 13), gcc:native <!nocheck>,
 python3-all

Package: one
Depends: ${misc:Depends}, one-data (= ${binary:Version}), python3-x (>= 1) | python3-y, two [amd64]
Recommends: three

Package: one-data
Depends: four
"""


@pytest.fixture
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return cache.root()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    tree = tmp_path / "source"
    for name in ("debian/control", "debian/tests/folder", "tests/test_x.py", "Makefile", "aurora/core.py"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(CONTROL)
    return tree


def put(directory: Path) -> None:
    (directory / "content").write_text("made")


def test_the_relations_of_a_package_are_read_but_not_those_among_its_own(source: Path) -> None:
    assert debiandir.control_relations(source, ("depends", "recommends")) == ["four", "python3-x", "three", "two"]
    assert debiandir.build_packages(source) == ["debhelper-compat", "gcc", "python3-all"]
    assert {"python3-pystemd", "four"} <= set(debiandir.runtime_packages(source))


def test_what_is_never_shipped_is_no_part_of_a_build(source: Path) -> None:
    assert [str(path) for path in debiandir.source_files(source)] == [
        "aurora/core.py",
        "debian/control",
        "debian/tests/folder",
    ]


def test_an_entry_is_built_once(own_cache: Path) -> None:
    again: list[Path] = []
    first = cache.entry("deb", "k", put)
    assert cache.entry("deb", "k", again.append) == first
    assert (first / "content").read_text() == "made"
    assert again == []


def test_an_entry_whose_building_failed_is_not_there(own_cache: Path) -> None:
    def fail(directory: Path) -> None:
        put(directory)
        raise RigError("build", "it broke")

    with pytest.raises(RigError, match="cannot build, because it broke"):
        cache.entry("deb", "k", fail)
    assert list((own_cache / "store").iterdir()) == []


def test_only_the_latest_entries_stay_and_those_that_somebody_holds(own_cache: Path) -> None:
    held = os.open(os.devnull, os.O_RDONLY)
    made = cache.BOUNDS["layer"] + 3
    for number in range(made):
        path = cache.entry("layer", str(number), put)
        if number == 1:
            os.close(held)
            held = cache.hold(path)
        os.utime(path, (number, number))
    left = sorted(path.name for path in (own_cache / "store").iterdir())
    os.close(held)
    assert left == ["layer-1", *(f"layer-{number}" for number in range(made - cache.BOUNDS["layer"], made))]


def test_an_entry_made_again_is_told_from_the_first(own_cache: Path) -> None:
    first = cache.identity(cache.entry("layer", "k", put))
    cache.remove_tree(own_cache / "store/layer-k")
    assert cache.identity(cache.entry("layer", "k", put)) != first


def test_an_unknown_image_is_refused_with_those_there_are() -> None:
    with pytest.raises(RigError, match="one of: default, bench"):
        flavours.flavour("arm")
