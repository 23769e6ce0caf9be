"""New versions of the core itself: what works stays, what does not is taken back by systemd, and modules run on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.vm.core import FILLER, INSTALL_SEC, Core, Module, fill_disk, tidied
from tests.vm.machine import Machine
from tests.vm.trials import CODE, CORE, TRY, Change, changed, known, lay_down, put_back, version_of

DEBS = "/var/lib/aurora-test/core-debs"
TREE = f"{DEBS}/tree"
APT = "DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 --yes"
TRIAL_SEC = 420

BYSTANDER = Module(name="bystander")

BROKEN = {
    "cannot be imported by a verb": ("cli/top.py", "import nonesuch", "aurora.cli.top cannot be imported"),
    "does not start at all": ("cli/main.py", "import nonesuch", "nonesuch"),
    "cannot apply": ("cli/core.py", "def apply(arguments): raise ValueError('no')", "confirmed"),
    "has a hub that ends": ("link/main.py", "import sys\ndef main(*_): sys.exit(3)", "confirmed"),
}
"""What is done to a version: the file that gets these lines at its end, and what is said of it."""
HANGS = ("cli/slots.py", "def check(arguments):\n    import time\n    time.sleep(3600)")
SLOW = (
    "cli/slots.py",
    "_check = check\ndef check(arguments):\n    import time\n    time.sleep(40)\n    return _check(arguments)",
)


@pytest.fixture(scope="module")
def core(vm: Machine) -> Iterator[Core]:
    """With a module that runs, and the core's package unpacked in TREE."""
    with tidied(vm) as core:
        core.install(BYSTANDER)
        core.run(f"rm -rf {DEBS}; mkdir {DEBS}; dpkg-deb -R /var/lib/aurora-test/deb/aurora-core_*.deb {TREE}")
        yield core
        core.run(put_back(), timeout_sec=TRIAL_SEC)
        core.run(
            f"{APT} install --reinstall --allow-downgrades /var/lib/aurora-test/deb/aurora-core_*.deb; rm -rf {DEBS}",
            timeout_sec=INSTALL_SEC,
        )


def pack(core: Core, tag: str, *changes: Change) -> str:
    """A package of another version, `tag` at the end of its number; what its version is."""
    return core.run(
        f"""
        rm -rf {DEBS}/next; cp -r {TREE} {DEBS}/next; cd {DEBS}/next
        {changed(CODE, tag, changes)}
        sed -i 's/^Version: .*/&+{tag}/' DEBIAN/control
        rm -f DEBIAN/md5sums
        dpkg-deb --root-owner-group -Zgzip -z1 -b . {DEBS}/{tag}.deb >&2
        dpkg-deb -f {DEBS}/{tag}.deb Version
        """
    ).stdout.strip()


def install(core: Core, tag: str) -> str:
    """By apt; what that says."""
    done = core.run(f"{APT} install --allow-downgrades {DEBS}/{tag}.deb 2>&1", timeout_sec=INSTALL_SEC)
    assert core.run("dpkg-query -W -f '${db:Status-Status}' aurora-core").stdout == "installed"
    return done.stdout


def attempt(core: Core, tag: str, *changes: Change) -> str:
    """Have a version tried that is laid down past dpkg, to the end of what follows; what it is called."""
    core.run(lay_down(tag, *changes) + f"{TRY} || true; {TRY}", timeout_sec=TRIAL_SEC)
    return version_of(tag)


def last(core: Core) -> dict[str, Any]:
    """The last row of the history that is about the core."""
    rows = json.loads(core.run("auroractl update history --json").stdout)
    found: dict[str, Any] = [row for row in rows if row["kind"] == "core"][-1]
    return found


def assert_it_works(core: Core, active: str) -> None:
    """The whole of what an owner does, by that version."""
    now = known(core)
    assert (now["active"], now["trying"]) == (active, None)
    assert core.run(f"cat {CORE}/active/version").stdout.strip() == active
    core.run("auroractl apply; auroractl list; auroractl stop bystander; auroractl start bystander")
    core.wait_for("bystander", ActiveState="active")
    core.run("auroractl link pub slots/seen 1")
    assert core.run("systemctl is-system-running || true").stdout == "running\n"


def assert_a_later_one_stays(core: Core, tag: str) -> None:
    """By apt, after one that did not."""
    version = pack(core, tag)
    install(core, tag)
    assert_it_works(core, version)


def test_the_core_runs_from_a_slot(core: Core) -> None:
    version = core.run("dpkg-query -W -f '${Version}' aurora-core").stdout
    now = known(core)
    assert (now["active"], now["package"], now["slot"] in ("a", "b")) == (version, None, True)
    core.run(
        f"""
        trap 'mv /{CODE}/cli/version.py.away /{CODE}/cli/version.py' EXIT
        mv /{CODE}/cli/version.py /{CODE}/cli/version.py.away
        auroractl version
        """
    )
    assert core.run(f"find {CORE}/ -perm /022 -not -type l -o -not -user root").stdout == ""


@pytest.mark.deadline(1500)
def test_a_version_that_works_is_swapped_in_and_confirmed(core: Core) -> None:
    before, ran = known(core), core.invocations("bystander")
    version = pack(core, "good")
    said = install(core, "good")
    assert "warning" not in said
    now = known(core)
    assert (now["active"], now["package"]) == (version, None)
    assert now["slot"] != before["slot"]
    row = last(core)
    assert (row["end"], row["from"], row["to"]) == ("updated", before["active"], version)
    assert core.invocations("bystander") == ran, "a module is not touched"
    assert_it_works(core, version)


