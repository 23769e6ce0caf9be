from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aurora.link.identity import Identified
from aurora.link.loopback import GROUPS_MAX, KNOWN_MAX, Groups, Kernel, goes_on, identify_loopback
from aurora.link.peer import Role
from aurora.link.refusal import LinkError
from aurora.link.sockdiag import ESTABLISHED, Endpoint, Seen, answer, question
from aurora.paths import Paths

from .served import DEADLINE_SEC
from .talking import ROOT, module

NETLINK_SOCK_DIAG = 4
HELLO = "/aurora.slice/aurora-hello.slice/aurora@hello.service"
RUN = "0123456789abcdef0123456789abcdef"

# Recorded from Linux 6.18 on x86-64: 127.0.0.1:60218 -> 127.0.0.1:50935, and what came for others.
LOCAL, REMOTE = Endpoint(bytes((127, 0, 0, 1)), 60218), Endpoint(bytes((127, 0, 0, 1)), 50935)
RECORDED = {
    "open": (
        "7c0000001400000007000000a630000002010000eb3ac6f77f0000010000000000000000000000007f0000010000000000000000"
        "00000000000000000100000000000000000000000000000000000000000000003af90900050008000000000008000f0000000000"
        "0c00150001000000000000000600160052000000"
    ),
    # A socket of IPv6 that talks with 127.0.0.1.
    "mapped": (
        "7c0000001400000007000000a63000000a010000eb3cc6f700000000000000000000ffff7f00000100000000000000000000ffff"
        "7f000001000000000200000000000000000000000000000000000000000000003df90900050008000000000008000f0000000000"
        "0c00150001000000000000000600160012000000"
    ),
    # The same, closed: no process has it.
    "closed": (
        "7c0000001400000007000000a63000000a040100eb3cc6f700000000000000000000ffff7f00000100000000000000000000ffff"
        "7f000001000000000200000000000000c800000000000000010000000000000000000000050008000300000008000f0000000000"
        "0c00150001000000000000000600160012000000"
    ),
    "none": (
        "5c0000000200000007000000a6300000feffffff4800000014000100070000000000000002060000ffffffff0001c6f77f000001"
        "0000000000000000000000007f00000100000000000000000000000000000000ffffffffffffffff"
    ),
}


def recorded(name: str) -> bytes:
    return bytes.fromhex(RECORDED[name])


def test_the_kernels_answer_names_state_user_inode_and_control_group() -> None:
    seen = answer(recorded("open"), LOCAL, REMOTE, 7)
    assert seen == Seen(state=ESTABLISHED, uid=0, inode=0x09F93A, cookie=1, group=1)


def test_a_socket_of_ipv6_that_talks_ipv4_is_found_by_the_ipv4_addresses() -> None:
    local = LOCAL._replace(port=60220)
    seen = answer(recorded("mapped"), local, REMOTE, 7)
    assert seen is not None
    assert (seen.state, seen.cookie, seen.group) == (ESTABLISHED, 2, 1)
    closed = answer(recorded("closed"), local, REMOTE, 7)
    assert closed is not None
    assert (closed.state, closed.inode) == (4, 0)


def test_no_socket_is_none() -> None:
    assert answer(recorded("none"), LOCAL, REMOTE, 7) is None


@pytest.mark.parametrize(
    ("local", "remote"),
    [
        (LOCAL._replace(port=1), REMOTE),
        (LOCAL, REMOTE._replace(port=9801)),
        (LOCAL._replace(address=bytes((127, 0, 0, 2))), REMOTE),
        (LOCAL, Endpoint(bytes(15) + b"\1", REMOTE.port)),
        (REMOTE, LOCAL),
    ],
)
def test_a_socket_of_others_such_as_who_listens_at_that_port_is_none(local: Endpoint, remote: Endpoint) -> None:
    assert answer(recorded("open"), local, remote, 7) is None


def test_what_is_no_answer_to_the_question_is_none_of_it() -> None:
    whole = recorded("open")
    with pytest.raises(ValueError, match="another question"):
        answer(whole, LOCAL, REMOTE, 8)
    for length in range(len(whole)):
        with pytest.raises(ValueError, match=r"cut|no answer"):
            answer(whole[:length], LOCAL, REMOTE, 7)
    for at in (0, 4):  # its length, its type
        with pytest.raises(ValueError, match="no answer"):
            answer(whole[:at] + b"\xff\xff" + whole[at + 2 :], LOCAL, REMOTE, 7)


