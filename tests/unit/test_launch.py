"""What /usr/bin/auroractl and its like go through: the active slot, or else what dpkg has."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from aurora.paths import Paths
from tests.unit.runtime.slots import DEBIAN, outside

PLACES = outside("aurora_launch.py").places
PACKAGED = "usr/lib/python3/dist-packages"
CORE = "var/lib/aurora-core/core"
LAUNCHERS = ("auroractl", "aurora-edge", "aurora-link")


def lay(root: Path, place: str, version: str) -> None:
    """A core whose every program prints its version and where its policies are."""
    said = f"def main(argv):\n    print({version!r}, *argv, Paths('{root}').policies)\n    return 3\n"
    said = f"from aurora.paths import Paths\n{said}"
    for name in ("cli/main.py", "link/main.py", "link/edge_main.py"):
        file = root / place / "aurora" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(said)
    (root / place / "aurora/__init__.py").write_text("")
    shutil.copy(Path(__file__).parents[2] / "aurora/paths.py", root / place / "aurora/paths.py")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine with the launchers and dpkg's copy of the core."""
    for name in LAUNCHERS:
        text = (DEBIAN / name).read_text()
        assert "/usr/lib/aurora-core" in text
        text = text.replace("/usr/lib/aurora-core", f"{tmp_path}/usr/lib/aurora-core")
        (tmp_path / name).write_text(text.replace("places()", f"places({str(tmp_path)!r})"))
    (tmp_path / "usr/lib/aurora-core").mkdir(parents=True)
    shutil.copy(DEBIAN / "aurora_launch.py", tmp_path / "usr/lib/aurora-core")
    lay(tmp_path, PACKAGED, "dpkg's")
    (tmp_path / CORE).mkdir(parents=True)
    return tmp_path


def runs(root: Path, name: str = "auroractl", **environment: str) -> str:
    line = ["/usr/bin/python3", "-IS", str(root / name), "word"]
    done = subprocess.run(line, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stderr) == (3, "")
    return done.stdout.strip()


@pytest.mark.parametrize("name", LAUNCHERS)
def test_what_runs_is_in_the_active_slot_and_so_are_its_policies(root: Path, name: str) -> None:
    shared = root / "usr/share/aurora/policies"
    assert runs(root, name) == f"dpkg's word {shared}"
    lay(root, f"{CORE}/b", "2")
    (root / CORE / "active").symlink_to("b")
    assert runs(root, name) == f"2 word {root / CORE / 'b/policies'}"
    assert runs(root, name, AURORA_SLOT="none") == f"dpkg's word {shared}"


@pytest.mark.parametrize("target", ["a", "c", "/etc", "../../x", ""])
def test_a_slot_that_is_not_there_is_passed_over(root: Path, target: str) -> None:
    if target:
        (root / CORE / "active").symlink_to(target)
    else:
        (root / CORE / "active").write_text("a")
    assert runs(root).startswith("dpkg's word")


def test_a_swap_does_not_mix_versions_in_one_process(root: Path) -> None:
    (root / CORE / "active").symlink_to("a")
    assert PLACES(str(root)) == [str(root / CORE / "a"), str(root / PACKAGED)], "the slot, not the pointer"


def test_all_start_in_the_same_way_and_know_no_other_place() -> None:
    texts = [(DEBIAN / name).read_text() for name in LAUNCHERS]
    assert {text.splitlines()[0] for text in texts} == {"#!/usr/bin/python3 -IS"}
    assert len({re.findall(r"^.*(?:sys\.path|places).*$", text, re.MULTILINE)[0] for text in texts}) == 1


def test_a_checkout_goes_by_the_policies_of_the_machine() -> None:
    assert str(Paths().policies) == "/usr/share/aurora/policies"
    assert str(Paths("/x").template) == "/x/usr/share/aurora/template"
