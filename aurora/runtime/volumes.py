"""Directories with a budget: made as plans want them before their modules start, let go when these are removed.

While there is an image it is what counts, and what lies in the folder below its mount is left over; without one the
folder counts. So each change has one moment at which it has happened: the rename of a new image, the end of an old.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from aurora.emit import Property, mount_properties
from aurora.errors import HostError, Refused
from aurora.host.files import remove_tree, remove_unfinished, sync_folder
from aurora.host.space import is_mounted, space_of
from aurora.host.systemd import Systemd, Transient
from aurora.host.volume import copy_out, image_bytes, make_image, put_in_place, repair, stored_bytes
from aurora.identity import Identity
from aurora.paths import Paths
from aurora.plan import DIRECTORIES, RUNTIME, Plan, Volume, runtime_volume, volume_at
from aurora.quantity import format_size

__all__ = [
    "has_images",
    "make_ready",
    "mount_units",
    "remove_directories",
    "remove_images",
    "state_folder",
    "sweep_images",
    "unmount_all",
]

MOUNT_DEADLINE_SEC = 300.0
_PATTERNS = ("run-aurora*.mount", *(f"var-{name}-private-aurora*.mount" for name in ("lib", "cache", "log")))


def make_ready(paths: Paths, systemd: Systemd, plan: Plan, name: str) -> None:
    """Make the volumes of a module that is down as its plan says, what is stored on disk kept.

    `name` is `Identity.directory` of the module. Refused when what is stored is more than the plan lets it be;
    HostError when it cannot be done. Interrupted anywhere, what was there before is whole and counts, or what was made.
    """
    wanted = {volume.directory: volume for volume in plan.volumes}
    if RUNTIME in wanted:
        _unmount(systemd, wanted[RUNTIME])  # it is on its way out by itself, its module being down
    for directory in DIRECTORIES:
        volume = wanted.get(directory)
        now = volume_at(directory, name, 0)
        length_bytes = image_bytes(paths.below(now.image))
        if volume is None:
            if length_bytes is not None:
                _dissolve(paths, systemd, now, plan.module)
        elif length_bytes != volume.image_bytes:
            _remake(paths, systemd, volume, plan.module, first=length_bytes is None)
        elif volume.unit not in _mounted(systemd) or _is_read_only(paths.below(volume.place)):
            _unmount(systemd, volume)  # it may have failed, and a failed unit holds its name
            repair(paths.below(volume.image))
            _clear(paths.below(volume.place))


def mount_units(systemd: Systemd, plan: Plan) -> list[tuple[str, tuple[Property, ...]]]:
    """The mount units that have to be made for the plan's module to start: those that systemd does not know.

    It knows those that are mounted, and those that a loaded module is bound to, mounted or not.
    """
    known = _known(systemd) if plan.volumes else frozenset()
    return [(volume.unit, mount_properties(volume, plan.module)) for volume in plan.volumes if volume.unit not in known]


def unmount_all(paths: Paths, systemd: Systemd, identity: Identity) -> None:
    """Unmount every volume of a module that is down; HostError, naming the place, when one is in use."""
    loaded = _known(systemd)
    runtime = runtime_volume(identity.runtime_directory)
    for volume in (*_possible(identity.directory), runtime):
        if volume.unit in loaded:
            _unmount(systemd, volume)
    with suppress(OSError):  # systemd could not, as it was mounted on; at the next boot it is gone in any case
        paths.below(runtime.place).rmdir()


def remove_directories(paths: Paths, systemd: Systemd, identity: Identity) -> None:
    """Remove all that a module that is not installed was given: its volumes, their images, its directories."""
    unmount_all(paths, systemd, identity)
    remove_images(paths, identity.directory)
    for kind in ("lib", "cache", "log"):
        for middle in ("private/", ""):
            remove_tree(paths.root / "var" / kind / f"{middle}{identity.directory}")


def has_images(paths: Paths, name: str) -> bool:
    """Whether there is an image of any of the module's directories."""
    return any(image_bytes(paths.below(volume.image)) is not None for volume in _possible(name))


def remove_images(paths: Paths, name: str) -> None:
    """Remove all that is stored in a module's volumes; they are not mounted."""
    for volume in _possible(name):
        image = paths.below(volume.image)
        remove_tree(image)
        for unfinished in image.parent.glob(f".{image.name}.*"):
            remove_tree(unfinished)
        remove_tree(_aside(paths.below(volume.place)))


