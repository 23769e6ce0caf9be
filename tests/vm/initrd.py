"""The test machines' initrd: busybox, one module, and a script that mounts the disk and starts systemd.

Debian's own initrd works too, but takes seconds to unpack and to run in emulation.
"""

from __future__ import annotations

import lzma
from pathlib import Path

from tests.vm.errors import RigError
from tests.vm.tree import INITRD_BUSYBOX

MARKER = "aurora-test: initrd runs"
"""Written to the console first of all: proof that this processor can run this kernel."""

PROBE = "aurora.probe"
"""On the kernel command line: write MARKER and power off."""

_MODULES = ("virtio_blk",)

_INIT = f"""#!/bin/busybox sh
busybox mount -t devtmpfs dev /dev
busybox mount -t proc proc /proc
echo "{MARKER}"
if busybox grep -q {PROBE} /proc/cmdline; then busybox poweroff -f; fi
for module in /modules/*.ko; do busybox insmod "$module"; done
busybox mount -t ext4 -o rw /dev/vda /root || {{ echo "aurora-test: no disk"; busybox poweroff -f; }}
busybox umount /proc
exec busybox switch_root /root /sbin/init
"""


def make_initrd(tree: Path, target: Path) -> None:
    """Write to `target` the initrd for the kernel that is installed in `tree`."""
    directories: list[tuple[str, int, bytes]] = [
        (name, 0o040755, b"") for name in ("bin", "dev", "modules", "proc", "root")
    ]
    files = [
        ("init", 0o100755, _INIT.encode()),
        ("bin/busybox", 0o100755, (tree / INITRD_BUSYBOX).read_bytes()),
    ]
    files += [(f"modules/{name}.ko", 0o100644, _module(tree, name)) for name in _MODULES]
    target.write_bytes(_cpio(directories + files))


def _module(tree: Path, name: str) -> bytes:
    """The plain text of a kernel module, which busybox's insmod needs."""
    for path in sorted((tree / "usr/lib/modules").glob(f"*/kernel/**/{name}.ko*")):
        content = path.read_bytes()
        return lzma.decompress(content) if path.suffix == ".xz" else content
    raise RigError(
        "make the initrd", f"the kernel has no module {name}", "dropping it from initrd.py if it is built in"
    )


def _cpio(entries: list[tuple[str, int, bytes]]) -> bytes:
    """A "newc" archive, as the kernel unpacks it. Entries: (name, mode, content)."""
    archive = bytearray()
    for number, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], start=1):
        encoded = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0)
        archive += b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        archive += b"\0" * (-len(archive) % 4)
        archive += content
        archive += b"\0" * (-len(archive) % 4)
    return bytes(archive)
