"""New versions of real modules: one that is better stays, one that is worse goes, and a power cut leaves one of two."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.vm.core import FILLER, Core, Module, fill_disk, folder, tidied
from tests.vm.machine import Machine

UPDATE_SEC = 240
"""A command with two windows, on a slow machine."""

DEBS = "/var/lib/aurora-test/update-debs"

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
RENEWED = dataclasses.replace(SPOILER, program=SPOILER.program.replace("sleep 1; exit 1", "exec sleep infinity"))

# Publishes the same numbers twice, steadily: where they are passed on and forgotten, and where they are kept on disk.
TICKER = Module(
    name="ticker",
    entry="run.py",
    program="""\
from aurora import sdk

number = 0
with sdk.link() as link:
    for _ in sdk.heartbeat(0.05):
        number += 1
        link.publish("tick/passing", number)
        link.publish("tick/kept", number)
""",
    more='[link]\npublish = ["tick/+"]\ndurable = ["tick/kept"]\n',
)
# Writes down each number that it gets.
READS = """\
from aurora import sdk

with (sdk.state_directory() / "seen").open("a") as seen, sdk.link() as link:
    link.subscribe("tick/passing")
    sdk.ready()
    for _ in sdk.heartbeat(0.1):
        for message in link.messages(within_sec=0.3):
            seen.write(f"{message['data']}\\n")
            seen.flush()
