"""Images of volumes: made with what shall be in them, put in place by one rename, emptied into folders again.

Nothing here mounts: systemd does, by a mount unit. An image is made by mke2fs(8), which fills it without a mount, so
that an image of another size is always a new one: whatever interrupts its making, the old one is whole.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from aurora.errors import Denied, HostError
from aurora.host.files import remove_tree, sync_folder
from aurora.host.process import run
from aurora.plan import Volume

__all__ = ["copy_out", "image_bytes", "make_image", "put_in_place", "repair", "stored_bytes"]

_BLOCK_BYTES = 4096
_COPY_TIMEOUT_SEC = 6 * 3600.0
"""For a volume that is nearly a terabyte, on a slow disk."""
_UNCORRECTED = 4
# Named one by one, as /etc/mke2fs.conf is the owner's to change. resize_inode is left out: no image ever grows.
_FEATURES = (
    "none,has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,dir_nlink,"
    "extra_isize,metadata_csum"
)


def image_bytes(image: Path) -> int | None:
    """How long the image is; None when there is none."""
    try:
        return image.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise Denied("look at a volume", str(error), where=str(image), remedy="sudo") from error
    except OSError as error:
        raise HostError("look at a volume", str(error), where=str(image)) from error


def stored_bytes(folder: Path) -> int:
    """What the files and folders below `folder` take on a volume, each in whole blocks, holes left out.

    What goes meanwhile does not count.
    """
    total = 0
    try:
        for below, folders, files in os.walk(folder):
            for name in (*folders, *files):
                try:
                    info = Path(below, name).lstat()
                except FileNotFoundError:
                    continue
                size_bytes = min(info.st_size, info.st_blocks * 512) if info.st_nlink == 1 else info.st_blocks * 512
                total += -(-size_bytes // _BLOCK_BYTES) * _BLOCK_BYTES
    except OSError as error:
        raise HostError("look at a directory", str(error), where=str(folder)) from error
    return total


def make_image(volume: Volume, image: Path, content: Path | None) -> Path:
    """Make an image for `volume` that holds what is in the folder `content`, beside `image`; where.

    It is whole and on disk when this returns. HostError, and nothing is left, when it cannot be made.
    """
    beside = image.with_name(f".{image.name}.{secrets.token_hex(4)}")
    what = "make a volume"
    try:
        image.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.truncate(beside, volume.image_bytes)
            run(_mke2fs(volume, beside, content), timeout_sec=_COPY_TIMEOUT_SEC)
            # fsck's folder would be the first thing that a module finds in its new directory.
            run(["/usr/sbin/debugfs", "-w", "-R", "rmdir lost+found", str(beside)])
            os.fsync(handle)
        finally:
            os.close(handle)
    except BaseException as error:
        beside.unlink(missing_ok=True)
        if isinstance(error, PermissionError):
            raise Denied(what, str(error), where=str(image), remedy="sudo") from error
        if isinstance(error, OSError):
            raise HostError(what, str(error), where=str(image)) from error
        raise
    return beside


def _mke2fs(volume: Volume, file: Path, content: Path | None) -> list[str]:
    return [
        "/usr/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-O", _FEATURES, "-b", str(_BLOCK_BYTES), "-I", "256",
        "-N", str(volume.inodes), "-J", f"size={volume.journal_mib}",
        "-m", "0",  # no blocks for root alone
        "-e", "remount-ro",  # a damaged volume is written to no more
        "-E", "assume_storage_prezeroed=1,root_owner=0:0",  # the file is a hole, and stays one
        *(["-d", str(content)] if content is not None else []),
        str(file),
    ]  # fmt: skip


def put_in_place(made: Path, image: Path) -> None:
    """Make the image that `make_image` made the one that counts, with one rename."""
    try:
        made.replace(image)
        sync_folder(image.parent)
    except OSError as error:
        raise HostError("put a volume in place", str(error), where=str(image)) from error


def copy_out(place: Path, target: Path) -> None:
    """Copy what is in the folder `place` into a new folder `target`, durably; HostError, and no folder, otherwise.

    Owners are not kept: systemd gives all of a directory to the module's user when it starts, and core has no
    capability to.
    """
    remove_tree(target)
    kept = "--preserve=mode,timestamps,links,xattr"
    try:
        target.mkdir(mode=0o700)
        argv = ["/bin/cp", "-dR", kept, "--sparse=auto", "-T", str(place), str(target)]
        run(argv, timeout_sec=_COPY_TIMEOUT_SEC)
        os.sync()
    except BaseException as error:
        remove_tree(target)
        if isinstance(error, OSError):
            raise HostError("copy a directory", str(error), where=str(place)) from error
        raise


def repair(image: Path) -> None:
    """Bring an image that is not mounted into order, where a crash or a full disk left it otherwise (e2fsck(8)).

    HostError when that takes somebody's decisions.
    """
    done = run(["/usr/sbin/e2fsck", "-p", str(image)], check=False, timeout_sec=_COPY_TIMEOUT_SEC)
    if done.status >= _UNCORRECTED:
        words = (done.stdout + done.stderr).strip()[-1000:]
        raise HostError("use a volume", f"it is damaged: {words}", where=str(image), remedy=f"e2fsck -f {image}")
