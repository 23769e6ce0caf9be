"""The disk of a test machine, before anything of ours is installed on it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from tests.vm import cache, debiandir, flavours, guest, initrd, ssh, tree
from tests.vm.flavours import Flavour
from tests.vm.progress import step
from tests.vm.tools import must

DISK_SIZE = "8G"


@dataclass(frozen=True, kw_only=True)
class Image:
    """A bootable Debian disk with its kernel, in the cache."""

    flavour: Flavour
    """What it was made for."""
    key: str
    """Names this very disk, the kernel command line and the hardware: machines of equal keys are alike."""
    directory: Path
    """Its cache entry."""

    @property
    def plain(self) -> Image:
        """The same disk, booted as the kernel does without being told anything, and with nothing to be found."""
        flavour = replace(self.flavour, cmdline="", tpm=False)
        return replace(self, flavour=flavour, key=_key(self.directory, flavour))

    @property
    def disk(self) -> Path:
        """qcow2; never written to, only laid over."""
        return self.directory / "disk.qcow2"

    @property
    def kernel(self) -> Path:
        """The Debian kernel."""
        return self.directory / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """What the kernel starts first."""
        return self.directory / "initrd"


def image(flavour: Flavour, source: Path) -> Image:
    """The image of that flavour which can install the packages of `source`; built when the cache has none."""
    packages = sorted({*flavours.GUEST_PACKAGES, *flavour.packages})
    carried = sorted({*debiandir.runtime_packages(source), *flavours.CARRIED_PACKAGES, *flavours.TOKEN_PACKAGES})
    public_key = ssh.public_key()
    recipe = [
        flavours.SUITE,
        packages,
        carried,
        debiandir.as_recipe(flavour.files),
        public_key,
        DISK_SIZE,
        cache.source_digest("guest.py", "image.py", "initrd.py", "tree.py"),
    ]
    disk_key = cache.key_of(recipe)

    def build(directory: Path) -> None:
        tree_dir = directory / "tree"
        tree.make(tree_dir, f"image {flavour.name}", packages, carried)
        guest.configure(tree_dir, flavour.files, public_key)
        _make_boot_files(tree_dir, directory)
        _make_disk(tree_dir, directory)
        cache.remove_tree(tree_dir)

    directory = cache.entry("image", disk_key, build)
    return Image(flavour=flavour, key=_key(directory, flavour), directory=directory)


def _key(directory: Path, flavour: Flavour) -> str:
    # An image made again from the same recipe is another disk: a layer over the old one would not fit it.
    return cache.key_of([cache.identity(directory), flavour.cmdline, flavour.tpm])


def _make_boot_files(tree_dir: Path, directory: Path) -> None:
    kernel = max((tree_dir / "boot").glob("vmlinuz-*"))
    shutil.copyfile(kernel, directory / "vmlinuz")
    initrd.make_initrd(tree_dir, directory / "initrd")


def _make_disk(tree_dir: Path, directory: Path) -> None:
    """The tree as an ext4 disk with Debian's own defaults: a power cut finds it as it would a real one."""
    raw = directory / "disk.raw"
    with step("image: making its disk"):
        must("make a disk", ["mke2fs", "-q", "-t", "ext4", "-d", str(tree_dir), str(raw), DISK_SIZE])
        must("make a disk", ["qemu-img", "convert", "-O", "qcow2", str(raw), str(directory / "disk.qcow2")])
    raw.unlink()