@pytest.mark.deadline(1500)
@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_version_is_taken_back(core: Core, how: str) -> None:
    file, text, why = BROKEN[how]
    before, ran = known(core)["active"], core.invocations("bystander")
    version = attempt(core, how.replace(" ", "-"), (file, text))
    now = known(core)
    assert (now["active"], now["package"]) == (before, version)
    assert why in last(core)["why"]
    assert core.invocations("bystander") == ran
    assert f"{before} is active, and dpkg has {version}" in core.run("auroractl list 2>&1").stdout
    assert_it_works(core, before)


@pytest.mark.deadline(1500)
def test_a_version_that_does_not_parse_is_not_even_configured(core: Core) -> None:
    before = known(core)["active"]
    pack(core, "garbled", ("cli/list.py", "def (:"))
    done = core.run(f"{APT} install {DEBS}/garbled.deb", check=False, timeout_sec=INSTALL_SEC)
    assert done.returncode != 0, "by Debian's own compiling"
    assert_it_works(core, before)
    assert_a_later_one_stays(core, "parses")


@pytest.mark.deadline(1500)
def test_one_that_did_not_stay_is_not_tried_again_unasked_and_a_later_one_is(core: Core) -> None:
    before, ran = known(core)["active"], core.invocations("bystander")
    version = pack(core, "broken", ("cli/main.py", "import nonesuch"))
    said = install(core, "broken")
    assert f"{before} is active, and dpkg has {version}" in said, "apt says so"
    assert "nonesuch" in said
    assert core.invocations("bystander") == ran
    trials = core.run(f"ls {CORE}/ended").stdout
    core.run(f"{TRY}; systemctl restart aurora-core.service")
    assert core.run(f"ls {CORE}/ended").stdout == trials
    done = core.run("auroractl update core", check=False, timeout_sec=TRIAL_SEC)
    assert (done.returncode, "nonesuch" in done.stderr) == (70, True), "its owner may, and is told"
    assert core.run(f"ls {CORE}/ended").stdout != trials
    assert_it_works(core, before)
    assert_a_later_one_stays(core, "later")


@pytest.mark.deadline(1500)
def test_a_version_that_hangs_is_taken_back(core: Core) -> None:
    before = known(core)["active"]
    # As it is, but for how long it is waited.
    unit = "systemd/system/aurora-core-trial.service"
    core.run(f"sed 's/ 3m / 60 /' /usr/lib/{unit} >/run/{unit}; grep -c ' 60 ' /run/{unit}; systemctl daemon-reload")
    try:
        attempt(core, "hangs", HANGS)
    finally:
        core.run(f"rm /run/{unit}; systemctl daemon-reload")
    assert (last(core)["end"], last(core)["why"]) == ("rolled back", "it hung, or took too long")
    assert_it_works(core, before)


@pytest.mark.deadline(1500)
def test_a_damaged_slot_is_got_over_by_the_next_version(core: Core) -> None:
    core.run(f"echo 'import nonesuch' >{CORE}/active/aurora/errors.py; rm -r {CORE}/active/aurora/__pycache__")
    assert core.run("auroractl list", check=False).returncode != 0
    assert_it_works(core, attempt(core, "whole"))


@pytest.mark.deadline(1500)
def test_a_full_disk_leaves_the_version_that_runs(core: Core) -> None:
    before = known(core)["active"]
    core.run(lay_down("nospace"))
    # What is in the idle slot makes room for what comes.
    core.run(f"cd {CORE}; if [ $(readlink active) = a ]; then rm -rf b; else rm -rf a; fi")
    core.run(
        f"""
        trap 'rm -rf {FILLER}' EXIT
        {fill_disk(1_000_000)}
        {TRY}
        auroractl list
        test ! -e {CORE}/trial.json
        """,
        timeout_sec=TRIAL_SEC,
    )
    assert known(core)["active"] == before
    core.run(TRY, timeout_sec=TRIAL_SEC)
    assert_it_works(core, version_of("nospace"))


AMID = f"grep -q tries {CORE}/trial.json && pgrep -f '[c]ore-check'"


def cut_amid_the_trial(core: Core, *, again: bool = False) -> None:
    core.machine.wait_until(AMID, 180)
    core.machine.power_cut(again_when=AMID if again else "")


def settled(core: Core) -> None:
    core.machine.wait_until(f"test ! -e {CORE}/trial.json", 180)
    core.run("systemctl is-system-running --wait || true")


@pytest.mark.deadline(1500)
@pytest.mark.many_cuts
def test_a_power_cut_amid_a_trial_is_gone_on_with_and_the_second_one_takes_it_back(core: Core) -> None:
    core.run(lay_down("slow", SLOW) + TRY.replace("start", "start --no-block"))
    cut_amid_the_trial(core)
    settled(core)
    version = version_of("slow")
    assert_it_works(core, version)

    core.run(lay_down("slower", SLOW) + TRY.replace("start", "start --no-block"))
    cut_amid_the_trial(core, again=True)
    settled(core)
    row = last(core)
    assert (row["end"], row["why"]) == ("rolled back", "the machine went down in 2 boots before it was confirmed")
    assert_it_works(core, version)
