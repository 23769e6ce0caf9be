from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora.directives import DIRECTIVES, SANDBOX, Value
from aurora.policy.values import LIST_KINDS, directive_value, rule_fault
from aurora.quantity import INFINITY

PARSER = shutil.which("apparmor_parser") or "/usr/sbin/apparmor_parser"


@pytest.mark.parametrize(
    ("directive", "raw", "value"),
    [
        ("PrivateTmp", False, False),
        ("PrivateTmp", "disconnected", "disconnected"),
        ("TemporaryFileSystem", ["/dev/shm:size=64M"], ("/dev/shm:size=64M",)),
        ("ProtectHome", "tmpfs", "tmpfs"),
        ("UMask", 0o077, 0o077),
        ("LimitCORE", "64M", 64 << 20),
        ("LimitCORE", "infinity", INFINITY),
        ("SystemCallErrorNumber", "EPERM", "EPERM"),
        ("CapabilityBoundingSet", [], ()),
        ("CapabilityBoundingSet", ["CAP_CHOWN"], ("CAP_CHOWN",)),
        ("SystemCallFilter", ["@system-service", "~@privileged:EPERM"], ("@system-service", "~@privileged:EPERM")),
        ("RestrictNamespaces", ["uts", "mnt"], ("uts", "mnt")),
        ("IPAddressDeny", ["any", "10.0.0.0/8", "::1/128"], ("any", "10.0.0.0/8", "::1/128")),
        ("DeviceAllow", ["/dev/gpiochip0 rw"], ("/dev/gpiochip0 rw",)),
        ("BindReadOnlyPaths", ["-/run/x"], ("-/run/x",)),
    ],
)
def test_a_good_value_is_taken(directive: str, raw: object, value: Value) -> None:
    assert directive_value(DIRECTIVES[directive], raw) == value


@pytest.mark.parametrize(
    ("directive", "raw", "why"),
    [
        ("CapabilityBoundingSet", ["CAP_FOO"], "'CAP_FOO' is not a capability"),
        ("AmbientCapabilities", ["CAP_KILL", "CAP_X"], "'CAP_X' is not a capability"),
        ("DeviceAllow", ["/dev/null "], "has no r, w or m behind the device"),
        ("IPAddressAllow", ["10.0.0.0/255.0.0.0"], "has no number of bits"),
        ("IPAddressAllow", ["10.0.0.0/0.0.0.255"], "has no number of bits"),
        ("RestrictNamespaces", [], "must name at least one type"),
        ("RestrictAddressFamilies", [], "must name at least one address family"),
    ],
)
def test_what_systemd_would_read_otherwise_or_not_at_all_is_refused(directive: str, raw: object, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        directive_value(DIRECTIVES[directive], raw)


RAW = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(st.sampled_from(sorted(SANDBOX)), RAW)
def test_any_value_is_taken_or_a_value_error(directive: str, raw: object) -> None:
    row = DIRECTIVES[directive]
    try:
        value = directive_value(row, raw)
    except ValueError as error:
        assert str(error)  # noqa: PT017  # both outcomes are right
    else:
        assert isinstance(value, tuple) == (row.kind in LIST_KINDS)


GOOD_RULES = [
    "/etc/hosts r,",
    "/usr/{bin,sbin}/** mrix,",
    "@{PROC}/@{pid}/** r,",
    "@{PROC}/{,**} r,",
    "/{a,b{c,d}}/** r,",
    "include <abstractions/base>",
    "include if exists <local/x>",
    "network inet stream,",
    "deny /x w,",
    "unix (connect) type=stream peer=(addr=@x),",
]

BAD_RULES: list[object] = [
    None,
    1,
    "",
    ",",
    "/x r",
    "/x\nr,",
    "/x r,\n}",
    "}\nprofile evil {",
    "/x r, }",
    "/x r, } profile evil { /** rwix,",
    "/x r,}",
    "profile evil { /** rw, },",
    "profile evil {/** rw,},",
    "/x r, /y w,",
    "/x r,/y w,",
    "# all of this is nothing,",
    "/x r, # }",
    '"/x y" r,',
    "/{a r,",
    "/a} r,",
    "/{a,b}} r,",
    "/{{a,b} r,",
    "/{a, b} r,",
    "include <x>\n/** rw,",
    "include <x> /** rw,",
    "include </etc/x y>",
    'include "/etc/x"',
    "/x\0 r,",
    "/x\\, r,",
    "/x r\\,",
    "(,",
    "),",
    "/x] r,",
    "unix (connect type=stream,",
    "/x[^/] (r,",
    "/" + "x" * 500 + " r,",
    " /x r,",
    "\u00a0/x r,",
    " ;,",
]


@pytest.mark.parametrize("rule", GOOD_RULES)
def test_one_rule_is_one_rule(rule: str) -> None:
    assert rule_fault(rule) is None


@pytest.mark.parametrize("rule", BAD_RULES)
def test_what_could_be_more_or_less_than_one_rule_is_refused(rule: object) -> None:
    why = rule_fault(rule)
    assert why
    if isinstance(rule, str):
        assert repr(rule) in why


PIECES = st.sampled_from(
    ["/", "x", "{", "}", ",", " ", "**", "r,", "rw,", "}\n", "profile", " evil ", "{,", ",}", "^hat", "hat", "@{PROC}",
     "@{", "include ", "<a>", "\\", '"', "#", "(", ")", "->", "=", "flags=(complain)", ";", "\t", "!", "[", "]"]
)  # fmt: skip


def profiles_in(rule: str) -> list[str] | None:
    """The names, sorted, of all profiles that AppArmor's parser finds with the rule in a profile; None: it fails."""
    text = f"profile mine {{\n  {rule}\n}}\n"
    done = subprocess.run([PARSER, "--names"], input=text.encode(), capture_output=True, check=False)
    return sorted(done.stdout.decode().split()) if done.returncode == 0 else None


@settings(max_examples=500)
@given(st.lists(PIECES, max_size=10).map("".join).map(lambda text: f"{text},"))
def test_no_rule_that_is_taken_ends_the_profile_or_begins_another(rule: str) -> None:
    if rule_fault(rule) is None:
        assert profiles_in(rule) in (None, ["mine"])


def test_the_parser_would_find_a_profile_that_a_rule_smuggles_in() -> None:
    assert profiles_in("/x r,") == ["mine"]
    assert profiles_in("/x r,\n}\nprofile evil {") == ["evil", "mine"]
