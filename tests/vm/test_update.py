"""New versions of real modules: one that is better stays, one that is worse goes, and a power cut leaves one of two."""

from __future__ import annotations

import dataclasses
import json
import random
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from tests.vm.core import Core, Module, folder, tidied
from tests.vm.machine import Machine

UPDATE_SEC = 240
"""A command with two windows, on a slow machine."""

DEBS = "/var/lib/aurora-test/update-debs"
PLACES = "/var/lib/aurora-test/updates"
"""Folders VERSION/NAME, for commands that replace one version by another."""

STEADY = Module(
    name="steady",
    entry="run.py",
    program="""\
import time

from aurora import sdk

sdk.ready()
print("up", flush=True)
while True:
    time.sleep(1)
""",
    more='[start]\nreadiness = "notify"\ntimeout = "60s"\n[update]\nwindow = "8s"\nmemory_growth = "16M"\n',
)
BETTER = dataclasses.replace(STEADY, version="2.0")
HUNGRY = dataclasses.replace(
    STEADY, version="4.0", program=STEADY.program.replace("sdk.ready()", 'held = b"x" * (64 << 20)\nsdk.ready()')
)
FLAKY = dataclasses.replace(
    STEADY,
    version="4.1",
    program=STEADY.program.replace("while True:", "time.sleep(2)\nraise SystemExit(7)\nwhile True:"),
)
SILENT = dataclasses.replace(
    STEADY, version="4.2", program=STEADY.program.replace("sdk.ready()\n", ""), more=STEADY.more.replace("60s", "15s")
)
CUT = dataclasses.replace(STEADY, version="5.0")

KEEPER = Module(
    name="keeper",
    program="""#!/bin/sh
echo 1 >>$STATE_DIRECTORY/who
mkdir -m 700 $STATE_DIRECTORY/private
echo up
exec sleep infinity
""",
    more='[update]\nwindow = "5s"\nsnapshot = true\n[directories]\nstate = true\n',
)
SPOILER = dataclasses.replace(
    KEEPER,
    version="2.0",
    program="#!/bin/sh\ncd $STATE_DIRECTORY; rmdir private; echo 2 >who; touch more; sync; sleep 1; exit 1\n",
)

PARCEL = Module(name="parcel", more='[update]\nwindow = "5s"\n')
MAIL = (Module(name="post"), Module(name="mail"))
PAIR = (Module(name="left"), Module(name="right"))
CHURN = f"""
n=0
while :; do
    n=$((n + 1))
    for version in 2.0 1.0; do
        auroractl update apply --window 0s {PLACES}/$version/left {PLACES}/$version/right
        echo "$n $version" >/run/churned
    done
done
"""


@pytest.fixture(scope="module")
def core(vm: Machine) -> Iterator[Core]:
    """With a module to update, and two versions of two that are updated together."""
    with tidied(vm) as core:
        core.install(STEADY)
        for version in ("1.0", "2.0"):
            core.put(*(dataclasses.replace(module, version=version) for module in PAIR))
            core.run(
                f"""
                mkdir -p {PLACES}/{version}
                for name in left right; do mv {folder("$name")} {PLACES}/{version}/; done
                """
            )
        core.run(f"auroractl install {PLACES}/1.0/left; auroractl install {PLACES}/1.0/right; sync")
        yield core
        core.run(f"rm -rf {PLACES} {DEBS}")


def attempt(core: Core, module: Module) -> tuple[int, dict[str, Any]]:
    """`auroractl update apply`: its exit status, and how it ended."""
    core.put(module)
    return applied(core, folder(module.name))


def applied(core: Core, words: str) -> tuple[int, dict[str, Any]]:
    """The same with these words."""
    done = core.run(f"auroractl update apply --json {words}", check=False, timeout_sec=UPDATE_SEC)
    assert done.stdout.startswith("{"), done.stderr
    return done.returncode, json.loads(done.stdout)


def known(core: Core, name: str) -> dict[str, Any]:
    """What `auroractl update status` says of a module, no update being open."""
    said = json.loads(core.run(f"auroractl update status {name} --json").stdout)
    assert said["open"] is None
    row: dict[str, Any] = said["modules"][0]
    return row


def active(core: Core) -> tuple[str, str]:
    """The version that is installed, and the one that runs."""
    running = core.run("cat $(systemctl show -P WorkingDirectory aurora@steady)/module.toml").stdout
    (version,) = [line for line in running.splitlines() if line.startswith("version = ")]
    return core.listed()["steady"]["version"], version.partition('"')[2].rstrip('"')


@pytest.mark.deadline(600)
def test_a_better_version_stays(core: Core) -> None:
    before = core.invocations("steady")
    status, said = attempt(core, BETTER)
    assert (status, said["end"], said["why"]) == (0, "updated", None)
    assert active(core) == ("2.0", "2.0")
    assert core.invocations("steady") != before
    assert 0 < said["downtime_ms"] < 60_000
    assert said["modules"][0]["written_bytes"] > 0
    core.wait_for("steady", ActiveState="active")


