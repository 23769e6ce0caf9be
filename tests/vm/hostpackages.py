"""The programs that the rig needs on this machine, and getting them from its own Debian archive."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.vm.errors import RigError, tail
from tests.vm.progress import step

PROGRAMS: Mapping[str, str] = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "swtpm": "swtpm",
    "dpkg-deb": "dpkg",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "git": "git",
    "tar": "tar",
    "unshare": "util-linux",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
}
"""Program on PATH, or a file by its absolute path -> the Debian package that has it."""

SBIN = "/usr/sbin:/sbin"
"""Where mke2fs is; not on everybody's PATH."""


def find(program: str) -> str | None:
    """The path of a program or file of PROGRAMS, or None."""
    if program.startswith("/"):
        return program if Path(program).exists() else None
    return shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:{SBIN}")


def missing_packages() -> list[str]:
    """The packages to install, in alphabetical order; empty when the rig can start."""
    return sorted({package for program, package in PROGRAMS.items() if find(program) is None})


def require_root(what: str) -> None:
    """Stop unless we are root: foreign trees need chroot, mount and files of several owners."""
    if os.geteuid() != 0:
        raise RigError(what, "it needs root (chroot, mounts, files of several owners)", "the same command with sudo")


def ensure_packages(extra: Iterable[str] = ()) -> None:
    """Every program of PROGRAMS is there afterwards, and the packages `extra`, or RigError says what to type.

    Installs by apt-get, when root and on a Debian-like machine. No network is used when nothing is missing; whoever
    names `extra` has seen that it is.
    """
    if platform.machine() not in ("x86_64", "amd64"):
        raise RigError(
            "run the VM tests", f"this machine is {platform.machine()} and the image is amd64", "an amd64 machine"
        )
    wanted = {*missing_packages(), *extra}
    if not wanted:
        return
    names = sorted(wanted)
    by_hand = f"apt-get update && apt-get install --no-install-recommends {' '.join(names)}"
    if os.geteuid() != 0:
        raise RigError("run the VM tests", f"these packages are missing: {', '.join(names)}", f"sudo sh -c '{by_hand}'")
    if shutil.which("apt-get") is None:
        raise RigError(
            "run the VM tests",
            f"programs of these Debian packages are missing: {', '.join(names)}",
            "installing them, or a Debian machine",
        )
    with step(f"host: installing {', '.join(names)}"):
        _apt(["update"], by_hand)
        _apt(["install", "--yes", "--no-install-recommends", *names], by_hand)


def _apt(arguments: list[str], by_hand: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=300", *arguments]
    done = subprocess.run(
        command, check=False, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise RigError(
            "install what the rig needs",
            f"`{' '.join(command)}` failed",
            f"by hand: {by_hand}",
            tail(done.stdout + done.stderr),
        )
