"""What makes a bare Debian tree a test machine: its settings, as data, and writing them into the tree."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.vm.tools import must

CARRIED_DIR = "/var/lib/aurora-test/repo"
"""The apt repository inside the machine; its network reaches nobody."""


def _lines(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


FILES: Mapping[str, str] = {
    "/etc/hostname": _lines("aurora-test"),
    "/etc/hosts": _lines("127.0.0.1 localhost aurora-test", "::1 localhost"),
    "/etc/fstab": _lines("/dev/vda / ext4 defaults 0 1"),
    "/etc/default/locale": _lines("LANG=C.UTF-8"),
    "/etc/apt/sources.list": _lines(f"deb [trusted=yes] file:{CARRIED_DIR} ./"),
    # DHCP takes seconds in emulation, and QEMU's user network always gives this address. Only the machine's own
    # interface: networkd takes foreign addresses away where it manages, also from an interface that a test makes.
    "/etc/systemd/network/10-test.network": _lines(
        "[Match]",
        "Name=en*",
        "[Network]",
        "Address=10.0.2.15/24",
        "Gateway=10.0.2.2",
        "LinkLocalAddressing=no",
        "IPv6AcceptRA=no",
    ),
    # Emulated processors are 10 to 30 times slower: a timeout of systemd's own would be the machine's fault.
    "/etc/systemd/system.conf.d/test.conf": _lines(
        "[Manager]",
        "DefaultTimeoutStartSec=180s",
        "DefaultTimeoutStopSec=180s",
        "DefaultDeviceTimeoutSec=180s",
    ),
    # Tests read what was logged: nothing may be dropped.
    "/etc/systemd/journald.conf.d/test.conf": _lines(
        "[Journal]",
        "Storage=persistent",
        "RateLimitIntervalSec=0",
        "RateLimitBurst=0",
        "SystemMaxUse=128M",
    ),
    "/etc/ssh/sshd_config.d/test.conf": _lines(
        "PermitRootLogin prohibit-password",
        "PasswordAuthentication no",
        "UsePAM no",  # a login starts no user manager, which would take seconds
        "UseDNS no",
        "PrintMotd no",
        "MaxSessions 200",  # one connection carries all the commands
        "MaxStartups 200",
        "PerSourcePenalties no",  # waiting for the boot means knocking often
        "SetEnv LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ),
}

USER = "tester"
"""Somebody without rights, for tests of what such a user may do."""

ENABLED = ("systemd-networkd.service", "ssh.service")

MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@tty1.service",
    "serial-getty@ttyS0.service",
    "systemd-networkd-wait-online.service",
    "systemd-network-generator.service",
    "systemd-networkd-persistent-storage.service",
    "systemd-pstore.service",
    "modprobe@drm.service",
    "modprobe@efi_pstore.service",
    "systemd-timesyncd.service",
    "man-db.timer",
    "logrotate.timer",
)
"""Units that start at moments a test can't foresee, or that only cost time in a virtual machine."""

APPARMOR_KEPT = ("abi", "abstractions", "tunables", "disable", "local")
"""Of /etc/apparmor.d. Debian's 100 profiles would be most of the boot, and confine nothing that is here."""


def configure(tree: Path, files: Mapping[str, str], public_key: str) -> None:
    """Turn the Debian tree at `tree` into a test machine that lets the owner of `public_key` in as root."""
    for path, text in {**FILES, **files}.items():
        target = tree / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    ssh_dir = tree / "root/.ssh"
    ssh_dir.mkdir(mode=0o700, exist_ok=True)
    (ssh_dir / "authorized_keys").write_text(public_key)
    # A fixed identity saves the first boot's writing of one, and is the same after a power cut during it.
    identity = hashlib.sha256(public_key.encode()).hexdigest()[:32]
    (tree / "etc/machine-id").write_text(identity + "\n")
    (tree / "var/log/journal").mkdir(exist_ok=True)
    (tree / "mnt/share").mkdir(exist_ok=True)
    _keep_apparmor_basics(tree / "etc/apparmor.d")
    must(
        "add a user to the image",
        ["chroot", str(tree), "useradd", "--create-home", "--shell", "/bin/bash", USER],
    )
    _systemctl(tree, "enable", *ENABLED)
    _systemctl(tree, "mask", *MASKED)
    publish(tree)


def publish(tree: Path) -> None:
    """Index the .deb files in CARRIED_DIR and let the tree's own apt read that index."""
    repository = tree / CARRIED_DIR.lstrip("/")
    repository.mkdir(parents=True, exist_ok=True)
    stanzas = [_stanza(deb) for deb in sorted(repository.glob("*.deb"))]
    (repository / "Packages").write_text("\n".join(stanzas))
    (tree / "etc/apt/apt.conf.d/99mmdebstrap").unlink(missing_ok=True)  # the building machine's proxies
    must("index the packages that the image carries", ["chroot", str(tree), "apt-get", "update"])


def _stanza(deb: Path) -> str:
    fields = must("index the packages that the image carries", ["dpkg-deb", "--field", str(deb)])
    content = deb.read_bytes()
    return (
        f"{fields.rstrip()}\nFilename: ./{deb.name}\nSize: {len(content)}\n"
        f"SHA256: {hashlib.sha256(content).hexdigest()}\n"
    )


def _keep_apparmor_basics(directory: Path) -> None:
    for path in directory.iterdir():
        if path.name in APPARMOR_KEPT:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _systemctl(tree: Path, verb: str, *units: str) -> None:
    must(f"{verb} units in the image", ["chroot", str(tree), "systemctl", "--quiet", verb, *units])
