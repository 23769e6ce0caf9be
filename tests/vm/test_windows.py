"""Windows of time: what apt brings outside of them waits, and comes in by itself when one opens."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator

import pytest

from tests.vm.core import Core, Module, folder, tidied
from tests.vm.machine import Machine

DEBS = "/var/lib/aurora-test/patient"
SETTINGS = "/etc/aurora/core.toml"
TIMER = "aurora-window.timer"
APT = "DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 --yes install"
EX_UNAVAILABLE = 69
SOON_MIN = 15
"""Until a window opens: what is looked at before takes minutes in emulation. Then the clock is put forward."""

PATIENT = Module(name="patient")


@pytest.fixture(scope="module")
def core(vm: Machine) -> Iterator[Core]:
    """With a module from a package, and packages of later versions."""
    with tidied(vm) as core:
        core.run(f"rm -rf {DEBS}; mkdir -p {DEBS}")
        for version in ("1.0", "2.0", "3.0", "4.0"):
            core.put(dataclasses.replace(PATIENT, version=version))
            core.run(f"auroractl pack {folder('patient')} -o {DEBS}")
        core.run(f"{APT} {deb('1.0')}")
        core.wait_for("patient", ActiveState="active")
        yield core
        core.run(f"rm -rf {DEBS}")


def deb(version: str) -> str:
    return f"{DEBS}/aurora-module-patient_{version}_all.deb"


def close(core: Core) -> None:
    """Have the only window open in three days."""
    core.run(
        f"""
        day=$(LC_ALL=C date -d '3 days' +%a)
        printf '[update]\\nwindows = ["%s 02:00-04:00"]\\n' $day >{SETTINGS}
        """
    )


def waits(core: Core) -> bool:
    """Whether it is said to."""
    (row,) = json.loads(core.run("auroractl update status patient --json").stdout)["modules"]
    return row["waits_until_sec"] is not None


@pytest.mark.deadline(900)
def test_what_comes_outside_the_windows_comes_in_when_one_opens(core: Core) -> None:
    before = core.invocations("patient")
    opens_sec = (int(core.run("date +%s").stdout) // 60 + SOON_MIN) * 60
    core.run(
        f"""
        printf '[update]\\nwindows = ["%s-%s"]\\n' \\
            $(date -d @{opens_sec} +%H:%M) $(date -d @{opens_sec + 1800} +%H:%M) >{SETTINGS}
        {APT} {deb("2.0")}
        """
    )
    assert core.run("dpkg-query -W -f '${Version}' aurora-module-patient").stdout == "2.0"
    assert core.listed()["patient"]["version"] == "1.0"
    assert core.invocations("patient") == before
    assert "patient: wait until 20" in core.run("auroractl update status").stdout
    assert waits(core)
    core.run(f"systemctl is-active {TIMER}")

    core.run(f"date -s @{opens_sec - 5}")
    manifest = "$(systemctl show -P WorkingDirectory aurora@patient)/module.toml"
    core.machine.wait_until(f"grep -q 'version = .2.0' {manifest}", 180)
    core.wait_for("patient", ActiveState="active")
    assert core.invocations("patient") != before
    assert not waits(core)
    core.machine.wait_until(f"! systemctl is-active {TIMER}", 30)
    assert core.run("systemctl is-failed aurora-window.service || true").stdout == "inactive\n"


@pytest.mark.deadline(600)
def test_its_owner_need_not_wait(core: Core) -> None:
    close(core)
    core.run(f"{APT} {deb('3.0')}")
    assert waits(core)
    done = core.run(f"auroractl update apply {deb('4.0')}", check=False)
    assert (done.returncode, "--now" in done.stderr) == (EX_UNAVAILABLE, True)
    assert core.listed()["patient"]["version"] == "2.0"

    core.run("auroractl update apply --now")
    core.wait_for("patient", ActiveState="active")
    assert core.listed()["patient"]["version"] == "3.0"
    assert not waits(core)
    core.machine.wait_until(f"! systemctl is-active {TIMER}", 30)

    core.run(f"auroractl install {deb('4.0')}")
    assert core.listed()["patient"]["version"] == "4.0", "who installs it by hand is there"
    done = core.run(f"auroractl update apply --now --window 0s --json {deb('3.0')}", timeout_sec=400)
    assert json.loads(done.stdout)["end"] == "updated"


@pytest.mark.deadline(600)
def test_a_boot_outside_the_windows_lets_nothing_in(core: Core) -> None:
    close(core)
    core.run(f"{APT} {deb('4.0')}")
    core.machine.reboot()
    core.wait_for("patient", ActiveState="active")
    assert core.listed()["patient"]["version"] == "3.0"
    assert waits(core)
    core.run(f"systemctl is-active {TIMER}")
    core.run(f"rm {SETTINGS}; systemctl reload aurora-core")
    assert core.listed()["patient"]["version"] == "4.0"
    core.machine.wait_until(f"! systemctl is-active {TIMER}", 30)