def test_attributes_that_are_broken_say_nothing() -> None:
    whole = recorded("open")
    for damage in (b"\0\0", b"\xff\xff", b"\3\0"):
        seen = answer(whole[:88] + damage + whole[90:], LOCAL, REMOTE, 7)
        assert seen is not None
        assert seen.group == 0


def test_a_question_is_as_the_kernel_wants_it() -> None:
    asked = question(LOCAL, REMOTE, 7)
    assert len(asked) == 72
    # The kernel sends a question back that it has no answer to; its own header is before, and the ports differ there.
    echoed = recorded("none")[20:]
    assert asked[8:12] == echoed[8:12]
    assert asked[16:24] == echoed[16:24]
    assert asked[24:28] == bytes.fromhex("eb3ac6f7")
    assert asked[28:] == echoed[28:]


# The kernel


@contextmanager
def connected(family: int = socket.AF_INET, connect_to: str = "") -> Iterator[tuple[socket.socket, socket.socket]]:
    """A client's socket and the hub's, over loopback."""
    own = "127.0.0.1" if family == socket.AF_INET else "::1"
    with socket.create_server((own, 0), family=socket.AddressFamily(family)) as listener:
        client = socket.socket(socket.AF_INET6 if ":" in (connect_to or own) else socket.AF_INET)
        with client:
            client.connect((connect_to or own, listener.getsockname()[1]))
            handle, _ = listener.accept()
            with handle:
                yield client, handle


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as handle:
        yield Kernel(handle)


class OneGroup:
    """The control group that all are in."""

    def __init__(self, group: str) -> None:
        self.group = group

    def path(self, _number: int) -> str:
        return self.group


class Changing:
    """Sockets that are each time what the next of `seen` is."""

    def __init__(self, *seen: Seen | None) -> None:
        self.seen = list(seen)
        self.asked: list[tuple[Endpoint, Endpoint]] = []

    def look_up(self, local: Endpoint, remote: Endpoint) -> Seen | None:
        self.asked.append((local, remote))
        return self.seen.pop(0)


OPEN = Seen(state=ESTABLISHED, uid=65_209, inode=7, cookie=1, group=42)


def running(tmp_path: Path, run: str = RUN) -> Paths:
    """A machine on which the module hello runs."""
    links = tmp_path / "run/systemd/units"
    links.mkdir(parents=True, exist_ok=True)
    (links / "invocation:aurora@hello.service").unlink(missing_ok=True)
    (links / "invocation:aurora@hello.service").symlink_to(run)
    return Paths(tmp_path)


def identified(handle: socket.socket, sockets: object, group: str, paths: Paths) -> Identified:
    return identify_loopback(handle, sockets=sockets, groups=OneGroup(group), paths=paths)  # type: ignore[arg-type]  # fakes


@pytest.mark.parametrize(
    ("family", "connect_to"),
    [(socket.AF_INET, ""), (socket.AF_INET6, ""), (socket.AF_INET, "::ffff:127.0.0.1")],
    ids=["IPv4", "IPv6", "IPv4 by a socket of IPv6"],
)
def test_the_kernel_says_who_is_at_the_other_end(family: int, connect_to: str, kernel: Kernel, tmp_path: Path) -> None:
    with connected(family, connect_to) as (client, handle):
        found = identified(handle, kernel, HELLO, running(tmp_path))
        assert (found.peer.module, found.peer.invocation, found.pidfd) == ("hello", RUN, -1)
        user = identified(handle, kernel, "/system.slice/x.service", Paths(tmp_path)).peer
        assert user.name.startswith("user:")
        assert (user.role is Role.ADMIN) == (os.getuid() == 0)
        client.close()
        with pytest.raises(LinkError, match="closed"):
            identified(handle, kernel, HELLO, Paths(tmp_path))


def test_answers_to_an_earlier_hub_are_dropped(tmp_path: Path) -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as handle, connected() as (_, ours):
        handle.sendto(question(LOCAL, REMOTE, 1), (0, 0))
        kernel = Kernel(handle)
        with pytest.raises(BlockingIOError):
            handle.recv(1)
        handle.sendto(question(LOCAL, REMOTE, 1), (0, 0))
        assert identified(ours, kernel, HELLO, running(tmp_path)).peer.module == "hello"