@pytest.mark.deadline(400)
@pytest.mark.parametrize(
    ("worse", "why"),
    [
        (FLAKY, "it was restarted"),
        (SILENT, ""),
        (HUNGRY, "of memory; the version before held"),
    ],
    ids=["crashes later", "is never ready", "eats memory"],
)
def test_one_that_is_worse_goes_and_the_version_before_is_up(core: Core, worse: Module, why: str) -> None:
    status, said = attempt(core, worse)
    assert (status, said["end"]) == (70, "rolled back"), said
    assert why in said["why"]
    assert said["why"]
    core.wait_for("steady", ActiveState="active")
    assert active(core) == ("2.0", "2.0")
    assert worse.version in [one["version"] for one in known(core, "steady")["refused"]]


def test_a_held_module_is_left_alone(core: Core) -> None:
    core.put(dataclasses.replace(STEADY, version="4.9"))
    before = core.invocations("steady")
    core.run("auroractl update hold steady")
    assert known(core, "steady")["held"] is True
    done = core.run(f"auroractl update apply {folder('steady')}", check=False)
    assert done.returncode == 69
    assert "auroractl update unhold steady" in done.stderr
    core.run("auroractl update unhold steady")
    assert core.invocations("steady") == before


@pytest.mark.deadline(600)
@pytest.mark.parametrize("budget", ["", '[limits]\nstate_max = "8M"\n'])
def test_what_it_made_of_the_state_goes_with_it(core: Core, budget: str) -> None:
    before, spoiler = (dataclasses.replace(one, more=one.more + budget) for one in (KEEPER, SPOILER))
    core.install(before)
    status, one = attempt(core, spoiler)
    assert (status, one["end"]) == (70, "rolled back"), one
    core.wait_for("keeper", ActiveState="active")
    found = core.run("cd /var/lib/private/aurora/keeper; cat who; find . -printf '%P %m %s\\n' | sort").stdout
    assert found.split("\n")[:2] == ["1", "1"], "the version before has gone on from where it was"
    assert {line.split()[0] for line in found.splitlines() if "private" in line or "more" in line} == {"private"}
    assert "private 700 " in found
    assert core.run("ls -A /var/lib/aurora-core/snapshots").stdout == ""
    core.run("auroractl remove --purge keeper")


@pytest.mark.deadline(500)
def test_a_power_cut_while_it_is_tried_leaves_the_version_before(core: Core) -> None:
    core.put(CUT)
    core.run(
        f"systemd-run --quiet --collect --unit=update-cut auroractl update apply --window 10min {folder('steady')}"
    )
    running = 'grep -q "5\\.0" "$(systemctl show -P WorkingDirectory aurora@steady)/module.toml"'
    core.machine.wait_until(f"{running} && systemctl is-active --quiet aurora@steady", 120)
    said = json.loads(core.run("auroractl update status --json").stdout)
    assert said["open"]["state"] == "trying"
    core.machine.power_cut()

    assert core.run("systemctl is-system-running --wait || true").stdout == "running\n"
    core.wait_for("steady", ActiveState="active")
    assert active(core) == ("2.0", "2.0")
    assert "5.0" in [one["version"] for one in known(core, "steady")["refused"]]
    row = json.loads(core.run("auroractl update history --json").stdout)[-1]
    assert (row["end"], row["why"]) == ("rolled back", "it was interrupted while it was tried")
    second = core.run("auroractl apply")
    assert second.stderr == "", "nothing is left to do"


@pytest.mark.deadline(600)
def test_the_next_update_works_and_its_owner_goes_back(core: Core) -> None:
    status, said = attempt(core, dataclasses.replace(STEADY, version="6.0"))
    assert (status, said["end"]) == (0, "updated")
    done = core.run("auroractl update rollback steady --json", timeout_sec=UPDATE_SEC)
    assert json.loads(done.stdout)["kind"] == "rollback"
    assert active(core) == ("2.0", "2.0")


@pytest.mark.deadline(900)
@pytest.mark.many_cuts
def test_a_power_cut_amid_an_update_of_two_leaves_all_old_or_all_new(core: Core, cut: int) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    after_sec = random.Random(seed).uniform(0, 12)
    core.run(f"rm -f /run/churned; systemd-run --quiet --collect --unit=update-churn sh -c {shlex.quote(CHURN)}")
    core.machine.wait_until("test -e /run/churned", 240)
    core.run(f"sleep {after_sec}")
    core.machine.power_cut()

    about = f"cut {cut}, {after_sec:.3f} s after the first update"
    assert core.run("systemctl is-system-running --wait || true").stdout == "running\n", about
    for module in PAIR:
        core.wait_for(module.name, ActiveState="active")
    version = together(core, about)
    assert [known(core, module.name)["active"] for module in PAIR] == [version, version]
    assert core.run("auroractl apply").stderr == "", about
    other = "2.0" if version == "1.0" else "1.0"
    status, said = applied(core, f"--window 0s {PLACES}/{other}/left {PLACES}/{other}/right")
    assert (status, said["end"]) == (0, "updated"), f"the next update works, {about}: {said}"
    assert together(core, about) == other