"""
_READS = '[start]\nreadiness = "notify"\ntimeout = "60s"\n[update]\nwindow = "8s"\n[directories]\nstate = true\n'
LIVE = Module(name="live", entry="run.py", program=READS, more=f'{_READS}[link]\nsubscribe = ["tick/passing"]\n')
FOLLOWS = Module(
    name="follows",
    entry="run.py",
    program=READS.replace('"tick/passing"', '"tick/kept", cursor="mine"').replace(
        "seen.flush()", "seen.flush()\n            link.acknowledge(message)"
    ),
    more=f'{_READS}[link]\nsubscribe = ["tick/kept"]\n',
)

PARCEL = Module(name="parcel", more='[update]\nwindow = "5s"\n')
MAIL = (Module(name="post"), Module(name="mail"))


@pytest.fixture(scope="module")
def core(vm: Machine) -> Iterator[Core]:
    """With a module to update."""
    with tidied(vm) as core:
        core.install(STEADY)
        yield core
        core.run(f"rm -rf {DEBS}")


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
@pytest.mark.parametrize("disk", ["with room", "full"])
def test_a_power_cut_while_it_is_tried_leaves_the_version_before(core: Core, disk: str) -> None:
    core.install(KEEPER)
    core.put(CUT, RENEWED)
    core.run(
        "systemd-run --quiet --collect --unit=update-cut"
        f" auroractl update apply --window 10min {folder('steady')} {folder('keeper')}"
    )
    running = 'grep -q "5\\.0" "$(systemctl show -P WorkingDirectory aurora@steady)/module.toml"'
    state = "/var/lib/private/aurora/keeper"
    core.machine.wait_until(f"{running} && systemctl is-active --quiet aurora@steady && test -e {state}/more", 120)
    said = json.loads(core.run("auroractl update status --json").stdout)
    assert said["open"]["state"] == "trying"
    if disk == "full":  # by others, to the last block that root gets
        core.run(f"{fill_disk(0)} ! echo more 2>/dev/null >/var/more || ! sync /var/more")
    core.machine.power_cut()

    assert core.run("systemctl is-system-running --wait || true").stdout == "running\n"
    core.wait_for("steady", ActiveState="active")
    assert active(core) == ("2.0", "2.0")
    assert "5.0" in [one["version"] for one in known(core, "steady")["refused"]]
    row = json.loads(core.run("auroractl update history --json").stdout)[-1]
    assert (row["end"], row["why"]) == ("rolled back", "it was interrupted while it was tried")
    core.run(f"rm -rf {FILLER} /var/more")
    second = core.run("auroractl apply")
    assert second.stderr == "", "nothing is left to do"
    core.machine.wait_until(f"test $(wc -l <{state}/who) = 2", 60)
    assert core.run(f"cat {state}/who; ls {state}").stdout.split() == ["1", "1", "private", "who"], "the boot did it"
    core.run("auroractl remove --purge keeper")


@pytest.mark.deadline(600)
def test_the_next_update_works_and_its_owner_goes_back(core: Core) -> None:
    status, said = attempt(core, dataclasses.replace(STEADY, version="6.0"))
    assert (status, said["end"]) == (0, "updated")
    done = core.run("auroractl update rollback steady --json", timeout_sec=UPDATE_SEC)
    assert json.loads(done.stdout)["kind"] == "rollback"
    assert active(core) == ("2.0", "2.0")


def seen(core: Core, name: str) -> list[int]:
    """The numbers that a module has written down."""
    return [int(line) for line in core.run(f"cat /var/lib/private/aurora/{name}/seen").stdout.split()]


def wait_for_more(core: Core, name: str) -> None:
    """Until a module has written down so many more that what waited for it is among them."""
    file = f"/var/lib/private/aurora/{name}/seen"
    most = int(core.run("auroractl link sub tick/passing --count 1").stdout.split()[-1])
    core.machine.wait_until(f'[ "$(tail -n 1 {file} 2>/dev/null || echo 0)" -gt {most} ]', 240)


@pytest.mark.deadline(900)
def test_what_a_module_missed_is_counted_and_what_was_kept_for_it_is_not_lost(core: Core) -> None:
    core.install(LIVE, FOLLOWS)
    core.install(TICKER)
    for module in (LIVE, FOLLOWS):
        wait_for_more(core, module.name)
    core.put(*(dataclasses.replace(module, version="2.0") for module in (LIVE, FOLLOWS)))
    before = int(core.run("auroractl link sub tick/passing --count 1").stdout.split()[-1])
    status, said = applied(core, f"{folder('live')} {folder('follows')}")
    assert (status, said["end"]) == (0, "updated"), said
    lost = {one["module"]: one["messages_lost"] for one in said["modules"]}
    for module in (LIVE, FOLLOWS):
        wait_for_more(core, module.name)

    got = seen(core, "live")
    missed = sorted(set(range(got[0], got[-1])) - set(got))
    assert 0 < len(missed) <= lost["live"] < got[-1] - before, (missed, lost)
    assert missed == list(range(missed[0], missed[-1] + 1)), "in one piece, while it was restarted"
    kept = seen(core, "follows")
    assert set(range(min(kept), max(kept))) <= set(kept), "each number came"
    assert lost["follows"] == 0
    row = json.loads(core.run("auroractl update history --json").stdout)[-1]
    assert {one["module"]: one["messages_lost"] for one in row["modules"]} == lost
    core.run("auroractl remove --purge ticker live follows")


@pytest.mark.deadline(900)
def test_a_package_is_tried_before_it_stays(core: Core) -> None:
    core.run(
        f"""
        rm -rf {DEBS}; mkdir -p {DEBS}
        auroractl key new maker --no-passphrase --in {DEBS}
        auroractl key trust {DEBS}/maker.toml
        """
    )
    for version, program in (("1.0", PARCEL.program), ("2.0", PARCEL.program), ("3.0", "#!/bin/sh\nexit 7\n")):
        core.put(dataclasses.replace(PARCEL, version=version, program=program))
        core.run(f"auroractl pack {folder('parcel')} -o {DEBS}")
    core.run(f"export DEBIAN_FRONTEND=noninteractive; auroractl install {deb('1.0')}")
    core.wait_for("parcel", ActiveState="active")

    core.run(f"auroractl sign {deb('2.0')} --key {DEBS}/maker.key")
    status, said = applied(core, deb("2.0"))
    assert (status, said["end"]) == (0, "updated"), said
    assert said["modules"][0]["signed_by"] == ["maker"]
    assert (core.listed()["parcel"]["version"], known(core, "parcel")["package"]) == ("2.0", None)
    status, said = applied(core, deb("3.0"))
    assert (status, said["end"]) == (70, "rolled back"), said
    assert said["modules"][0]["signed_by"] == []
    core.run("rm /etc/aurora/keyring/maker.toml")
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
