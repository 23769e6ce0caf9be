"""On real images: mke2fs and debugfs are in the build tree, and nothing here is mounted."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from aurora.errors import HostError
from aurora.host.volume import copy_out, image_bytes, make_image, put_in_place, repair, stored_bytes
from aurora.plan import Volume, volume_at

MIB = 1 << 20

pytestmark = pytest.mark.skipif(not Path("/usr/sbin/mke2fs").exists(), reason="e2fsprogs is in the build tree")


def volume(size_mib: int = 8) -> Volume:
    return volume_at("state", "aurora/hello", size_mib * MIB)


def inside(image: Path, command: str) -> str:
    """What debugfs says of an image."""
    return subprocess.run(
        ["/usr/sbin/debugfs", "-R", command, image], capture_output=True, text=True, check=True
    ).stdout


def content(tmp_path: Path) -> Path:
    folder = tmp_path / "content"
    (folder / "below").mkdir(parents=True)
    (folder / "below/file").write_text("kept")
    (folder / "link").symlink_to("below/file")
    return folder


def test_an_empty_volume_is_empty_and_takes_nearly_nothing_from_the_disk(tmp_path: Path) -> None:
    image = tmp_path / "volumes/hello.ext4"
    put_in_place(make_image(volume(500), image, None), image)
    assert inside(image, "ls -p /").split() == ["/2/040755/0/0/.//", "/2/040755/0/0/..//"]
    assert image_bytes(image) == volume(500).image_bytes
    assert image.stat().st_blocks * 512 < MIB
    assert image.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in image.parent.iterdir()] == [image.name]


def test_an_image_is_made_with_what_is_stored_already_and_is_sound(tmp_path: Path) -> None:
    image = tmp_path / "hello.ext4"
    made = make_image(volume(), image, content(tmp_path))
    assert not image.exists(), "it does not count yet"
    put_in_place(made, image)
    assert inside(image, "cat /below/file") == "kept"
    assert 'Fast link dest: "below/file"' in inside(image, "stat /link")
    checked = subprocess.run(["/usr/sbin/e2fsck", "-fn", image], capture_output=True, text=True, check=False)
    assert (checked.returncode, "?" in checked.stdout) == (0, False), checked.stdout


def test_an_image_that_cannot_be_made_leaves_the_old_one_and_nothing_beside_it(tmp_path: Path) -> None:
    image = tmp_path / "hello.ext4"
    image.write_bytes(b"old")
    folder = content(tmp_path)
    (folder / "large").write_bytes(os.urandom(16 * MIB))
    with pytest.raises(HostError, match="run /usr/sbin/mke2fs"):
        make_image(volume(), image, folder)
    assert image.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["content", "hello.ext4"]


def test_what_is_stored_is_counted_in_blocks_and_without_holes(tmp_path: Path) -> None:
    folder = content(tmp_path)
    before = stored_bytes(folder)
    (folder / "small").write_text("x")
    with (folder / "hole").open("wb") as file:
        file.truncate(1 << 30)
    assert stored_bytes(folder) - before == 4096
    assert stored_bytes(tmp_path / "nothing") == 0


def test_a_directory_is_copied_out_whole_or_not_at_all(tmp_path: Path) -> None:
    folder, target = content(tmp_path), tmp_path / "target"
    (folder / "hard").hardlink_to(folder / "below/file")
    copy_out(folder, target)
    assert (target / "below/file").read_text() == "kept"
    assert (target / "below/file").samefile(target / "hard")
    assert (target / "link").readlink() == Path("below/file")
    with pytest.raises(HostError):
        copy_out(tmp_path / "nothing", target)
    assert not target.exists()


def test_a_sound_image_needs_no_repair_and_one_that_is_none_is_told(tmp_path: Path) -> None:
    image = make_image(volume(), tmp_path / "hello.ext4", None)
    before = image.read_bytes()
    repair(image)
    assert image.read_bytes() == before
    image.write_bytes(bytes(8 * MIB))
    with pytest.raises(HostError, match="it is damaged"):
        repair(image)
