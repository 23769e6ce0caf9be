"""The kinds of test machine, as data: a new kind is one row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.vm.errors import RigError

SUITE = "trixie"

GUEST_PACKAGES = (
    "apparmor",
    "dbus",
    "e2fsprogs",
    "iproute2",
    "iputils-ping",
    "kmod",
    "less",
    "libnss-systemd",
    "libpam-systemd",
    "libtpm2-pkcs11-1",
    "libtpm2-pkcs11-tools",
    "linux-image-cloud-amd64",
    "netbase",
    "openssh-server",
    "procps",
    "python3",
    "python3-hypothesis",
    "python3-pytest",
    "softhsm2",
    "strace",
    "systemd",
    "systemd-sysv",
    "tpm2-tools",
    "udev",
)
"""What every test machine has: a small Debian server, and what tests inside it use."""

CARRIED_PACKAGES = ("busybox", "lighttpd", "mosquitto", "mosquitto-clients", "socat")
"""Unmodified Debian programs for tests to wrap as modules: not installed, but apt there can do so offline."""

TOKEN_PACKAGES = ("p11-kit-modules", "python3-pykcs11")
"""What comes to keys in tokens, for a test to install as their owner would: carried in the same way."""

BUILD_PACKAGES = (
    "apparmor",
    "build-essential",
    "chromium-headless-shell",
    "debhelper",
    "dh-python",
    "fakeroot",
    "git",
    "libapparmor1",
    "libsofthsm2",
    "libtpm2-pkcs11-1",
    "libtss2-tcti-swtpm0t64",
    "lintian",
    "mandoc",
    "mypy",
    "man-db",
    "nodejs",
    "pybuild-plugin-pyproject",
    "python3-all",
    "python3-hypothesis",
    "python3-jsonschema",
    "python3-pytest",
    "python3-pytest-xdist",
    "python3-setuptools",
    "shellcheck",
    "swtpm",
    "systemd",
)
"""What the build tree has beside the source's own dependencies: for packaging, and for tests without a VM."""


@dataclass(frozen=True, kw_only=True)
class Flavour:
    """One kind of test machine."""

    name: str
    """What `--image` says."""
    why: str
    """What it is for."""
    packages: tuple[str, ...] = ()
    """Installed beside GUEST_PACKAGES."""
    cmdline: str = ""
    """Added to the kernel's command line."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Absolute path in the machine -> text."""
    memory_mib: int = 1536
    tpm: bool = False
    """Whether it has a TPM 2.0, an emulated one of its own."""


_ROWS = (
    Flavour(name="default", why="Debian 13 with all that modules can be given"),
    Flavour(
        name="bench",
        why="with the peers that benchmarks compare with",
        packages=("podman", "supervisor"),
        memory_mib=3072,
    ),
    Flavour(
        name="link",
        why="with the brokers that the message hub is compared with",
        packages=("mosquitto", "nats-server", "redis-server"),
        memory_mib=3072,
    ),
    Flavour(
        name="browser",
        why="with a web browser and Node, which talk on the message hub",
        packages=("chromium-headless-shell", "nodejs"),
        memory_mib=3072,
    ),
    Flavour(
        name="without",
        why="as Raspberry Pi OS was: no memory controller and no AppArmor",
        cmdline="cgroup_disable=memory apparmor=0",
    ),
    Flavour(name="token", why="with a TPM, in which keys can live", tpm=True),
)

FLAVOURS: Mapping[str, Flavour] = {row.name: row for row in _ROWS}


def flavour(name: str) -> Flavour:
    """The flavour of that name, or RigError with the names that exist."""
    if name not in FLAVOURS:
        raise RigError(f"use image {name!r}", "there is none of that name", f"one of: {', '.join(FLAVOURS)}")
    return FLAVOURS[name]
