"""Disk budgets: a directory with one is a volume, a file system of its own in an image of fitting size. Pure.

What else there is, and why not. systemd 258 has StateDirectoryQuota=, Debian 13 has 257. Project quotas need a file
system that was made or tuned for them and mounted so, which stock images are not. RLIMIT_FSIZE bounds one file, not
their sum. MountImages= in the unit mounts where only the module sees it, and leaves the image's own root folder to
root: DynamicUser= gives the module the folder below it. A mount unit that the module is bound to works on every
kernel with loop devices, is there before systemd gives the directory to the module's user, and is seen by its owner.

What is in memory is bounded likewise: the runtime directory, which would be part of the machine's /run, is a tmpfs of
its own. It lasts for as long as the module runs.

The image is a sparse file: it takes from the machine's disk what the module has stored, not what it may store. So
budgets can add up to more than there is, and then the disk, not the budget, is what a module runs into.
"""

from __future__ import annotations

from dataclasses import dataclass

from aurora.names import mount_name

__all__ = ["BLOCK_BYTES", "DIRECTIVE", "DIRECTORIES", "RUNTIME", "Volume", "runtime_volume", "volume_at"]

BLOCK_BYTES = 4096
INODE_BYTES = 256
BYTES_PER_INODE = 16384
INODES_MIN = 1024
_MIB = 1 << 20
_IMAGES = "/var/lib/aurora-core/volumes"

DIRECTORIES = {"state": "/var/lib", "cache": "/var/cache", "logs": "/var/log"}
"""What a module may have of its own, in the words of its manifest, and where (systemd.exec(5), StateDirectory=)."""

DIRECTIVE = {"state": "StateDirectory", "cache": "CacheDirectory", "logs": "LogsDirectory"}
"""The directive by which a module has it."""

RUNTIME = "runtime"
RUNTIME_MAX_BYTES = 16 * _MIB
RUNTIME_INODES = 4096
"""The kernel's memory for them counts as the module's own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Volume:
    """One directory with a budget."""

    directory: str
    """A key of DIRECTORIES, or RUNTIME."""
    size_bytes: int
    """What it can hold."""
    place: str
    """Where it is mounted: where systemd keeps that directory of a unit with a dynamic user."""
    image: str
    """The file that it is in; empty where it is in memory."""

    @property
    def unit(self) -> str:
        """The mount unit."""
        return mount_name(self.place)

    @property
    def inodes(self) -> int:
        """How many files and folders it can hold."""
        if not self.image:
            return RUNTIME_INODES
        return max(INODES_MIN, self.size_bytes // BYTES_PER_INODE)

    @property
    def journal_mib(self) -> int:
        """The size of its journal: ext4's least (1024 blocks), more where it is small against the whole."""
        return 4 if self.size_bytes < 256 * _MIB else 16 if self.size_bytes < 4096 * _MIB else 64

    @property
    def image_bytes(self) -> int:
        """The length of the image: the budget, and what ext4 keeps for itself.

        That is the journal, inodes, block groups (less than a 512th), and a fiftieth, at most 4096 blocks, that it
        holds back for its own need (ext4_calculate_resv_clusters in the kernel's fs/ext4/super.c).
        """
        own = self.journal_mib * _MIB + self.inodes * INODE_BYTES + self.size_bytes // 512 + 192 * 1024
        whole = self.size_bytes + own
        whole += min(whole // 49, 4096 * BLOCK_BYTES)
        return -(-whole // BLOCK_BYTES) * BLOCK_BYTES


def volume_at(directory: str, name: str, size_bytes: int) -> Volume:
    """The volume of a module's directory; `name` is the path that systemd is given for it, such as aurora/hello."""
    return Volume(
        directory=directory,
        size_bytes=size_bytes,
        place=f"{DIRECTORIES[directory]}/private/{name}",
        image=f"{_IMAGES}/{directory}/{name}.ext4",
    )


def runtime_volume(name: str) -> Volume:
    """The volume of a module's runtime directory; `name` is its path below /run."""
    return Volume(directory=RUNTIME, size_bytes=RUNTIME_MAX_BYTES, place=f"/run/{name}", image="")
