"""Signed packages: where signatures are required, nothing that is unsigned, changed or older comes to run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from tests.vm.core import Core, Module, folder, tidied
from tests.vm.machine import Machine

DEBS = "/var/lib/aurora-test/signed"
SETTINGS = "/etc/aurora/core.toml"
APT = "DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 --yes --allow-downgrades"
EX_APT = 100  # what apt ends with when what it runs before dpkg refuses
EX_UNAVAILABLE = 69  # what a refusal ends with

SEALED = Module(name="sealed")
NEWER = dataclasses.replace(SEALED, version="1.1")


def deb(version: Module, kind: str) -> str:
    return f"{DEBS}/{kind}/aurora-module-{version.name}_{version.version}_all.deb"


@pytest.fixture(scope="module")
def core(vm: Machine) -> Iterator[Core]:
    """Packages of two versions, plain and signed by a key that is trusted here; signatures are required."""
    with tidied(vm) as core:
        core.run(f"rm -rf {DEBS}; mkdir -p {DEBS}/plain {DEBS}/signed")
        for version in (SEALED, NEWER):
            core.put(version)
            core.run(f"auroractl pack {folder('sealed')} -o {DEBS}/plain")
        core.run(
            f"""
            auroractl key new maker --no-passphrase --in {DEBS}
            auroractl key trust {DEBS}/maker.toml
            for one in {DEBS}/plain/*.deb; do
                auroractl sign $one --key {DEBS}/maker.key --output {DEBS}/signed/$(basename $one)
            done
            echo 'signatures = "required"' >>{SETTINGS}
            """
        )
        yield core
        core.run(f"sed -i '/^signatures/d' {SETTINGS}; rm -rf {DEBS} /etc/aurora/keyring/maker.toml")


def is_installed(core: Core) -> bool:
    done = core.run("dpkg-query -W -f '${db:Status-Status}' aurora-module-sealed 2>/dev/null || true")
    return done.stdout == "installed"


def test_an_unsigned_package_is_refused_before_anything_of_it_is_written(core: Core) -> None:
    done = core.run(f"auroractl install {deb(SEALED, 'plain')}", check=False)
    assert done.returncode == EX_UNAVAILABLE
    assert "nobody has signed it" in done.stderr
    assert not is_installed(core)
    assert "sealed" not in core.listed()


def test_one_of_which_a_byte_was_changed_is_refused(core: Core) -> None:
    changed = f"{DEBS}/changed.deb"
    core.run(
        f"""
        python3 - <<'END'
data = bytearray(open("{deb(SEALED, "signed")}", "rb").read())
place = data.index(b"data.tar") + 60 + 40  # behind the header of the member, in what is packed
data[place] ^= 1
open("{changed}", "wb").write(data)
END
        """
    )
    done = core.run(f"auroractl verify {changed}", check=False)
    assert done.returncode not in (0, 1)
    assert core.run(f"auroractl install {changed}", check=False).returncode != 0
    assert not is_installed(core)


def test_apt_refuses_it_before_dpkg_unpacks_any_of_it(core: Core) -> None:
    done = core.run(f"{APT} install {deb(SEALED, 'plain')} 2>&1", check=False)
    assert done.returncode == EX_APT
    assert "nobody has signed it" in done.stdout
    assert not is_installed(core)
    assert core.run("ls -d /usr/lib/aurora/modules/sealed 2>/dev/null || true").stdout == ""


def test_apt_installs_what_is_not_ours_and_what_is_signed(core: Core) -> None:
    core.run(f"{APT} install busybox && {APT} purge busybox")
    done = core.run(f"{APT} install {deb(SEALED, 'signed')} 2>&1")
    assert "signed by maker" in done.stdout
    core.wait_for("sealed", ActiveState="active")
    core.run(f"{APT} purge aurora-module-sealed; rm -f /var/lib/aurora-core/accepted/sealed")


def test_what_came_by_dpkg_alone_does_not_run(core: Core) -> None:
    core.run(f"dpkg -i {deb(SEALED, 'plain')}")
    core.wait_for("sealed", ActiveState="inactive")
    assert "sealed" not in core.listed()
    assert "sealed" in core.run("auroractl apply 2>&1 || true").stdout
    core.run(f"{APT} purge aurora-module-sealed")


def test_a_signed_package_is_installed_and_runs(core: Core) -> None:
    done = core.run(f"auroractl install {deb(NEWER, 'signed')}")
    assert "signed by maker" in done.stdout + done.stderr
    core.wait_for("sealed", ActiveState="active")
    assert core.listed()["sealed"]["version"] == "1.1"


def test_an_older_version_is_refused_though_it_is_signed(core: Core) -> None:
    before = core.invocations("sealed")
    done = core.run(f"auroractl install {deb(SEALED, 'signed')}", check=False)
    assert done.returncode == EX_UNAVAILABLE
    assert "is below 1.1" in done.stderr
    assert core.invocations("sealed") == before


def test_by_dpkg_it_is_not_taken_in_and_what_ran_runs_on(core: Core) -> None:
    before = core.invocations("sealed")
    core.run(f"dpkg -i {deb(SEALED, 'plain')}")
    assert core.run("auroractl apply || true").returncode == 0
    assert core.invocations("sealed") == before
    assert core.listed()["sealed"]["version"] == "1.1"
    core.run(f"auroractl install {deb(NEWER, 'signed')}")


def test_a_revoked_key_lets_nothing_in(core: Core) -> None:
    core.run("auroractl key revoke maker")
    done = core.run(f"auroractl install {deb(NEWER, 'signed')}", check=False)
    assert done.returncode == EX_UNAVAILABLE
    assert "revoked" in done.stderr


def test_a_purged_module_leaves_no_note(core: Core) -> None:
    core.run(f"{APT} purge aurora-module-sealed")
    assert core.run("find /var/lib/aurora-core/accepted /var/lib/aurora-core/modules -name 'sealed*'").stdout == ""