@pytest.mark.skipif(os.getuid() != 0, reason="a network namespace is made as root")
def test_a_hub_without_the_hosts_network_asks_by_the_netlink_socket_that_it_was_given() -> None:
    code = """
import json, os, socket, sys
os.unshare(os.CLONE_NEWNET)
from aurora.link.loopback import Kernel
from aurora.link.sockdiag import Endpoint
pairs = [(socket.inet_pton(socket.AF_INET, host), port) for host, port in json.loads(sys.argv[1])]
ends = [Endpoint(*pair) for pair in pairs]
for handle in (socket.socket(fileno=int(sys.argv[2])), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4)):
    seen = Kernel(handle).look_up(*ends)
    print(seen and [seen.state, seen.uid])
"""
    with (
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as handle,
        connected() as (client, _),
    ):
        ends = json.dumps([client.getsockname(), client.getpeername()])
        said = subprocess.run(
            [sys.executable, "-c", code, ends, str(handle.fileno())], check=True, capture_output=True, text=True,
            timeout=DEADLINE_SEC, pass_fds=[handle.fileno()],
        ).stdout  # fmt: skip
    assert said.splitlines() == [f"[{ESTABLISHED}, {os.getuid()}]", "None"]


# Who it is


def test_the_other_ends_socket_is_asked_for_before_and_after(tmp_path: Path) -> None:
    sockets = Changing(OPEN, OPEN)
    with connected() as (client, handle):
        assert identified(handle, sockets, HELLO, running(tmp_path)).peer.module == "hello"
        local, remote = client.getsockname()[1], client.getpeername()[1]
    assert [(mine.port, theirs.port) for mine, theirs in sockets.asked] == [(local, remote)] * 2


@pytest.mark.parametrize(
    "seen",
    [
        (None,),
        (OPEN._replace(state=4),),
        (OPEN._replace(state=10),),
        (OPEN._replace(inode=0),),
        (OPEN._replace(group=0),),
        (OPEN, None),
        (OPEN, OPEN._replace(state=8)),
        (OPEN, OPEN._replace(inode=8)),
        (OPEN, OPEN._replace(cookie=2)),
        (OPEN, OPEN._replace(group=43)),
        (OPEN, OPEN._replace(uid=0)),
    ],
)
def test_a_socket_that_is_not_open_or_changes_meanwhile_is_nobodys(
    seen: tuple[Seen | None, ...], tmp_path: Path
) -> None:
    for group in (HELLO, "/system.slice/x.service"):
        with connected() as (_, handle), pytest.raises(LinkError, match="not known") as refused:
            identified(handle, Changing(*seen), group, running(tmp_path))
        assert refused.value.code == "denied"


def test_a_control_group_that_is_gone_is_nobody_even_for_root(tmp_path: Path) -> None:
    with connected() as (_, handle), pytest.raises(LinkError, match="control group"):
        identified(handle, Changing(OPEN._replace(uid=0)), "", Paths(tmp_path))


def test_a_unit_that_does_not_run_or_starts_anew_meanwhile_is_nobody(tmp_path: Path) -> None:
    with connected() as (_, handle), pytest.raises(LinkError, match="does not run"):
        identified(handle, Changing(OPEN, OPEN), HELLO, Paths(tmp_path))

    class Restarting(Changing):
        def look_up(self, local: Endpoint, remote: Endpoint) -> Seen | None:
            running(tmp_path, RUN[::-1] if len(self.seen) == 1 else RUN)
            return super().look_up(local, remote)

    with connected() as (_, handle), pytest.raises(LinkError, match="changed hands"):
        identified(handle, Restarting(OPEN, OPEN), HELLO, Paths(tmp_path))


def role_of(uid: int, group: str, paths: Paths) -> Role:
    seen = OPEN._replace(uid=uid)
    with connected() as (_, handle):
        return identified(handle, Changing(seen, seen), group, paths).peer.role


