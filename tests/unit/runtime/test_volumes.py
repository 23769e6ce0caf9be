"""What is stored survives every change of a budget, and a kill at every point of it.

The images here are archives: mounting one unpacks it, unmounting packs it again. That of ext4 is shown in tests/vm.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import override

import pytest

from aurora.errors import HostError, StartFailed
from aurora.host import apparmor
from aurora.host.fake import FakeSystemd
from aurora.paths import Paths
from aurora.plan import Volume, volume_at
from aurora.quantity import parse_size
from aurora.runtime import volumes
from aurora.runtime.apply import apply
from aurora.runtime.install import install_folder, remove
from aurora.runtime.reconcile import raise_failures
from tests.unit.runtime.kill import killed_before
from tests.unit.runtime.rig import Rig, what_the_file_says

BUDGETS = [("", "8M"), ("8M", "9M"), ("9M", "8M"), ("8M", "")]
"""From one to another; empty: none."""


def shell(script: str, *arguments: Path) -> None:
    """By a process of its own, as what a kernel does is not ended by a kill of ours."""
    subprocess.run(["sh", "-ec", script, "sh", *arguments], check=True)


class Mounting(FakeSystemd):
    """Mount units do something: what is in the image is at the place for as long as they are up."""

    def __init__(self, paths: Paths) -> None:
        super().__init__(what_the_file_says)
        self.paths = paths
        self.mounted: dict[str, tuple[Path, Path]] = {}
        self.busy = False

    @override
    def _stopped(self, unit):  # type: ignore[no-untyped-def]  # the fake's own type of a unit is its own affair
        if self.busy and unit.name in self.mounted:
            return "failed"
        return super()._stopped(unit)

    @override
    def _enter(self, unit, active, sub):  # type: ignore[no-untyped-def]  # see above
        if unit.name.endswith(".mount") and unit.text("What") != "tmpfs" and active != unit.active:
            place, image = (self.paths.below(unit.text(name)) for name in ("Where", "What"))
            if active == "active":
                shell('mkdir -p "$1"; mv "$1" "$1.below"; mkdir "$1"; tar -C "$1" -xf "$2"', place, image)
                self.mounted[unit.name] = (place, image)
            elif unit.name in self.mounted:
                self.unmount(unit.name)
        super()._enter(unit, active, sub)

    def unmount(self, unit: str) -> None:
        place, image = self.mounted.pop(unit)
        script = (
            'size=$(stat -c %s "$2"); tar -C "$1" -cf "$2" .; truncate -s $size "$2"; rm -r "$1"; mv "$1.below" "$1"'
        )
        shell(script if image.exists() else 'rm -r "$1"; mv "$1.below" "$1"', place, image)


class Disk(Rig):
    """A machine whose module stores one file."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.systemd: Mounting = Mounting(self.paths)
        self.volume = volume_at("state", "aurora/hello", 0)
        self.place = self.paths.below(self.volume.place)
        self.image = self.paths.below(self.volume.image)

    @override
    def reboot(self) -> None:
        for unit in list(self.systemd.mounted):
            self.systemd.unmount(unit)
        super().reboot()
        self.systemd = Mounting(self.paths)

    def install(self, budget: str, version: str) -> None:
        limit = f'[limits]\nstate_max = "{budget}"\n' if budget else ""
        folder = self.module(version=version, more=f"[directories]\nstate = true\n{limit}")
        outcome = install_folder(self.paths, self.systemd, folder, start=True).outcome
        raise_failures([] if outcome is None else [outcome])

    def with_content(self, budget: str) -> None:
        """Installed with that budget, and something is stored."""
        self.install(budget, "1")
        self.place.mkdir(parents=True, exist_ok=True)
        (self.place / "below").mkdir()
        (self.place / "below/file").write_text("stored")

    @property
    def budget(self) -> str:
        """What the module's image would let it store; empty where it has none."""
        found = {volume_at("state", "aurora/hello", parse_size(size)).image_bytes: size for size in ("8M", "9M")}
        return found[self.image.stat().st_size] if self.image.exists() else ""

    @property
    def stored(self) -> list[str]:
        return sorted(path.name for path in self.place.iterdir()) if self.place.is_dir() else []


def archive(volume: Volume, image: Path, content: Path | None) -> Path:
    """Stands for mke2fs."""
    beside = image.with_name(f".{image.name}.made")
    image.parent.mkdir(parents=True, exist_ok=True)
    shell('tar -C "$2" -cf "$1" .' if content else 'tar -cf "$1" -T /dev/null', beside, content or beside)
    os.truncate(beside, volume.image_bytes)
    return beside


