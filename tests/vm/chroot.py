"""The build tree: a Debian tree in the cache where packages are built and tests without a VM run.

It is entered by chroot in a mount namespace of its own. The tree itself is read-only there; /tmp, /run and
/root are new and empty each time; the checkout is at /src; /cache keeps what tools want to remember.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.vm import cache, debiandir, flavours, ssh, tree
from tests.vm.errors import RigError
from tests.vm.hostpackages import require_root

PASSED_ON = (
    "CI",
    "TERM",
    "NO_COLOR",
    "DEB_BUILD_OPTIONS",
    "PYTHONPATH",
    "PYTEST_ADDOPTS",
    "HYPOTHESIS_PROFILE",
)
"""Variables of the caller that commands in the tree see."""

_ENVIRONMENT: Mapping[str, str] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTEST_ADDOPTS": "-p no:cacheprovider",  # /src is read-only
    "HYPOTHESIS_STORAGE_DIRECTORY": "/cache/hypothesis",
    "MYPY_CACHE_DIR": "/cache/mypy",
    "RUFF_CACHE_DIR": "/cache/ruff",
}

_MOUNTS = """
set -e
mount --bind "$T" "$T"
mount -o remount,bind,ro "$T"
mount -t proc proc "$T/proc"
mount -t tmpfs -o mode=755 dev "$T/dev"
for node in null zero full random urandom tty; do
    : > "$T/dev/$node"
    mount --bind "/dev/$node" "$T/dev/$node"
done
ln -s /proc/self/fd "$T/dev/fd"
mkdir "$T/dev/pts" "$T/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$T/dev/pts"
ln -s pts/ptmx "$T/dev/ptmx"
mount -t tmpfs -o mode=1777 shm "$T/dev/shm"
mount -t tmpfs -o mode=1777 tmp "$T/tmp"
mount -t tmpfs -o mode=1777 tmp "$T/var/tmp"
mount -t tmpfs -o mode=755 run "$T/run"
mount -t tmpfs -o mode=700 root "$T/root"
"""


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A directory of this machine, shown in the tree."""

    here: Path
    there: str
    writable: bool = False

    def commands(self) -> str:
        """The shell lines that mount it under $T."""
        target = f'"$T"{shlex.quote(self.there)}'
        lines = f"mount --bind {shlex.quote(str(self.here))} {target}\n"
        if not self.writable:
            lines += f"mount -o remount,bind,ro {target}\n"
        return lines


def build_tree(source: Path, beside: Sequence[str] = ()) -> Path:
    """The tree that has all that building and testing `source` needs, and the packages `beside`.

    Built when the cache has none.
    """
    packages = sorted(
        {*flavours.BUILD_PACKAGES, *debiandir.build_packages(source), *debiandir.runtime_packages(source), *beside}
    )
    recipe = [flavours.SUITE, packages, cache.source_digest("tree.py")]

    def build(directory: Path) -> None:
        tree.make(directory / "tree", "build tree", packages)

    return cache.entry("buildtree", cache.key_of(recipe), build) / "tree"


def argv(
    tree_dir: Path,
    command: Sequence[str],
    mounts: Sequence[Mount],
    cwd: str,
    variables: Mapping[str, str] | None = None,
) -> list[str]:
    """What runs `command` in the tree. /cache and `mounts` are there; `variables` win over the caller's."""
    require_root("enter the build tree")
    scratch = cache.root() / "scratch"
    scratch.mkdir(exist_ok=True)
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environment = {**_ENVIRONMENT, **passed, **(variables or {})}
    script = f"T={shlex.quote(str(tree_dir))}\n{_MOUNTS}"
    script += "".join(mount.commands() for mount in (*mounts, Mount(here=scratch, there="/cache", writable=True)))
    # The directory is entered inside: chroot(8) itself always starts at the tree's root.
    inner = ["sh", "-c", 'cd "$0" && exec "$@"', cwd, *command]
    settings = [f"{name}={value}" for name, value in environment.items()]
    script += f'exec chroot "$T" env -i {shlex.join([*settings, *inner])}\n'
    return ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c", script]


def run(
    command: Sequence[str],
    *,
    source: Path = debiandir.CHECKOUT,
    writable: bool = False,
    variables: Mapping[str, str] | None = None,
    mounts: Sequence[Mount] = (),
    beside: Sequence[str] = (),
) -> int:
    """Run `command` in the build tree with the packages `beside`, in `source` shown as /src, with our stdio.

    Returns its status.
    """
    tree_dir = build_tree(source, beside)
    descriptor = cache.hold(tree_dir.parent)
    try:
        places = [Mount(here=source, there="/src", writable=writable), *mounts]
        line = argv(tree_dir, command, places, "/src", variables)
        status = subprocess.run(line, check=False, stdin=ssh.given_stdin()).returncode
    finally:
        os.close(descriptor)
    return 128 - status if status < 0 else status


def check_possible() -> None:
    """RigError unless this machine lets us mount, which containers without privileges do not."""
    require_root("enter the build tree")
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "--", "mount", "-t", "tmpfs", "x", "/mnt"],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise RigError(
            "enter the build tree",
            "this machine forbids mounting",
            "a virtual machine, or a container started with --privileged",
            done.stderr,
        )
