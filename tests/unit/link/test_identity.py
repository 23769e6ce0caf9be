from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from aurora.link.identity import identify, module_of_group, peer_of, run_of, unified_group, unit_of_group
from aurora.link.peer import Role
from aurora.link.refusal import LinkError
from aurora.link.rulebook import FILE_MAX_BYTES, NOTHING, read_rules
from aurora.link.rules import ModuleRules
from aurora.paths import Paths

HELLO = "/aurora.slice/aurora-hello.slice/aurora@hello.service"
HYPHEN = "/aurora.slice/aurora-my\\x2dsensor.slice/aurora@my-sensor.service"


def test_the_control_group_is_that_of_version_2() -> None:
    assert unified_group(f"0::{HELLO}\n") == HELLO
    assert unified_group(f"12:cpu:/other\n0::{HELLO}\n1:name=systemd:/x\n") == HELLO
    # Names of control groups may hold what Python takes for the end of a line.
    assert unified_group(f"1:name=x:/a\x0c0::{HELLO}\n0::/user.slice\n") == "/user.slice"
    assert module_of_group(unified_group(f"0::/user.slice/\x1e0::{HELLO}\n")) is None
    for text in ("", "12:cpu:/aurora.slice\n", "0::\n", "0::relative\n"):
        assert unified_group(text) == ""


@pytest.mark.parametrize(
    ("group", "module"),
    [
        (HELLO, "hello"),
        (HYPHEN, "my-sensor"),
        (f"{HELLO}/below/it", "hello"),
        # What only looks like it.
        (f"/user.slice/user-1000.slice/user@1000.service{HELLO}", None),
        (f"/user.slice/user-1000.slice/user@1000.service/app.slice{HELLO}", None),
        ("/system.slice/aurora@hello.service", None),
        ("/system.slice/aurora-hello.slice/aurora@hello.service", None),
        ("/aurora.slice/aurora@hello.service", None),
        ("/aurora.slice/aurora-other.slice/aurora@hello.service", None),
        ("/aurora.slice/aurora-hello.slice/aurora-exec-hello-1.scope", None),
        ("/aurora.slice/aurora-hello.slice/aurora-exec-hello-1.scope/aurora@hello.service", None),
        ("/aurora.slice/aurora-hello.slice/aurora-ports@hello.service", None),
        ("/aurora.slice/aurora-run-hello.service", None),
        ("/aurora.slice/aurora-safe@hello.service", None),
        ("/aurora.slice/aurora-my-sensor.slice/aurora@my-sensor.service", None),
        ("/aurora.slice/aurora-hello.slice/aurora@Hello.service", None),
        ("/aurora.slice/aurora-hello.slice/aurora@hello.service.d", None),
        ("/aurora.slice/aurora-hello.slice/aurora@hello.scope", None),
        ("/aurora.slice/aurora-hello.slice", None),
        (f"/..{HELLO}", None),
        (f"/{HELLO}", None),
        (HELLO.removeprefix("/"), None),
        ("", None),
        ("/", None),
    ],
)
def test_only_the_whole_path_below_the_modules_slice_is_a_module(group: str, module: str | None) -> None:
    assert module_of_group(group) == module


def test_a_module_is_one_whatever_user_it_runs_as() -> None:
    for uid in (0, 65209):
        peer = peer_of(HELLO, uid=uid, operator=True, invocation="abc")
        assert (peer.role, peer.name, peer.module, peer.invocation) == (Role.MODULE, "hello", "hello", "abc")


def test_others_are_known_by_their_user() -> None:
    ssh = "/user.slice/user-1000.slice/session-1.scope"
    assert (peer_of(ssh, uid=0).role, peer_of(ssh, uid=0).name) == (Role.ADMIN, "user:root")
    anna = peer_of(ssh, uid=1000, operator=True, name=lambda uid: f"anna{uid}")
    assert (anna.role, anna.name, anna.module) == (Role.OPERATOR, "user:anna1000", "")
    eve = peer_of(ssh, uid=1001)
    assert (eve.role, eve.name) == (Role.OTHER, "user:1001 (session-1.scope)")