@pytest.fixture
def disks(monkeypatch: pytest.MonkeyPatch) -> list[Disk]:
    """Machines made by a test; the last one is what is looked at."""
    made: list[Disk] = []

    def mounted(place: Path) -> bool:
        return any(place == found for found, _ in made[-1].systemd.mounted.values())

    monkeypatch.setattr(volumes, "make_image", archive)
    monkeypatch.setattr(volumes, "is_mounted", mounted)
    monkeypatch.setattr(volumes, "space_of", lambda _place: None)
    monkeypatch.setattr(volumes, "repair", lambda _image: None)
    monkeypatch.setattr(volumes, "copy_out", lambda place, target: shell('rm -rf "$2"; cp -r "$1" "$2"', place, target))
    return made


@pytest.fixture
def disk(disks: list[Disk], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    return another(disks, tmp_path / "one", monkeypatch)


def another(disks: list[Disk], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk(folder)
    monkeypatch.setattr(apparmor, "run", disk.parser)
    disks.append(disk)
    return disk


@pytest.mark.parametrize(("before", "after"), BUDGETS)
def test_what_is_stored_is_kept_when_a_budget_changes(disk: Disk, before: str, after: str) -> None:
    disk.with_content(before)
    assert disk.budget == before
    disk.install(after, "2")
    assert (disk.budget, disk.stored) == (after, ["below"])
    assert (disk.place / "below/file").read_text() == "stored"
    assert bool(disk.systemd.mounted) == bool(after)
    disk.reboot()
    assert disk.stored == ([] if after else ["below"]), "nothing is left in the folder below the mount"
    apply(disk.paths, disk.systemd)
    assert disk.stored == ["below"]


@pytest.mark.parametrize("rebooted", [False, True], ids=["same boot", "rebooted"])
@pytest.mark.parametrize(("before", "after"), BUDGETS)
def test_a_kill_leaves_what_is_stored_whole_and_apply_finishes(
    disks: list[Disk], before: str, after: str, rebooted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = 0
    while True:
        disk = another(disks, tmp_path / str(at), monkeypatch)
        disk.with_content(before)
        with killed_before(at) as killer:
            disk.install(after, "2")
        print(f"killed before call {at}, after {killer.calls[-3:]}")  # shown when it fails
        if rebooted:
            disk.reboot()
        applied = apply(disk.paths, disk.systemd)
        assert applied.problems == []
        assert disk.running == {"hello": disk.installed["hello"][0]}
        assert disk.budget == (after if disk.installed["hello"][0] == "2" else before)
        assert disk.stored == ["below"]
        assert (disk.place / "below/file").read_text() == "stored"
        left = (
            [path.name for path in disk.paths.volumes.rglob("*") if path.is_file()]
            if disk.paths.volumes.exists()
            else []
        )
        assert left == (["hello.ext4"] if disk.budget else [])
        if not killer.killed:
            break
        at += 1
    assert at > 10, "there was something to interrupt"


def test_a_budget_below_what_is_stored_is_refused_and_the_module_goes_on_as_it_was(disk: Disk) -> None:
    disk.with_content("9M")
    (disk.place / "large").write_bytes(os.urandom(int(8.5 * (1 << 20))))
    with pytest.raises(StartFailed, match=r"takes 8\.5M, more than limits\.state_max, 8M"):
        disk.install("8M", "2")
    assert (disk.budget, disk.stored, disk.running) == ("9M", ["below", "large"], {"hello": "1"})


def test_a_volume_that_is_in_use_keeps_a_module_from_being_removed_until_it_is_not(disk: Disk) -> None:
    disk.with_content("8M")
    disk.systemd.busy = True
    with pytest.raises(HostError, match="something uses it"):
        remove(disk.paths, disk.systemd, "hello", purge=True)
    assert disk.stored == ["below"]
    disk.systemd.busy = False
    assert apply(disk.paths, disk.systemd).removed == ["hello"]
    assert not disk.image.exists()
    assert not disk.place.exists()


def test_a_removed_module_finds_what_it_stored_when_it_comes_back(disk: Disk) -> None:
    disk.with_content("8M")
    remove(disk.paths, disk.systemd, "hello", purge=False)
    assert (disk.systemd.mounted, disk.stored, disk.budget) == ({}, [], "8M")
    disk.install("8M", "1")
    assert disk.stored == ["below"]
    remove(disk.paths, disk.systemd, "hello", purge=False)
    remove(disk.paths, disk.systemd, "hello", purge=True)
    assert not disk.image.exists()
