"""What a learning run sees of real programs, what it proposes, and that nothing of it stays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.vm.core import FOLDERS, SLEEPER, Core, Module, tidied
from tests.vm.machine import Machine

EXAMPLES = "/usr/share/aurora/examples"
PORT = 18830

WISHER = Module(
    name="wisher",
    entry="run.py",
    program="""\
import ctypes, pathlib, socket, time
pathlib.Path("/etc/shells").read_text()
pathlib.Path('/srv/open/a" profile="x\\nb').write_text("x")
socket.socket().connect_ex(("127.0.0.1", 22))
ctypes.CDLL(None).syscall(250, 0, 0, 0, 0, 0)
print("wished", flush=True)
time.sleep(3600)
""",
)
"""Asks for a file, makes one of an ill name, opens a socket, and makes a call (keyctl) that is refused."""

STEADY = Module(name="steady", program=SLEEPER)

TALK = f"""
for i in $(seq 200); do mosquitto_pub -h 127.0.0.1 -p {PORT} -t house/lamp -m on -r && break; done
mosquitto_sub -h 127.0.0.1 -p {PORT} -t house/lamp -C 1 -W 60
"""


@pytest.fixture(scope="module")
def core(vm: Machine) -> Iterator[Core]:
    """With Debian's own mosquitto, and the module that wraps it, robbed of its grants, in a folder."""
    packages = "mosquitto mosquitto-clients"
    with tidied(vm) as core:
        core.run(
            f"DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes {packages} && systemctl stop mosquitto.service"
        )
        core.put(WISHER, STEADY)
        core.run(
            f"""
            rm -rf {FOLDERS}/broker
            mkdir -m 777 -p /srv/open
            cp -r {EXAMPLES}/broker {FOLDERS}/broker
            sed -i '/^grants = /d' {FOLDERS}/broker/module.toml
            for name in broker wisher; do auroractl install --no-start {FOLDERS}/$name; done
            auroractl install {FOLDERS}/steady
            """
        )
        yield core
        core.run(f"DEBIAN_FRONTEND=noninteractive apt-get -qq purge --yes --autoremove {packages}; rm -rf /srv/open")


@pytest.fixture(scope="module")
def learned(core: Core) -> dict[str, Any]:
    """The server looked at while clients talk to it, its proposal written and proven, and another module beside."""
    core.run(
        f"""
        auroractl learn broker --yes --for 40s --apply --watch 15s --json >/run/broker.json 2>/run/broker.said &
        auroractl learn {FOLDERS}/wisher --yes --for 25s --json >/run/wisher.json 2>/run/wisher.said &
        for i in $(seq 600); do systemctl is-active -q aurora-learn-broker && break; done
        {TALK}
        systemctl is-active aurora-learn-broker
        wait
        """,
        timeout_sec=280,
    )
    found = core.run("cat /run/broker.json; echo ,; cat /run/wisher.json").stdout
    broker, wisher = json.loads(f"[{found}]")
    return {"broker": broker, "wisher": wisher}


def test_a_server_that_may_do_nothing_is_proposed_the_one_grant_it_needs(learned: dict[str, Any]) -> None:
    found = learned["broker"]
    assert (found["lost"], found["not_judged"], found["ended_early"], found["problem"]) == (0, 0, False, None)
    assert [one["grant"] for one in found["grants"]] in (["network.loopback"], [f"listen:{PORT}"])
    assert found["grants"][0]["peers"] == ["127.0.0.1"]
    assert "inet stream" in [one["what"] for one in found["grants"][0]["evidence"]]
    assert found["listened_on"] == [PORT]
    assert found["complete"]


def test_the_proposal_is_written_and_proven_enforced(core: Core, learned: dict[str, Any]) -> None:
    assert learned["broker"]["proof"]["holds"], learned["broker"]["proof"]
    text = core.run("cat /var/lib/aurora-core/modules/broker/*/module.toml").stdout
    assert f'  "{learned["broker"]["grants"][0]["grant"]}",\n' in text
    assert "  # socket inet stream used" in text
    assert core.listed()["broker"]["enabled"] is False, "as it was before"


