"""The smallest grants for what was seen."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.manifest import with_sandbox
from aurora.plan.evidence import Deed, Did, Evidence
from aurora.plan.patch import sandbox_table
from aurora.plan.proposal import Proposal, Reasoned, arguments_asked, propose
from aurora.policy import Grant
from tests.unit.examples import shipped


def seen(did: Did, what: str, access: str = "", count: int = 1) -> Evidence:
    return Evidence(deed=Deed(did, what), access=access, count=count, first_sec=1764037200, program="x")


TCP = seen(Did.NETWORK, "inet stream", count=12)
HOSTS_ALLOW = seen(Did.FILE, "/etc/hosts.allow", "r")
LOAD = seen(Did.FILE, "/proc/loadavg", "r")
SHELLS = seen(Did.FILE, "/etc/shells", "r")


def proposal(
    *evidence: Evidence,
    peers: Iterable[str] = (),
    declared: Iterable[str] = (),
    more: dict[str, Grant] | None = None,
    ports: Iterable[int] = (),
    networks: Iterable[str] = (),
) -> Proposal:
    catalogue = shipped()
    return propose(
        evidence,
        peers,
        policy=catalogue.policies["strict"],
        grants={**{name: one for name, one in catalogue.grants.items() if ":" not in name}, **(more or {})},
        declared=declared,
        ports=ports,
        networks=networks,
        syscall_groups={"@keyring": frozenset({"keyctl"})},
    )


def grant(name: str, **changes: object) -> Grant:
    empty: dict[str, object] = {"set": {}, "add": {}, "remove": {}, "apparmor": ()}
    return Grant(name=name, description="", **{**empty, **changes})


def test_who_did_nothing_needs_nothing() -> None:
    assert proposal().names == ()


def test_a_socket_needs_the_narrowest_grant_that_reaches_whom_it_talked_to() -> None:
    assert proposal(TCP).names == ("network.loopback",)
    assert proposal(TCP, peers=["127.0.0.1", "::1", "0.0.0.0", "::ffff:127.0.0.1"]).names == ("network.loopback",)
    assert proposal(TCP, peers=["127.0.0.1", "192.0.2.1"]).names == ("network.internet",)


INET = ("network inet stream,", "network inet6 stream,")
NEAR = ("127.0.0.0/8", "::1/128")


def listen(port: int) -> Grant:
    allowed = {"IPAddressAllow": NEAR, "SocketBindDeny": ("any",), "SocketBindAllow": (str(port),)}
    return grant(f"listen:{port}", apparmor=INET, add=allowed, set={"PrivateNetwork": False})


def test_a_server_needs_its_ports_and_no_more() -> None:
    grants = {f"listen:{port}": listen(port) for port in (80, 81)}
    assert proposal(TCP, ports=[80], more=grants).names == ("listen:80",)
    assert proposal(TCP, ports=[80, 81], more=grants).names == ("listen:80", "listen:81")
    assert proposal(TCP, ports=[80, 82], more=grants).names == ("network.loopback",)
    assert proposal(TCP, ports=[80], peers=["192.0.2.1"], more=grants).names == ("network.internet",)


def test_the_networks_that_the_machine_is_on_are_narrower_than_all() -> None:
    lan = {"lan": grant("lan", apparmor=INET, add={"IPAddressAllow": ("lan",)})}
    assert proposal(TCP, peers=["192.0.2.1"], networks=["192.0.2.0/24"], more=lan).names == ("lan",)
    assert proposal(TCP, peers=["198.51.100.1"], networks=["192.0.2.0/24"], more=lan).names == ("network.internet",)


def test_what_was_seen_asks_for_grants_by_its_own_names() -> None:
    evidence = [
        LOAD,
        seen(Did.FILE, "/srv/x/", "rw"),
        seen(Did.FILE, "/dev/ttyUSB0", "rw"),
        seen(Did.CAPABILITY, "net_raw"),
        seen(Did.SYSCALL, "keyctl"),
    ]
    asked = ("read:/proc/loadavg", "write:/srv/x", "device:/dev/ttyUSB0", "cap:NET_RAW")
    assert arguments_asked(evidence, [80], binds=False) == (*asked, "listen:80")
    assert arguments_asked(evidence, [80], binds=True) == asked


def test_a_file_that_comes_with_a_network_grant_does_not_ask_for_the_network() -> None:
    assert proposal(HOSTS_ALLOW).names == ()
    assert proposal(HOSTS_ALLOW).ungranted == (HOSTS_ALLOW,)
    found = proposal(HOSTS_ALLOW, TCP)
    assert found.names == ("network.loopback",)
    assert found.grants[0].evidence == (HOSTS_ALLOW, TCP)
    assert found.ungranted == ()


def test_looking_at_the_machines_addresses_alone_asks_for_no_network() -> None:
    netlink = seen(Did.NETWORK, "netlink raw")
    assert proposal(netlink).names == ()
    assert proposal(netlink, TCP).names == ("network.loopback",)


def test_a_grant_is_proposed_for_a_file_that_only_it_lets_through() -> None:
    assert proposal(seen(Did.FILE, "/sys/class/thermal/thermal_zone0/temp", "r")).names == ("host.figures",)


def test_what_no_grant_lets_through_is_said_and_not_dropped() -> None:
    call = seen(Did.SYSCALL, "keyctl")
    found = proposal(SHELLS, call)
    assert (found.names, found.ungranted) == ((), (SHELLS, call))


def test_a_grant_for_a_system_call_is_found_by_name_by_group_and_by_what_it_takes_back() -> None:
    call = seen(Did.SYSCALL, "keyctl")
    for changes in (
        {"add": {"SystemCallFilter": ("keyctl",)}},
        {"add": {"SystemCallFilter": ("@keyring",)}},
        {"remove": {"SystemCallFilter": ("~@keyring",)}},
    ):
        assert proposal(call, more={"keys": grant("keys", **changes)}).names == ("keys",)


def test_a_capability_needs_the_grant_with_its_rule() -> None:
    raw = grant("cap.raw", apparmor=("capability net_raw,",))
    assert proposal(seen(Did.CAPABILITY, "net_raw"), more={"cap.raw": raw}).names == ("cap.raw",)


def test_a_grant_that_nothing_needed_is_told() -> None:
    assert proposal(TCP, declared=["host.figures", "network.loopback"]).unused == ("host.figures",)


def test_addresses_that_no_grant_reaches_are_told() -> None:
    assert proposal(peers=["192.0.2.1"]).unreached == ("192.0.2.1",)
    assert proposal(TCP, peers=["192.0.2.1"]).unreached == ()


@given(st.sets(st.sampled_from("abcdef"), min_size=1), st.lists(st.sets(st.sampled_from("abcdef")), max_size=6))
def test_all_is_let_through_that_can_be_and_no_grant_could_be_left_out(files: set[str], reach: list[set[str]]) -> None:
    grants = {
        f"g{n}": grant(f"g{n}", apparmor=tuple(f"/srv/{one} r," for one in sorted(reached)))
        for n, reached in enumerate(reach)
    }
    evidence = [seen(Did.FILE, f"/srv/{one}", "r") for one in sorted(files)]
    found = proposal(*evidence, more=grants)
    possible = files & set().union(*reach)
    by = {name: reach[int(name[1:])] & files for name in found.names}
    assert set().union(*by.values()) == possible
    assert {one.deed.what[-1] for one in found.ungranted} == files - possible
    for name in by:
        assert set().union(*(one for other, one in by.items() if other != name)) != possible


def test_the_table_is_toml_with_the_evidence_beside_each_grant() -> None:
    table = sandbox_table(proposal(HOSTS_ALLOW, TCP, peers=["127.0.0.1"]))
    assert tomllib.loads(table) == {"policy": "strict", "grants": ["network.loopback"]}
    assert "  # file /etc/hosts.allow read once, first at 02:20:00 UTC by x\n" in table
    assert "  # socket inet stream used 12 times," in table
    assert "  # talked to 127.0.0.1\n" in table


@given(st.text(max_size=300), st.text(max_size=30))
def test_no_name_that_a_module_chose_adds_to_the_table(name: str, program: str) -> None:
    one = Evidence(deed=Deed(Did.FILE, f"/{name}"), access="r", count=1, first_sec=0, program=program)
    made = Proposal(
        policy="strict",
        grants=(Reasoned(grant="g", evidence=(one,) * 20, peers=()),),
        unused=(),
        ungranted=(),
        unreached=(),
    )
    table = sandbox_table(made)
    assert tomllib.loads(table) == {"policy": "strict", "grants": ["g"]}
    assert table.isascii()
    assert len(table.splitlines()) == 13


MANIFEST = '# top\n[module]\nname = "hello" # mine\n'
TABLE = 'policy = "strict"\ngrants = [\n  # why\n  "a",\n]\n'


@pytest.mark.parametrize(
    "sandbox",
    [
        "",
        "[sandbox]\n",
        '[sandbox] # note\npolicy = "network"\n',
        '[sandbox]\n# before\ngrants = [\n  "x", # ] no end\n\n  "y",\n]\npolicy = "network"\n[limits]\ntasks = 3\n',
        "[limits]\ntasks = 3\n\n[ sandbox ]\ngrants = []",
    ],
)
def test_a_manifest_is_changed_in_its_sandbox_only(sandbox: str) -> None:
    text = MANIFEST + sandbox
    made = with_sandbox(text, TABLE, file="module.toml")
    wanted = {**tomllib.loads(text), "sandbox": {"policy": "strict", "grants": ["a"]}}
    assert tomllib.loads(made) == wanted
    assert made.startswith(MANIFEST)
    for line in ("# before", "[sandbox] # note", "tasks = 3"):
        assert (line in made) == (line in text)


@pytest.mark.parametrize("sandbox", ['sandbox.policy = "x"\n', 'sandbox = { policy = "x" }\n'])
def test_a_sandbox_that_cannot_be_replaced_in_lines_is_refused(sandbox: str) -> None:
    with pytest.raises(Exception, match="cannot change the manifest"):
        with_sandbox(sandbox + MANIFEST, TABLE, file="module.toml")
