"""Modules as Debian packages, and the core's own: apt is enough to have them, change them and be rid of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from tests.vm.core import INSTALL_SEC, Core, Module, folder, tidied
from tests.vm.machine import Machine

DEBS = "/var/lib/aurora-test/parcels"
APT = "DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold --yes"

PARCEL = Module(
    name="parcel",
    program='#!/bin/sh\necho run >>$STATE_DIRECTORY/runs\necho "run $(wc -l <$STATE_DIRECTORY/runs)"\nexec sleep inf\n',
    more="[directories]\nstate = true\ncache = true\nlogs = true\n",
    files={"data/words.txt": "one two\n"},
)
NEWER = dataclasses.replace(PARCEL, version="1.1")
BYSTANDER = Module(name="bystander")


@pytest.fixture(scope="module")
def core(vm: Machine) -> Iterator[Core]:
    """With a bystander, and the packages of two versions of one module in DEBS."""
    with tidied(vm) as core:
        core.install(BYSTANDER)
        core.run(f"rm -rf {DEBS}; mkdir {DEBS}")
        for version in (PARCEL, NEWER):
            core.put(version)
            core.run(f"auroractl pack {folder('parcel')} -o {DEBS}")
        yield core
        core.run(f"rm -rf {DEBS}")


def deb(version: Module) -> str:
    return f"{DEBS}/aurora-module-{version.name}_{version.version}_all.deb"


def test_packing_twice_gives_the_same_bytes(core: Core) -> None:
    # By somebody else, from another place, with other times, modes and order of files.
    core.put(NEWER)
    core.run(
        f"""
        mkdir -p /home/tester/elsewhere/out
        cp -r {folder("parcel")} /home/tester/elsewhere/parcel
        cd /home/tester/elsewhere/parcel
        find . -type f -exec touch -d '2031-05-06 07:08:09' {{}} +
        chmod -R go-rwx .
        chown -R tester: /home/tester/elsewhere
        cd /
        su tester -c 'umask 077; auroractl pack /home/tester/elsewhere/parcel -o /home/tester/elsewhere/out'
        cmp {deb(NEWER)} /home/tester/elsewhere/out/*.deb
        rm -r /home/tester/elsewhere
        """
    )


def test_a_package_has_payload_and_no_maintainer_scripts(core: Core) -> None:
    control = core.run(f"dpkg-deb --ctrl-tarfile {deb(PARCEL)} | tar -t").stdout.split()
    assert sorted(control) == ["./", "./conffiles", "./control"]
    listed = core.run(f"dpkg-deb --contents {deb(PARCEL)}").stdout
    assert "./usr/lib/aurora/modules/parcel/data/words.txt" in listed
    assert all(line.split()[1] == "root/root" for line in listed.splitlines())


@pytest.mark.deadline(600)
def test_a_module_lives_as_long_as_its_package(core: Core) -> None:
    bystander = core.invocations("bystander")

    core.run(f"{APT} install {deb(PARCEL)}")
    core.wait_for("parcel", ActiveState="active")
    first = core.invocations("parcel")
    row = core.listed()["parcel"]
    assert (row["version"], row["enabled"], row["origin"]) == ("1.0", True, "package")
    assert core.said("parcel", first["parcel"]) == ["run 1"]

    core.run(f"{APT} install {deb(NEWER)}")
    core.wait_for("parcel", ActiveState="active")
    second = core.invocations("parcel")
    assert second != first, "an upgrade runs what was installed"
    assert core.listed()["parcel"]["version"] == "1.1"
    assert core.said("parcel", second["parcel"]) == ["run 2"]

    core.run(f"{APT} remove aurora-module-parcel")
    core.wait_for("parcel", LoadState="not-found")
    assert "parcel" not in core.listed()
    assert core.run("cat /var/lib/private/aurora/parcel/runs").stdout == "run\nrun\n", "remove keeps the state"
    assert "aurora.parcel" not in core.run("cat /sys/kernel/security/apparmor/profiles").stdout

    core.run(f"auroractl install {deb(NEWER)}")
    core.wait_for("parcel", ActiveState="active")
    assert core.said("parcel", core.invocations("parcel")["parcel"]) == ["run 3"], "the state is there again"

    core.run(
        """
        install -D -m 600 /etc/hostname /etc/aurora/credentials/parcel/key
        mkdir -p /var/lib/systemd/timers && touch /var/lib/systemd/timers/stamp-aurora@parcel.timer
        """
    )
    core.run(f"{APT} purge aurora-module-parcel")
    core.wait_for("parcel", LoadState="not-found")
    left = core.run("find / -xdev -path '*parcel*' -not -path '/var/lib/aurora-test/*' -not -path '/proc/*'").stdout
    assert left == "", "purge takes everything"

    assert core.invocations("bystander") == bystander, "all of that was nobody else's affair"


@pytest.mark.deadline(600)
def test_a_package_that_is_removed_and_then_purged_takes_its_state_too(core: Core) -> None:
    core.run(f"{APT} install {deb(PARCEL)} && {APT} remove aurora-module-parcel")
    assert core.run("ls /var/lib/private/aurora").stdout == "parcel\n"
    core.run(f"{APT} purge aurora-module-parcel")
    core.machine.wait_until("! ls -d /var/*/private/aurora/parcel /var/*/aurora/parcel 2>/dev/null", 60)
    assert "parcel" not in core.run("ls /var/lib/aurora-core/*").stdout


@pytest.mark.deadline(600)
def test_a_package_whose_module_does_not_start_does_not_fail_apt(core: Core) -> None:
    bystander = core.invocations("bystander")
    broken = dataclasses.replace(PARCEL, version="2.0", program="#!/bin/sh\necho no; exit 3\n")
    broken = dataclasses.replace(
        broken, more='[start]\nreadiness = "notify"\ntimeout = "20s"\n[restart]\npolicy = "no"\n'
    )
    core.put(broken)
    core.run(f"auroractl pack {folder('parcel')} -o {DEBS}")
    done = core.run(f"{APT} install {deb(broken)} 2>&1")
    assert "its program ended with status 3" in done.stdout, "the owner is told"
    assert core.run("dpkg-query -W -f '${db:Status-Status}' aurora-module-parcel").stdout == "installed"
    assert core.invocations("bystander") == bystander
    core.run(f"{APT} purge aurora-module-parcel")


@pytest.mark.deadline(1500)
def test_modules_run_on_while_the_core_is_upgraded(core: Core) -> None:
    bystander = core.invocations("bystander")
    core.run(
        f"""
        cd {DEBS}
        dpkg-deb -R /var/lib/aurora-test/deb/aurora-core_*.deb core
        sed -i 's/^Version: .*/&+next1/' core/DEBIAN/control
        dpkg-deb --root-owner-group -Zgzip -z1 -b core next.deb >&2
        """
    )
    before = core.run("dpkg-query -W -f '${Version}' aurora-core").stdout
    core.run(f"{APT} install {DEBS}/next.deb", timeout_sec=INSTALL_SEC)
    assert core.run("dpkg-query -W -f '${Version}' aurora-core").stdout == before + "+next1"
    assert core.invocations("bystander") == bystander
    core.run(f"{APT} install --allow-downgrades /var/lib/aurora-test/deb/aurora-core_*.deb", timeout_sec=INSTALL_SEC)
    assert core.run("dpkg-query -W -f '${Version}' aurora-core").stdout == before
    assert core.invocations("bystander") == bystander
    assert core.run("systemctl is-active aurora@bystander aurora-core").stdout == "active\nactive\n"