def test_under_it_the_server_answers_and_its_score_is_two_or_better(core: Core, learned: dict[str, Any]) -> None:
    assert learned
    assert core.run(f"auroractl start broker\n{TALK}").stdout == "on\n"
    pid = core.show("broker", "MainPID")["MainPID"]
    assert core.run(f"cat /proc/{pid}/attr/apparmor/current").stdout.strip() == "aurora.broker (enforce)"
    done = core.run("systemd-analyze security --no-pager --threshold=20 aurora@broker", check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def test_what_a_module_asked_for_is_told_however_it_is_named(learned: dict[str, Any]) -> None:
    found = learned["wisher"]
    assert "network.loopback" in [one["grant"] for one in found["grants"]]
    rows = found["ungranted"] + [one for grant in found["grants"] for one in grant["evidence"]]
    seen = {(one["did"], one["what"], one["access"]) for one in rows}
    assert ("file", "/etc/shells", "r") in seen
    assert ("syscall", "keyctl", "") in seen
    assert [what for _, what, _ in seen if "/srv/open" in what] == ['/srv/open/a" profile="x\\nb']


def test_a_folder_leaves_nothing_behind(core: Core, learned: dict[str, Any]) -> None:
    assert learned
    left = core.run(
        """
        systemctl list-units --all --plain --no-legend 'aurora-learn-*'
        grep aurora-learn /sys/kernel/security/apparmor/profiles || true
        find /var/lib/aurora-core/learning /var/lib/aurora-run /var/lib/private/aurora-run 2>/dev/null || true
        """
    ).stdout.split()
    assert [path for path in left if path != "/var/lib/aurora-core/learning"] == []


@pytest.fixture(scope="module")
def killed(core: Core) -> dict[str, str]:
    """What was seen of a module that ran, when the command that learned from it was killed outright."""
    said = core.run(
        """
        before=$(systemctl show -P InvocationID aurora@steady)
        auroractl learn steady --yes --for 12s >/run/steady.out 2>&1 &
        for i in $(seq 200); do systemctl is-active -q aurora-learn-steady && break; done
        kill -9 $!
        echo meanwhile=$(systemctl is-active aurora@steady)
        echo learning=$(systemctl is-active aurora-learn-steady)
        echo user=$(ps -o user= -p $(systemctl show -P MainPID aurora-learn-steady))
        for i in $(seq 600); do systemctl is-active -q aurora@steady && break; done
        echo again=$(systemctl is-active aurora@steady)
        [ "$(systemctl show -P InvocationID aurora@steady)" = "$before" ] || echo run=another
        echo over=$(systemctl is-active aurora-learn-steady)
        echo result=$(systemctl show -P Result aurora-learn-steady)
        auroractl apply
        grep -q aurora-learn /sys/kernel/security/apparmor/profiles || echo profile=gone
        [ -n "$(systemctl list-units --all --no-legend 'aurora-learn-*')" ] || echo unit=gone
        pid=$(systemctl show -P MainPID aurora@steady)
        echo label=$(cat /proc/$pid/attr/apparmor/current)
        """,
        timeout_sec=200,
    ).stdout
    return dict(line.split("=", 1) for line in said.splitlines())


def test_while_it_is_looked_at_its_own_unit_is_down_and_its_user_the_same(killed: dict[str, str]) -> None:
    assert (killed["meanwhile"], killed["learning"], killed["user"]) == ("inactive", "active", "au-steady")


def test_without_the_command_it_ends_at_its_time_and_the_module_runs_again(killed: dict[str, str]) -> None:
    assert (killed["over"], killed["result"]) == ("failed", "timeout")
    assert (killed["again"], killed["run"], killed["label"]) == ("active", "another", "aurora.steady (enforce)")


def test_the_next_apply_takes_the_profile_and_the_failed_unit_away(killed: dict[str, str]) -> None:
    assert (killed["profile"], killed["unit"]) == ("gone", "gone")


def test_what_a_new_version_may_newly_do_is_told_with_the_status(core: Core) -> None:
    core.run(f"printf '[sandbox]\\ngrants = [\"network.internet\"]\\n' >>{FOLDERS}/steady/module.toml")
    done = core.run(f"auroractl diff {FOLDERS}/steady", check=False)
    assert done.returncode == 1
    assert "  Talk over IP with any address, and be talked to by any (network.internet)\n" in done.stdout
    back = core.run(f"auroractl diff steady {FOLDERS}/steady", check=False)
    assert back.returncode == 0
    assert core.run("auroractl diff steady").stdout.startswith("steady 1.0 may do what steady 1.0 may do")


def test_nobody_is_less_confined_by_mistake(core: Core) -> None:
    done = core.run("auroractl learn steady </dev/null", check=False)
    assert done.returncode == 64
    assert "LESS CONFINED" in done.stderr
    assert "try --yes" in done.stderr
