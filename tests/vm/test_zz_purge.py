"""The core comes and goes, and leaves nothing behind. On a machine of its own, that never had it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vm import flavours, layer
from tests.vm.core import INSTALL_SEC, Core, Module, folder
from tests.vm.image import image
from tests.vm.machine import Machine
from tests.vm.package import packages

APT = "DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 --yes"

FILES = "find /etc /usr /var /run /opt /srv /home /root /boot -xdev -printf '%p\\n' | sort"

# What apt, dpkg, AppArmor and systemd write about any package and any boot.
OTHERS = (
    "/etc/ld.so.cache",
    "/etc/mailcap",
    "/run/systemd/",
    "/run/udev/",
    "/run/user/",
    "/run/ssh",
    "/run/lock/",
    "/run/log/",
    "/run/mount/",
    "/var/cache/apparmor/",
    "/var/cache/apt/",
    "/var/cache/ldconfig",
    "/var/cache/debconf/",
    "/var/cache/man/",
    "/var/lib/apt/",
    "/var/lib/dpkg/",
    "/var/lib/systemd/",
    "/var/log/apt/",
    "/var/log/dpkg.log",
    "/var/log/journal/",
    "/var/log/alternatives.log",
    "/var/tmp/systemd-private-",
)


@pytest.fixture(scope="module")
def bare(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A Debian without our package."""
    source: Path = request.config.getoption("--source").resolve()
    with layer.throw_away(image(flavours.flavour("default"), source), None) as machine:
        machine.boot("booting a bare Debian")
        yield machine


def files(machine: Machine) -> set[str]:
    found = machine.run(FILES, timeout_sec=300).stdout.splitlines()
    looked_at = (path for path in found if not path.startswith("/var/lib/aurora-test"))
    return {path for path in looked_at if "aurora" in path or not path.startswith(OTHERS)}


@pytest.mark.deadline(1800)
def test_purging_the_core_leaves_nothing_behind(bare: Machine, request: pytest.FixtureRequest) -> None:
    core = Core(bare)
    (deb,) = packages(request.config.getoption("--source").resolve()).debs
    bare.push(deb, f"/var/lib/aurora-test/{deb.name}")
    # What it needs comes first, so that what is left afterwards can only be its own.
    needs = f"$(dpkg-deb -f /var/lib/aurora-test/{deb.name} Depends Recommends | sed 's/^[^:]*: //' | paste -sd, )"
    bare.run(f'{APT} satisfy "{needs}"', timeout_sec=300)
    before = files(bare)
    users = bare.run("cat /etc/passwd /etc/group").stdout
    bare.run(f"{APT} install /var/lib/aurora-test/{deb.name}", timeout_sec=INSTALL_SEC)

    # One of everything that it could forget.
    everything = "[directories]\nstate = true\ncache = true\nlogs = true\nruntime = true\n"
    budgets = '[limits]\nstate_max = "8M"\ncache_max = "4M"\n'
    core.put(
        Module(name="kept", more=everything + budgets),
        Module(name="packed", more=everything),
        Module(name="tried", program="true", more=everything + budgets),
    )
    bare.run(
        f"""
        auroractl install {folder("kept")}
        auroractl run {folder("tried")}
        cd /var/lib/aurora-test && auroractl pack {folder("packed")}
        {APT} install ./aurora-module-packed_1.0_all.deb
        mkdir -p /etc/aurora/policies && cp /usr/share/aurora/policies/strict.toml /etc/aurora/policies/own.toml
        systemctl is-active aurora@kept aurora@packed
        """,
        timeout_sec=300,
    )

    assert bare.run("losetup -nO BACK-FILE | grep -c aurora").stdout == "2\n"

    bare.run(f"{APT} purge aurora-core aurora-module-packed", timeout_sec=300)

    assert files(bare) - before == set()
    assert before - files(bare) == set(), "it took nothing with it that was there"
    assert bare.run("systemctl list-units --all --no-legend --plain 'aurora*'").stdout == ""
    assert bare.run("systemctl list-unit-files --no-legend 'aurora*' || true").stdout == ""
    assert bare.run("grep -c '^aurora' /sys/kernel/security/apparmor/profiles || true").stdout == "0\n"
    assert bare.run("losetup -nO BACK-FILE | grep -c aurora || true").stdout == "0\n"
    assert bare.run("grep -c aurora /proc/self/mountinfo || true").stdout == "0\n"
    assert bare.run("ps -eo args | grep -c '[a]urora-core/modules' || true").stdout == "0\n"
    assert bare.run("cat /etc/passwd /etc/group").stdout == users
    assert bare.run("dpkg-query -W -f '${db:Status-Status}\\n' 'aurora*' 2>&1 || true").stdout.count("installed") == 0
    assert bare.run("find /sys/fs/cgroup -name 'aurora*'").stdout == ""
    assert bare.run("systemctl is-system-running || true").stdout == "running\n"
