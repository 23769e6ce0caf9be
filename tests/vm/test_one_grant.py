"""All that strict refuses, tried by modules with one grant each: what the grant opens is named here, and is all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from tests.vm.core import START_SEC, Core, tidied
from tests.vm.machine import Machine
from tests.vm.probe import run as probe
from tests.vm.test_sandbox import Results, probe_module, read_results, victim_pid

SOCKETS = {"use IPv4", "use IPv4 datagrams", "use IPv6"}
# How the C library finds out by which addresses it may go; netlink that reads has no family of its own.
ADDRESSES = {"use netlink", "listen to kernel events"}

# What each module is granted, and which of the attempts that strict refuses come through then.
GRANTS: Mapping[str, tuple[str, set[str]]] = {
    "loopback": ("network.loopback", SOCKETS | {"reach the host's ssh by loopback"}),
    "lan": (
        "network.lan",
        SOCKETS | ADDRESSES | {"reach the host's ssh by its address", "send a packet to another machine"},
    ),
    "internet": (
        "network.internet",
        SOCKETS
        | ADDRESSES
        | {
            "reach the host's ssh by loopback",
            "reach the host's ssh by its address",
            "send a packet to another machine",
        },
    ),
    "listen": ("listen:8080", SOCKETS | {"reach the host's ssh by loopback"}),
    "device": ("device:/dev/ttyS1", set()),
    "read": ("read:/boot", {"look into /boot"}),
    "write": ("write:/mnt", {"look into /mnt"}),
    "proc": (
        "proc",
        {
            "see other processes",
            "see what the machine runs on",
            "read the command line of init",
            "read another module's command line",
        },
    ),
    "clock": ("cap:SYS_TIME", {"set the clock"}),
    "bus": ("dbus:org.freedesktop.hostname1", {"connect to the system bus"}),
}
# What holds these is told the kernel when the unit starts, not set up in the program's own process: what a
# daemon-reload could lose.
TOLD_THE_KERNEL = ("lan", "listen", "device")
EVERYTHING = {attempt.name for attempt in probe.TABLES["confined"]}


def came_through(results: Results) -> dict[str, str]:
    assert {attempt for _, attempt in results} == EVERYTHING
    return {attempt: detail for (_, attempt), (outcome, detail) in results.items() if outcome != "refused"}


@pytest.fixture(scope="module")
def core(vm: Machine) -> Iterator[Core]:
    with tidied(vm) as core:
        pid = victim_pid(core)
        core.install_only(*(probe_module(name, pid, f'"{grant}"', "confined") for name, (grant, _) in GRANTS.items()))
        core.run(f"auroractl enable --now {' '.join(GRANTS)}", timeout_sec=3 * START_SEC)
        yield core


@pytest.fixture(scope="module")
def first(core: Core) -> dict[str, Results]:
    return {name: read_results(core.said(name)) for name in GRANTS}


@pytest.fixture(scope="module")
def after_reload(core: Core, first: dict[str, Results]) -> dict[str, Results]:
    assert first, "the first results are read before there are others"
    units = " ".join(f"aurora@{name}" for name in TOLD_THE_KERNEL)
    core.run(f"systemctl daemon-reload && systemctl restart {units}", timeout_sec=3 * START_SEC)
    runs = core.invocations(*TOLD_THE_KERNEL)
    return {name: read_results(core.said(name, runs[name])) for name in TOLD_THE_KERNEL}


@pytest.mark.parametrize("name", GRANTS)
def test_a_grant_opens_its_one_thing_and_nothing_else(first: dict[str, Results], name: str) -> None:
    found = came_through(first[name])
    assert found.keys() == GRANTS[name][1], found


@pytest.mark.parametrize("name", TOLD_THE_KERNEL)
def test_after_a_daemon_reload_and_a_restart_too(after_reload: dict[str, Results], name: str) -> None:
    found = came_through(after_reload[name])
    assert found.keys() == GRANTS[name][1], found
