"""A volume's mount unit, as D-Bus properties and as the text of a unit file."""

from __future__ import annotations

from aurora.emit.unit import Property
from aurora.plan import Volume

__all__ = ["mount_properties", "mount_text"]

_OPTIONS = "loop,nosuid,nodev,noatime,discard"
"""discard: what the module removes is given back to the machine's disk (ext4(5))."""


def mount_properties(volume: Volume, module: str) -> tuple[Property, ...]:
    """Every property of the mount unit."""
    found = [Property(name, "s", value) for rows in _rows(volume, module).values() for name, value in rows.items()]
    found.append(Property("DirectoryMode", "u", _folder_mode(volume)))
    if not volume.image:
        found.append(Property("StopWhenUnneeded", "b", True))
    return tuple(found)


def mount_text(volume: Volume, module: str) -> str:
    """The same as the text of a unit file."""
    rows = _rows(volume, module)
    rows["Mount"]["DirectoryMode"] = f"{_folder_mode(volume):04o}"
    if not volume.image:
        rows["Unit"]["StopWhenUnneeded"] = "yes"
    sections = (
        f"[{section}]\n" + "".join(f"{name}={value}\n" for name, value in lines.items())
        for section, lines in rows.items()
    )
    return "\n".join(sections)


def _folder_mode(volume: Volume) -> int:
    """The mode of folders that are missing: of /var/lib/private and the like, systemd will have it that way."""
    return 0o700 if volume.image else 0o755


def _rows(volume: Volume, module: str) -> dict[str, dict[str, str]]:
    what = {"What": volume.image, "Type": "ext4", "Options": _OPTIONS}
    if not volume.image:
        bounds = f"size={volume.size_bytes},nr_inodes={volume.inodes}"
        what = {"What": "tmpfs", "Type": "tmpfs", "Options": f"nosuid,nodev,mode=0700,{bounds}"}
    return {
        "Unit": {"Description": f"AuroraOS module {module}: its {volume.directory} directory"},
        "Mount": {"Where": volume.place, **what},
    }