def state_folder(paths: Paths, systemd: Systemd, name: str, module: str) -> Path:
    """Where the state of a module that is down is, its volume mounted if it has one; it may not be there.

    `name` is `Identity.directory` of the module. HostError when it cannot be mounted.
    """
    volume = volume_at("state", name, 0)
    if image_bytes(paths.below(volume.image)) is not None:
        _mount(paths, systemd, volume, module)
    return paths.below(volume.place)


def sweep_images(paths: Paths) -> None:
    """Remove images of installed modules that were never finished. Call with the lock held: nobody makes one then."""
    for folder in paths.volumes.glob("*/aurora"):
        remove_unfinished(folder)


def _possible(name: str) -> list[Volume]:
    return [volume_at(directory, name, 0) for directory in DIRECTORIES]


def _mounted(systemd: Systemd) -> frozenset[str]:
    return frozenset(row.name for row in systemd.list_units(_PATTERNS) if row.active == "active")


def _known(systemd: Systemd) -> frozenset[str]:
    return frozenset(row.name for row in systemd.list_units(_PATTERNS) if row.load != "not-found")


def _is_read_only(place: Path) -> bool:
    found = space_of(place)
    return found is not None and found.read_only


def _remake(paths: Paths, systemd: Systemd, volume: Volume, module: str, *, first: bool) -> None:
    """Make the image anew in the volume's size, with what the old one holds, or at first the folder."""
    image, place = paths.below(volume.image), paths.below(volume.place)
    if not first:
        _mount(paths, systemd, volume, module)
    found = space_of(place)
    used_bytes = found.used_bytes if found is not None else stored_bytes(place)
    if used_bytes > volume.size_bytes:
        raise Refused(
            f"give the module {module} its {volume.directory} directory",
            f"what is stored takes {format_size(used_bytes, exact=False)}, more than limits.{volume.directory}_max,"
            f" {format_size(volume.size_bytes)}",
            where=str(place),
            remedy="a larger budget, or removing some of it",
        )
    made = make_image(volume, image, place if place.is_dir() else None)
    try:
        _unmount(systemd, volume)
        put_in_place(made, image)
    finally:
        made.unlink(missing_ok=True)
    _clear(place)


def _dissolve(paths: Paths, systemd: Systemd, volume: Volume, module: str) -> None:
    """Turn a volume into a plain folder again."""
    image, place = paths.below(volume.image), paths.below(volume.place)
    _mount(paths, systemd, volume, module)
    copy_out(place, _aside(place))
    _unmount(systemd, volume)
    _clear(place)
    try:
        _aside(place).rename(place)
        sync_folder(place.parent)
        image.unlink()
        sync_folder(image.parent)
    except OSError as error:
        raise HostError(f"give the module {module} its directory", str(error), where=str(place)) from error


def _aside(place: Path) -> Path:
    """Where a folder grows that is to be at `place`; no module has a name with a dot."""
    return place.with_name(f".{place.name}.new")


def _clear(place: Path) -> None:
    """Remove what lies in the folder below a mount, which must be gone."""
    if is_mounted(place):
        raise HostError("use a directory", "something is mounted on it that systemd has not mounted", where=str(place))
    if place.is_dir():
        for found in place.iterdir():
            remove_tree(found)


def _mount(paths: Paths, systemd: Systemd, volume: Volume, module: str) -> None:
    what = f"mount a volume of the module {module}"
    if volume.unit not in _mounted(systemd):
        _unmount(systemd, volume)
        if volume.unit in _known(systemd):  # a loaded module is bound to it
            job = systemd.start([volume.unit], deadline_sec=MOUNT_DEADLINE_SEC)[volume.unit]
        else:
            wanted = Transient(volume.unit, mount_properties(volume, module))
            job = systemd.start_transient([wanted], deadline_sec=MOUNT_DEADLINE_SEC)[volume.unit]
        if not job.ok:
            why = f"systemd ended the job with {job.result} {job.message}".rstrip()
            raise HostError(what, why, where=volume.unit, remedy=f"journalctl -u '{volume.unit}'")
    if not is_mounted(paths.below(volume.place)):
        # Copied now, what is stored would be nothing at all.
        raise HostError(what, "systemd has mounted it and it is not in view here", where=volume.place)


def _unmount(systemd: Systemd, volume: Volume) -> None:
    job = systemd.stop([volume.unit], deadline_sec=MOUNT_DEADLINE_SEC)[volume.unit]
    if not job.ok:
        raise HostError(
            f"unmount {volume.place}",
            f"something uses it (systemd ended the job with {job.result})",
            where=volume.unit,
            remedy=f"fuser -vm {volume.place}, and ending what that names",
        )
    systemd.reset_failed([volume.unit])
