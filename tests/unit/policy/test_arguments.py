from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.directives import DIRECTIVES
from aurora.errors import InputError
from aurora.policy import find_grants
from aurora.policy.arguments import ARGUMENTS, argument_of, filled
from aurora.policy.values import directive_value, rule_fault
from tests.unit.examples import shipped

FAMILIES = sorted(name for name in shipped().grants if argument_of(name) is not None)


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("PORT", "1"),
        ("PORT", "65535"),
        ("PATH", "/srv/photos-2024/a_b.c+d@e"),
        ("PATH", "/etc"),
        ("PATH", "/var/log"),
        ("DEVICE", "/dev/ttyUSB0"),
        ("DEVICE", "/dev/serial/by-id/usb-FTDI_x-if00-port0"),
        ("DEVICE", "/dev/disk/by-path/pci-0000:00:1f.2"),
        ("CAPABILITY", "SYS_TIME"),
        ("NAME", "org.freedesktop.login1"),
    ],
)
def test_a_good_argument_is_taken_as_it_is(word: str, text: str) -> None:
    assert ARGUMENTS[word].check(text) == text


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "080"),
        ("PORT", "80,443"),
        ("PORT", "80-90"),
        ("PORT", "٨٠"),
        ("PATH", "/"),
        ("PATH", "srv/x"),
        ("PATH", "/srv/"),
        ("PATH", "/srv//x"),
        ("PATH", "/srv/../etc"),
        ("PATH", "/srv/.hidden"),
        ("PATH", "/srv/x y"),
        ("PATH", "/srv/x:/etc"),
        ("PATH", "/srv/*"),
        ("PATH", "/srv/{a,b}"),
        ("PATH", "/srv/%h"),
        ("PATH", "/srv/x,"),
        ("PATH", "/srv/x\n/etc rw"),
        ("PATH", "/srv/" + "x" * 300),
        ("PATH", "/proc/1"),
        ("PATH", "/sys"),
        ("PATH", "/dev/sda"),
        ("PATH", "/run"),
        ("PATH", "/run/systemd/private"),
        ("PATH", "/run/dbus"),
        ("PATH", "/var"),
        ("PATH", "/var/lib"),
        ("PATH", "/var/lib/private/aurora/other"),
        ("PATH", "/var/lib/aurora"),
        ("PATH", "/usr/lib/aurora/modules"),
        ("PATH", "/etc/aurora"),
        ("DEVICE", "/dev"),
        ("DEVICE", "/dev/../etc/shadow"),
        ("DEVICE", "/etc/shadow"),
        ("DEVICE", "/dev/x rwm"),
        ("CAPABILITY", "CAP_SYS_TIME"),
        ("CAPABILITY", "sys_time"),
        ("CAPABILITY", ""),
        ("NAME", "org"),
        ("NAME", "org..x"),
        ("NAME", "org.*"),
        ("NAME", ":1.7"),
        ("NAME", "org.x)"),
    ],
)
def test_what_is_no_argument_is_refused_with_a_reason(word: str, text: str) -> None:
    with pytest.raises(ValueError, match=r".{10}"):
        ARGUMENTS[word].check(text)


def test_a_grant_holds_the_argument_wherever_it_belongs() -> None:
    (grant,) = find_grants(shipped(), ["listen:8080"])
    assert (grant.name, grant.add["SocketBindAllow"]) == ("listen:8080", ("8080",))
    assert grant.description.startswith("Listen on port 8080 ")
    (grant,) = find_grants(shipped(), ["cap:KILL"])
    assert grant.apparmor == ("capability kill,",)
    assert grant.add["AmbientCapabilities"] == ("CAP_KILL",)


def test_the_exact_grant_counts_before_the_one_that_takes_anything() -> None:
    (grant,) = find_grants(shipped(), ["cap:SYS_TIME"])
    assert grant.set["ProtectClock"] is False
    (grant,) = find_grants(shipped(), ["device:gpio"])
    assert "char-gpiochip rw" in grant.add["DeviceAllow"]


def test_a_wrong_argument_and_a_wrong_name_are_told_together() -> None:
    with pytest.raises(InputError) as caught:
        find_grants(shipped(), ["listen:99999", "lisen:80", "device:gpioo", "listen"], where="x")
    said = [(problem.what, problem.remedy) for problem in caught.value.problems]
    assert said[0] == ("give the grant 'listen:99999'", "listen:PORT as it should be")
    assert said[1] == ("find the grant 'lisen:80'", "listen:PORT")
    assert said[2][0] == "give the grant 'device:gpioo'"
    assert said[3][0] == "find the grant 'listen'"


PIECES = st.sampled_from(
    ["/", "srv", "dev", "..", ".", " ", ",", "{", "}", "\n", "rw", "#", '"', "$", "%", "*", "PORT", "\\", "80", "org",
     "CAP", "]", "[Service]", "ExecStart=", "profile x {", "@{PROC}", ":", "=", "é"]
)  # fmt: skip
TEXTS = st.text(max_size=40) | st.lists(PIECES, max_size=8).map("".join)


@given(st.sampled_from(FAMILIES), TEXTS)
def test_no_argument_adds_a_directive_a_rule_or_a_word(family: str, text: str) -> None:
    head, _, word = family.partition(":")
    name = f"{head}:{text}"
    if name in shipped().grants:
        return
    try:
        (grant,) = find_grants(shipped(), [name])
    except InputError as error:
        assert error.problems[0].why  # noqa: PT017  # both outcomes are right
        return
    template = shipped().grants[family]
    assert grant.add.keys() == template.add.keys()
    assert grant.set == template.set
    for directive, words in grant.add.items():
        assert len(words) == len(template.add[directive])
        assert directive_value(DIRECTIVES[directive], list(words)) == words
    assert len(grant.apparmor) == len(template.apparmor)
    for rule in grant.apparmor:
        assert rule_fault(rule) is None
        assert "\n" not in rule
    assert re.fullmatch(r"[A-Za-z0-9._@+:/-]+", text)
    assert word


def test_a_placeholder_of_another_kind_is_no_placeholder() -> None:
    with pytest.raises(ValueError, match=r"\$PATH stands for nothing here"):
        filled("$PATH r,", "PORT", "80")