def together(core: Core, about: str) -> str:
    """The version that both of the pair are installed in and run, each whole."""
    listed = core.listed()
    versions: set[str] = {listed[module.name]["version"] for module in PAIR}
    assert versions in ({"1.0"}, {"2.0"}), about
    (version,) = versions
    core.run(
        "\n".join(
            f"diff -r $(systemctl show -P WorkingDirectory aurora@{module.name}) {PLACES}/{version}/{module.name}"
            for module in PAIR
        )
    )
    return version


@pytest.mark.deadline(900)
def test_a_package_is_tried_before_it_stays(core: Core) -> None:
    core.run(f"rm -rf {DEBS}; mkdir -p {DEBS}")
    for version, program in (("1.0", PARCEL.program), ("2.0", PARCEL.program), ("3.0", "#!/bin/sh\nexit 7\n")):
        core.put(dataclasses.replace(PARCEL, version=version, program=program))
        core.run(f"auroractl pack {folder('parcel')} -o {DEBS}")
    core.run(f"export DEBIAN_FRONTEND=noninteractive; auroractl install {deb('1.0')}")
    core.wait_for("parcel", ActiveState="active")

    status, said = applied(core, deb("2.0"))
    assert (status, said["end"]) == (0, "updated"), said
    assert (core.listed()["parcel"]["version"], known(core, "parcel")["package"]) == ("2.0", None)
    status, said = applied(core, deb("3.0"))
    assert (status, said["end"]) == (70, "rolled back"), said
    assert (core.listed()["parcel"]["version"], known(core, "parcel")["package"]) == ("2.0", "3.0")
    core.wait_for("parcel", ActiveState="active")
    before = core.invocations("parcel")
    assert "parcel stays as it is" in core.run("auroractl apply").stderr, "what is refused is not taken in by itself"
    assert core.listed()["parcel"]["version"] == "2.0"
    assert core.invocations("parcel") == before


@pytest.mark.deadline(900)
def test_a_memory_stick_is_one_update_and_an_address_is_another(core: Core) -> None:
    stick = f"{DEBS}/stick"
    core.run(f"mkdir -p {stick}")
    for version in ("1.0", "2.0", "3.0"):
        core.put(*(dataclasses.replace(module, version=version) for module in MAIL))
        core.run(f"for name in post mail; do auroractl pack {folder('$name')} -o {DEBS}; done")
    core.run(
        f"""
        for name in post mail; do auroractl install {DEBS}/aurora-module-${{name}}_1.0_all.deb; done
        cp {DEBS}/aurora-module-post_[12].0_all.deb {DEBS}/aurora-module-mail_2.0_all.deb {stick}
        cp {deb("2.0")} /var/lib/aurora-test/deb/aurora-core_*.deb {stick}
        echo 'see you' >{stick}/letter.txt
        """
    )
    status, said = applied(core, f"--window 0s {stick}")
    assert (status, said["end"]) == (0, "updated"), said
    assert {one["module"]: one["to"] for one in said["modules"]} == {"post": "2.0", "mail": "2.0"}, "one transaction"
    for module in MAIL:
        core.wait_for(module.name, ActiveState="active")
        assert known(core, module.name)["package"] is None, "apt knows it"

    before = core.invocations("post", "mail")
    core.run(
        f"""
        head -c 700 {DEBS}/aurora-module-mail_3.0_all.deb >{DEBS}/half.deb
        systemd-run --quiet --unit=web python3 -m http.server --bind 127.0.0.1 --directory {DEBS} 8991
        """
    )
    core.machine.wait_until("python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 8991))'", 60)
    web = "http://127.0.0.1:8991"
    post = f"{web}/aurora-module-post_3.0_all.deb"
    for bad in (f"{web}/gone.deb", f"{web}/half.deb", "http://127.0.0.1:8992/x.deb"):
        done = core.run(f"auroractl update apply {post} {bad}", check=False, timeout_sec=UPDATE_SEC)
        assert done.returncode != 0
        assert bad in done.stderr
    assert core.invocations("post", "mail") == before, "all or none"
    status, said = applied(core, f"--window 0s {post} {DEBS}/aurora-module-mail_3.0_all.deb")
    assert (status, said["end"]) == (0, "updated"), said
    assert [core.listed()[module.name]["version"] for module in MAIL] == ["3.0", "3.0"]
    core.run("systemctl stop web; ! ls /var/cache/aurora-core/downloads/*.part")


def deb(version: str) -> str:
    return f"{DEBS}/aurora-module-parcel_{version}_all.deb"
