from __future__ import annotations

from aurora.emit import mount_properties, mount_text
from aurora.plan import runtime_volume, volume_at


def test_a_volume_is_mounted_from_its_image_on_a_loop_device() -> None:
    volume = volume_at("state", "aurora/hello", 50 << 20)
    found = {name: (signature, value) for name, signature, value in mount_properties(volume, "hello")}
    assert found["What"] == ("s", volume.image)
    assert found["Where"] == ("s", volume.place)
    assert found["Type"] == ("s", "ext4")
    assert {"loop", "nosuid", "nodev"} <= set(str(found["Options"][1]).split(","))
    assert found["DirectoryMode"] == ("u", 0o700)


def test_a_runtime_directory_is_in_memory_bounded_and_goes_with_its_module() -> None:
    found = {one.name: one.value for one in mount_properties(runtime_volume("aurora-modules/hello"), "hello")}
    assert (found["What"], found["Where"]) == ("tmpfs", "/run/aurora-modules/hello")
    assert {"size=16777216", "nr_inodes=4096", "mode=0700"} <= set(str(found["Options"]).split(","))
    assert found["StopWhenUnneeded"] is True


def test_the_text_says_the_same_as_the_properties() -> None:
    for volume in (volume_at("state", "aurora/hello", 50 << 20), runtime_volume("aurora-modules/hello")):
        lines = mount_text(volume, "hello").splitlines()
        for name, _, value in mount_properties(volume, "hello"):
            text = {True: "yes", 0o700: "0700", 0o755: "0755"}.get(value, value)  # type: ignore[call-overload]  # by value
            assert f"{name}={text}" in lines
