"""Making Debian trees from packages alone, with mmdebstrap."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.vm import debiandir, flavours, guest
from tests.vm.errors import RigError, tail
from tests.vm.hostpackages import ensure_packages, require_root
from tests.vm.progress import step

INITRD_BUSYBOX = "usr/lib/aurora-test/busybox"
"""In a guest tree: a static busybox for the initrd. As a package it would exclude the carried busybox."""

_FETCH_CARRIED = """
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
apt-get --yes --download-only --no-install-recommends install {packages} >&2
mkdir -p "$1{repository}"
mv "$1"/var/cache/apt/archives/*.deb "$1{repository}/"
"""

_FETCH_BUSYBOX = """
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
work=$(mktemp -d); cd "$work"
apt-get -o APT::Sandbox::User=root download busybox-static >&2
dpkg-deb --extract busybox-static_*.deb extracted
install -D "$(find extracted -name busybox -type f -perm -u+x)" "$1/{target}"
rm -rf "$work"
"""


def guest_tree(target: Path, packages: Sequence[str], carried: Sequence[str]) -> None:
    """Make at `target` a Debian tree with `packages`, and in its repository what `carried` needs beyond."""
    hooks = [
        "set -e" + _FETCH_CARRIED.format(packages=" ".join(carried), repository=guest.CARRIED_DIR),
        "set -e" + _FETCH_BUSYBOX.format(target=INITRD_BUSYBOX),
    ]
    excluded = ["/usr/share/locale/*", "/usr/share/doc/*", "/usr/share/info/*"]
    _mmdebstrap(target, flavours.SUITE, packages, hooks, excluded)


def build_tree(target: Path, packages: Sequence[str], suite: str) -> None:
    """Make at `target` a Debian tree with `packages` and the empty directories that chroot.py mounts on."""
    _mmdebstrap(target, suite, packages, ['mkdir -p "$1/src" "$1/build" "$1/tools" "$1/cache"'], [])


def _mmdebstrap(
    target: Path, suite: str, packages: Sequence[str], hooks: Sequence[str], excluded: Sequence[str]
) -> None:
    require_root("make a Debian tree")
    ensure_packages()
    apt_options = debiandir.apt_options()
    with tempfile.TemporaryDirectory(prefix="aurora-tree-") as scratch:
        settings = Path(scratch) / "apt.conf"
        settings.write_text("".join(f"{line};\n" for line in ['Acquire::Retries "3"', *apt_options]))
        command = [
            "mmdebstrap",
            "--mode=root",
            "--variant=minbase",
            "--format=directory",
            f"--include={','.join(packages)}",
            f"--aptopt={settings}",
            *(f"--dpkgopt=path-exclude={pattern}" for pattern in excluded),
            *(f"--customize-hook={hook}" for hook in hooks),
            suite,
            str(target),
        ]
        # In a mount namespace of its own: a killed run leaves nothing mounted in a tree that will be deleted.
        isolated = ["unshare", "--mount", "--propagation", "private", "--", *command]
        # INITRD=No: the machine starts from our own small initrd, and making Debian's costs half a minute.
        environment = {**os.environ, "INITRD": "No", "LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": ""}
        del environment["SOURCE_DATE_EPOCH"]
        done = subprocess.run(
            isolated, check=False, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
    if done.returncode != 0:
        raise RigError(
            "make a Debian tree",
            f"mmdebstrap ended with status {done.returncode}",
            "looking for the package or the network error below",
            tail(done.stderr),
        )


def make(
    target: Path,
    what: str,
    packages: Sequence[str],
    carried: Sequence[str] | None = None,
    *,
    suite: str = flavours.SUITE,
) -> None:
    """guest_tree, of flavours.SUITE, when `carried` is given, build_tree otherwise; says `what` while it takes long."""
    with step(f"{what}: building a Debian {suite} tree"):
        if carried is None:
            build_tree(target, packages, suite)
        else:
            guest_tree(target, packages, carried)
