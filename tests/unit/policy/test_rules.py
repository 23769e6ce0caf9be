"""Which AppArmor rule lets what through."""

from __future__ import annotations

import pytest

from aurora.policy import lets_capability, lets_file, lets_network


@pytest.mark.parametrize(
    ("rule", "path", "lets"),
    [
        ("/etc/shells r,", "/etc/shells", True),
        ("/etc/shells r,", "/etc/shells2", False),
        ("/etc/* r,", "/etc/shells", True),
        ("/etc/* r,", "/etc/ssl/a", False),
        ("/etc/* r,", "/etc/", False),
        ("/etc/** r,", "/etc/ssl/a", True),
        ("/etc/** r,", "/etc/", False),
        ("/etc/{,**} r,", "/etc/", True),
        ("/etc/{,**} r,", "/etc/ssl/a", True),
        ("/etc/{services,hosts.{allow,deny}} r,", "/etc/hosts.deny", True),
        ("/etc/{services,hosts.{allow,deny}} r,", "/etc/hosts", False),
        ("/dev/tty[0-9]* rw,", "/dev/tty1", True),
        ("/dev/tty[0-9]* rw,", "/dev/ttyS1", False),
        ("/a?c r,", "/abc", True),
        ("/a?c r,", "/a/c", False),
        ("/a.c r,", "/abc", False),
        ("@{PROC}/@{pid}/** r,", "/proc/12/status", True),
        ("@{PROC}/@{pid}/** r,", "/proc/sys/kernel", False),
        ("@{sys}/class/** r,", "/sys/class/net/lo", True),
        ("owner /srv/x rw,", "/srv/x", True),
        ("/srv/x w,", "/srv/x", False),
        ("deny /srv/x r,", "/srv/x", False),
        ("@{UNKNOWN}/** r,", "/srv/x", False),
        ("/srv/{x r,", "/srv/x", False),
        ("include <abstractions/base>", "/srv/x", False),
        ("network inet stream,", "/srv/x", False),
    ],
)
def test_a_rule_lets_a_file_be_read(rule: str, path: str, *, lets: bool) -> None:
    assert lets_file([rule], path, "r") is lets


def test_rules_let_through_together_what_neither_does_alone() -> None:
    assert lets_file(["/srv/x r,", "/srv/* w,"], "/srv/x", "rw")
    assert not lets_file(["/srv/x r,"], "/srv/x", "rw")


def test_appending_is_writing_and_any_way_to_run_is_running() -> None:
    assert lets_file(["/srv/x a,"], "/srv/x", "w")
    assert lets_file(["/srv/x mrix,"], "/srv/x", "rxm")


def test_sockets_and_capabilities_are_let_through_by_name_or_all_at_once() -> None:
    assert lets_network(["network inet stream,"], "inet", "stream")
    assert lets_network(["network inet,"], "inet", "stream")
    assert lets_network(["network,"], "inet", "stream")
    assert not lets_network(["network inet6 stream,"], "inet", "stream")
    assert lets_capability(["capability net_raw,"], "net_raw")
    assert not lets_capability(["capability net_raw,"], "net_admin")