def test_users_are_known_by_the_socket_and_the_user_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = "/user.slice/user-1000.slice/session-1.scope"
    names = {1000: ("anna", 1000), 1001: ("eve", 1001), 1002: ("ben", 999)}

    def user(uid: int) -> object:
        if uid not in names:
            raise KeyError(uid)
        name, gid = names[uid]
        return type("User", (), {"pw_name": name, "pw_gid": gid})

    def group(name: str) -> object:
        assert name == "aurora"
        return type("Group", (), {"gr_gid": 999, "gr_mem": ["anna"]})

    monkeypatch.setattr("pwd.getpwuid", user)
    monkeypatch.setattr("grp.getgrnam", group)
    roles = {uid: role_of(uid, shell, Paths(tmp_path)) for uid in (0, 1000, 1001, 1002, 4000)}
    assert roles == {
        0: Role.ADMIN, 1000: Role.OPERATOR, 1001: Role.OTHER, 1002: Role.OPERATOR, 4000: Role.OTHER,
    }  # fmt: skip
    # A module is one whoever it runs as, and what only looks like its group is none.
    paths = running(tmp_path)
    assert {role_of(uid, HELLO, paths) for uid in (0, 1000, 65_209)} == {Role.MODULE}
    assert role_of(1001, "/user.slice/user-1001.slice" + HELLO, paths) is Role.OTHER


# Control groups


def tree(tmp_path: Path, *groups: str) -> tuple[Groups, Callable[[str], int]]:
    top = tmp_path / "sys/fs/cgroup"
    for group in groups:
        (top / group).mkdir(parents=True)
    return Groups(Paths(tmp_path)), lambda group: (top / group).stat().st_ino


def test_a_control_group_is_found_by_its_number_wherever_it_is(tmp_path: Path) -> None:
    groups, number = tree(tmp_path, HELLO[1:], "system.slice/ssh.service", "user.slice/a/b/c")
    for path in (HELLO[1:], "system.slice", "system.slice/ssh.service", "user.slice/a/b/c"):
        assert groups.path(number(path)) == f"/{path}"
        assert groups.path(number(path)) == f"/{path}"  # known, now
    assert groups.path(number(".")) == "/"
    assert groups.path(2**63) == ""


def test_a_control_group_that_is_gone_is_not_found_though_it_was_known(tmp_path: Path) -> None:
    groups, number = tree(tmp_path, HELLO[1:])
    old = number(HELLO[1:])
    assert groups.path(old) == HELLO
    (tmp_path / "sys/fs/cgroup" / HELLO[1:]).rmdir()
    # Another one in its place; while it lives, what was there holds its number for nobody else.
    keep = tmp_path / "sys/fs/cgroup/aurora.slice/other"
    keep.mkdir()
    (tmp_path / "sys/fs/cgroup" / HELLO[1:]).mkdir()
    if number("aurora.slice/other") != old and number(HELLO[1:]) != old:
        assert groups.path(old) == ""
    assert groups.path(number(HELLO[1:])) == HELLO


def test_links_and_files_are_no_control_groups(tmp_path: Path) -> None:
    groups, number = tree(tmp_path, "elsewhere/below")
    top = tmp_path / "sys/fs/cgroup"
    (top / "a.slice").symlink_to(top / "elsewhere")
    (top / "cgroup.procs").touch()
    assert groups.path(number("elsewhere/below")) == "/elsewhere/below"
    assert groups.path((top / "cgroup.procs").stat().st_ino) == ""


def test_nobody_can_make_so_many_that_a_module_is_not_found(tmp_path: Path) -> None:
    groups, number = tree(
        tmp_path, HELLO[1:], "a.slice/deep/below", *(f"a.slice/x{count}" for count in range(GROUPS_MAX))
    )
    assert groups.path(number(HELLO[1:])) == HELLO
    assert groups.path(number("a.slice/deep/below")) == ""  # beyond the bound: refused
    assert groups.path(number("a.slice")) == "/a.slice"


def test_a_control_group_that_is_not_there_is_looked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups, number = tree(tmp_path, HELLO[1:])
    assert groups.path(2**63) == ""
    monkeypatch.setattr("os.scandir", None)
    assert groups.path(2**63) == ""
    monkeypatch.undo()
    for other in range(2**62, 2**62 + KNOWN_MAX + 1):
        assert groups.path(other) == ""
    assert groups.path(number(HELLO[1:])) == HELLO


def test_a_connection_of_a_run_that_is_over_does_not_go_on(tmp_path: Path) -> None:
    paths = running(tmp_path)
    peer = module("hello")
    assert not goes_on(paths, peer)
    running(tmp_path, peer.invocation)
    assert goes_on(paths, peer)
    assert goes_on(paths, ROOT)
    (tmp_path / "run/systemd/units/invocation:aurora@hello.service").unlink()
    assert not goes_on(paths, peer)