def test_a_refused_peer_is_told_which_unit_it_was_seen_in() -> None:
    assert unit_of_group("/system.slice/evil.service/aurora.slice") == "evil.service"
    assert unit_of_group("/init.scope") == "init.scope"
    assert unit_of_group("/a") == "/a"
    assert unit_of_group("") == "no unit"


def test_the_run_is_the_one_that_systemd_keeps_for_journald(tmp_path: Path) -> None:
    links = tmp_path / "run/systemd/units"
    links.mkdir(parents=True)
    (links / "invocation:aurora@hello.service").symlink_to("0123456789abcdef0123456789abcdef")
    assert run_of(Paths(tmp_path), HELLO) == "0123456789abcdef0123456789abcdef"
    assert run_of(Paths(tmp_path), HYPHEN) == ""
    assert run_of(Paths(tmp_path), "/system.slice/x.service") == ""


def machine(tmp_path: Path, group: str, pid: int) -> Paths:
    """A machine whose process `pid` is in `group`."""
    folder = tmp_path / "proc" / str(pid)
    folder.mkdir(parents=True)
    (folder / "cgroup").write_text(f"0::{group}\n")
    return Paths(tmp_path)


def test_the_kernel_says_who_is_at_the_other_end(tmp_path: Path) -> None:
    one, other = socket.socketpair()
    with one, other:
        found = identify(one, machine(tmp_path, HELLO, os.getpid()))
        os.close(found.pidfd)
        assert found.peer.module == "hello"


def test_a_user_of_no_rights_is_nobody(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("another user's process is made as root")
    with socket.socket(socket.AF_UNIX) as listener:
        place = tmp_path / "s"
        listener.bind(str(place))
        place.chmod(0o777)
        for folder in (tmp_path, *tmp_path.parents[:-2]):
            folder.chmod(0o755)
        listener.listen()
        code = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); input()"
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(place)], stdin=subprocess.PIPE, user=65534, group=65534, extra_groups=[]
        )
        assert child.stdin is not None
        with child.stdin:
            listener.settimeout(20)
            handle, _ = listener.accept()
            with handle:
                found = identify(handle, machine(tmp_path, "/system.slice/evil.service", child.pid))
                os.close(found.pidfd)
        assert (found.peer.role, found.peer.name) == (Role.OTHER, "user:65534 (evil.service)")
        child.wait(20)


def test_a_process_that_has_ended_is_nobody(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        code = "import os, socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(os.getpid())"
        said = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "s")], check=True, timeout=20, capture_output=True, text=True
        )
        handle, _ = listener.accept()
        # Another process has its number now, and is a module's.
        paths = machine(tmp_path, HELLO, int(said.stdout))
        with handle, pytest.raises(LinkError, match="has ended"):
            identify(handle, paths)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    one, other = socket.socketpair()
    with one, other, pytest.raises(LinkError, match="control group"):
        identify(one, Paths(tmp_path))


# The rules


def test_a_modules_rules_are_those_of_its_applied_plan(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.link_rules.mkdir(parents=True)
    (paths.link_rules / "hello.json").write_text('{"publish": ["a/#"], "serve": ["lamp"]}')
    assert read_rules(paths, "hello") == ModuleRules(publish=("a/#",), serve=("lamp",))
    assert read_rules(paths, "other") == NOTHING


def test_what_a_module_names_for_approval_holds_for_itself_in_any_case(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.link_rules.mkdir(parents=True)
    (paths.link_rules / "hello.json").write_text('{"publish": ["#"], "approve": ["a"], "approve_all": ["b/#"]}')
    assert read_rules(paths, "hello") == ModuleRules(publish=("#",), approve=("a", "b/#"))


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"publish": "a"}', '{"publish": ["a"], "more": []}', '{"publish": ["a"]}' + " " * FILE_MAX_BYTES],
)
def test_rules_that_cannot_be_read_allow_nothing(tmp_path: Path, text: str) -> None:
    paths = Paths(tmp_path)
    paths.link_rules.mkdir(parents=True)
    (paths.link_rules / "hello.json").write_text(text)
    assert read_rules(paths, "hello") == NOTHING
