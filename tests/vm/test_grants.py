"""Each grant opens its one thing and nothing else; policies are steps; what the owner forbids is not given."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.vm.core import START_SEC, Core, Module, folder, tidied
from tests.vm.machine import Machine

PROGRAM = Path(__file__).with_name("grant_probe.py").read_text()

MORE = '[start]\nreadiness = "notify"\ntimeout = "5min"\n[sandbox]\n'

NETWORK = {"loopback", "lan", "internet", "port 8080", "port 8081"}

# What each module has in [sandbox], and what of all that the probe tries works then.
MODULES: Mapping[str, tuple[str, set[str]]] = {
    "nothing": ("", set()),
    "loopback": ('grants = ["network.loopback"]', {"loopback", "port 8080", "port 8081"}),
    "lan": ('grants = ["network.lan"]', {"lan", "port 8080", "port 8081"}),
    "internet": ('grants = ["network.internet"]', NETWORK),
    "listen": ('grants = ["listen:8080"]', {"loopback", "port 8080"}),
    "lowport": ('grants = ["listen:80", "cap:NET_BIND_SERVICE"]', {"loopback", "port 80"}),
    "device": ('grants = ["device:/dev/ttyS1"]', {"serial"}),
    "serial": ('grants = ["device:serial"]', {"serial"}),
    "read": ('grants = ["read:/srv/aurora-grants/read"]', {"read"}),
    "write": ('grants = ["write:/srv/aurora-grants/write"]', {"write"}),
    "proc": ('grants = ["proc"]', {"proc"}),
    "clock": ('grants = ["cap:SYS_TIME"]', {"clock"}),
    "bus": ('grants = ["dbus:org.freedesktop.hostname1"]', {"bus"}),
    "standard": ('policy = "standard"', set()),
    "network": ('policy = "network"', NETWORK),
    "trusted": ('policy = "trusted"', NETWORK | {"read", "proc", "bus"}),
}


def module(name: str, sandbox: str) -> Module:
    return Module(name=name, entry="run.py", program=PROGRAM, more=MORE + sandbox + "\n")


@pytest.fixture(scope="module")
def core(vm: Machine) -> Iterator[Core]:
    """With all modules up. 203.0.113.5 stands for the internet: an address that is in no network of the machine."""
    with tidied(vm) as core:
        core.run(
            "mkdir -p /srv/aurora-grants/read /srv/aurora-grants/write && echo open >/srv/aurora-grants/read/file"
            " && chmod 777 /srv/aurora-grants/write && ip address add 203.0.113.5/32 dev lo"
        )
        try:
            core.put(*(module(name, sandbox) for name, (sandbox, _) in MODULES.items()))
            core.run(
                "\n".join(f"auroractl install --no-start {folder(name)}" for name in MODULES)
                + f"\nauroractl enable --now {' '.join(MODULES)}",
                timeout_sec=3 * START_SEC,
            )
            yield core
        finally:
            core.run(
                "rm -rf /srv/aurora-grants; ip address delete 203.0.113.5/32 dev lo; ip link delete aurora0",
                check=False,
            )


@pytest.fixture(scope="module")
def results(core: Core) -> dict[str, dict[str, Any]]:
    found = {}
    for name in MODULES:
        lines = [line for line in core.said(name) if line.startswith("{")]
        assert lines, f"{name} said nothing: {core.said(name)}"
        found[name] = json.loads(lines[-1])
    return found


@pytest.mark.parametrize("name", MODULES)
def test_a_module_can_do_what_its_grant_opens_and_nothing_else(results: dict[str, dict[str, Any]], name: str) -> None:
    assert set(results[name]["worked"]) == MODULES[name][1], results[name]["why"]


def test_a_score_counted_before_the_start_is_that_of_the_running_unit(core: Core) -> None:
    names = " ".join(MODULES)
    said = core.run(
        f"mkdir /tmp/scores; for name in {names}; do\n"
        "auroractl plan $name --unit >/tmp/scores/aurora@$name.service; done\n"
        "systemd-analyze security --offline=yes --no-pager /tmp/scores/*; echo ///; rm -r /tmp/scores\n"
        f"systemd-analyze security --no-pager $(for name in {names}; do echo aurora@$name.service; done)"
    ).stdout
    before, _, running = said.partition("///")
    pattern = re.compile(r"Overall exposure level for aurora@(\S+)\.service: ([0-9.]+)")
    offline = dict(pattern.findall(before))
    assert offline.keys() == MODULES.keys()
    assert offline == dict(pattern.findall(running))


def test_a_module_on_the_lan_follows_when_the_machine_joins_another_network(core: Core) -> None:
    others = [name for name in MODULES if name != "lan"]
    before = core.invocations(*others)
    assert "10.0.2.0/24" in core.show("lan", "IPAddressAllow")["IPAddressAllow"]
    core.run("ip link add aurora0 type dummy && ip address add 10.77.0.1/24 dev aurora0 && ip link set aurora0 up")
    core.machine.wait_until(
        "systemctl show -P IPAddressAllow aurora@lan | grep -qw 10.77.0.0/24"
        " && [ $(systemctl show -P ActiveState aurora@lan) = active ]",
        180,
    )
    assert core.invocations(*others) == before


def test_a_check_says_what_a_module_will_be_able_to_do_and_what_it_costs(core: Core) -> None:
    said = core.run(f"auroractl check {folder('lowport')}").stdout
    assert "listen:80: Listen on port 80 and on no other" in said
    assert "cap:NET_BIND_SERVICE: Listen on ports below 1024" in said
    found = json.loads(core.run(f"auroractl check --json {folder('write')}").stdout)
    assert found["beyond_default"]["writes"] == ["/srv/aurora-grants/write"]
    assert found["exposure"]["grants"] == {"write:/srv/aurora-grants/write": "+0.0"}
    assert found["exposure"]["score"] == found["exposure"]["policy"]


def test_what_the_owner_forbids_is_refused_at_check_install_start_and_boot(core: Core) -> None:
    core.put(module("greedy", 'policy = "trusted"\ngrants = ["cap:SYS_TIME"]'), module("wide", MODULES["internet"][0]))
    core.run(
        'mkdir -p /etc/aurora && echo \'exposure_max = "0.5"\ngrants_never = ["cap:*"]\npolicies_never = ["trusted"]\''
        " >/etc/aurora/core.toml"
    )
    for verb in ("check", "install"):
        done = core.run(f"auroractl {verb} {folder('greedy')}", check=False)
        assert done.returncode == 69
        assert "never gives the policy trusted" in done.stderr
        assert "never gives the grant cap:SYS_TIME" in done.stderr
        done = core.run(f"auroractl {verb} {folder('wide')}", check=False)
        assert done.returncode == 69
        assert "is above 0.5: the policy strict costs 0.2; the grant network.internet costs 0.8" in done.stderr
    assert not {"greedy", "wide"} & core.listed().keys()

    done = core.run("auroractl stop clock internet; auroractl start clock internet", check=False)
    assert done.returncode == 69
    assert "never gives the grant cap:SYS_TIME" in done.stderr
    assert "the grant network.internet costs 0.8" in done.stderr
    # What aurora-core.service does at boot, in its own sandbox.
    core.run("systemctl stop aurora.slice && systemctl restart aurora-core", check=False, timeout_sec=2 * START_SEC)
    states = {name: found["ActiveState"] for name, found in core.show_all(list(MODULES), "ActiveState").items()}
    assert {name for name, state in states.items() if state == "active"} >= {"nothing", "read", "bus", "device"}
    assert not {name for name in ("clock", "lowport", "trusted", "internet") if states[name] == "active"}
    said = core.run("journalctl -q -o cat -u aurora-core --since=-5min").stdout
    assert "never gives the grant cap:SYS_TIME" in said
    assert "is above 0.5" in said


def test_a_module_can_bound_its_own_score(core: Core) -> None:
    core.run("rm -f /etc/aurora/core.toml")
    bounded = module("wide", MODULES["internet"][0] + '\nexposure_max = "0.9"')
    core.put(bounded)
    done = core.run(f"auroractl check {folder('wide')}", check=False)
    assert done.returncode == 69
    assert "key sandbox.exposure_max" in done.stderr
