from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.runtime.allowing import allowing_grant, syscall_name
from aurora.runtime.evidence import (
    EVIDENCE_MAX_BYTES,
    Change,
    Denial,
    Evidence,
    evidence_from_json,
    evidence_to_bytes,
)
from aurora.runtime.refused import read_denials
from tests.unit.runtime.test_cause import GRANTS, NOTHING

TEXT = st.text(max_size=600)


@given(
    lines=st.lists(TEXT, max_size=12),
    denials=st.lists(st.builds(Denial, source=st.just("apparmor"), operation=TEXT, subject=TEXT), max_size=12),
    changes=st.lists(st.builds(Change, what=TEXT, before_sec=st.integers(0, 10**6)), max_size=8),
)
def test_however_much_is_known_it_is_one_short_line(
    lines: list[str], denials: list[Denial], changes: list[Change]
) -> None:
    one = NOTHING._replace(lines=tuple(lines), denials=tuple(denials), changes=tuple(changes))
    data = evidence_to_bytes(one)
    assert len(data) <= EVIDENCE_MAX_BYTES
    assert data.count(b"\n") == 1
    assert evidence_from_json(json.loads(data)).module == "hello"


def test_what_is_written_is_read_back() -> None:
    one = NOTHING._replace(
        lines=("a", "b"),
        denials=(Denial(source="apparmor", operation="open", subject="/x", asked="r", often=3),),
        changes=(Change(what="version 2 was installed", before_sec=5),),
        settings={"memory_max": 1 << 20, "readiness": "notify"},
    )
    assert evidence_from_json(json.loads(evidence_to_bytes(one))) == one


@pytest.mark.parametrize("document", [{}, {"module": "x"}, {**NOTHING.to_json(), "lines": 3}])
def test_what_is_no_evidence_is_refused(document: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        evidence_from_json(document)


def test_the_newest_lines_are_those_that_are_kept() -> None:
    one = NOTHING._replace(lines=tuple(f"{number}" + "x" * 300 for number in range(20)))
    kept: Evidence = one.bounded()
    assert [line[:2] for line in kept.lines] == [str(number) for number in range(12, 20)]


APPARMOR = (
    'audit: type=1400 audit(1764037000.1:42): apparmor="DENIED" operation="open" class="file" profile="aurora.snoop"'
    ' name="/etc/shadow" pid=77 comm="cat" requested_mask="r" denied_mask="r" fsuid=64000 ouid=0'
)
NETWORK = (
    'audit: type=1400 audit(1.1:1): apparmor="DENIED" operation="create" class="net" profile="aurora.snoop" pid=7'
    ' comm="python3" family="inet" sock_type="stream" protocol=6 requested_mask="create" denied_mask="create"'
)
CAPABLE = 'apparmor="DENIED" operation="capable" class="cap" profile="aurora.x" capability=25 capname="sys_time"'
SECCOMP = (
    "audit: type=1326 audit(1764037000.1:43): auid=4294967295 uid=64000 gid=64000 ses=4294967295 subj=aurora.snoop"
    ' pid=7 comm="python3" exe="/usr/bin/python3.13" sig=31 arch=c000003e syscall=321 compat=0 ip=0x7f code=0x80000000'
)


def test_the_kernels_words_are_read() -> None:
    found = read_denials([APPARMOR, SECCOMP, NETWORK, CAPABLE, APPARMOR.replace('denied_mask="r"', 'denied_mask="w"')])
    assert found == (
        Denial(source="apparmor", operation="open", subject="/etc/shadow", asked="rw", often=2),
        Denial(source="seccomp", operation="bpf", subject=""),
        Denial(source="apparmor", operation="create", subject="inet", asked="create"),
        Denial(source="apparmor", operation="capable", subject="sys_time"),
    )


def test_a_name_that_could_not_be_quoted_is_read() -> None:
    (found,) = read_denials([APPARMOR.replace('"/etc/shadow"', b"/etc/a b".hex().upper())])
    assert found.subject == "/etc/a b"


@pytest.mark.parametrize("line", ["", "usb 1-1: new device", 'apparmor="STATUS" operation="profile_load"', "syscall=3"])
def test_other_words_are_no_denials(line: str) -> None:
    assert read_denials([line]) == ()


@given(st.lists(TEXT, max_size=5))
def test_any_words_can_be_read(lines: list[str]) -> None:
    read_denials(lines)


@pytest.mark.parametrize(
    ("operation", "subject", "asked", "grant"),
    [
        ("create", "inet", "create", "network.loopback"),
        ("connect", "inet6", "", "network.loopback"),
        ("capable", "sys_time", "", "cap:CAP_SYS_TIME"),
        ("open", "/dev/ttyUSB0", "rw", "device:serial"),
        ("open", "/proc/loadavg", "r", "host.figures"),
        ("open", "/sys/class/net/eth0/address", "r", "host.figures"),
        ("open", "/etc/mosquitto/secret", "r", "read:/etc/mosquitto/secret"),
        ("exec", "/opt/x", "x", None),
        ("ptrace", "aurora.other", "", None),
        ("clock_settime", "", "", "cap:CAP_SYS_TIME"),
        ("bpf", "", "", None),
    ],
)
def test_the_narrowest_grant_is_the_one_named(operation: str, subject: str, asked: str, grant: str | None) -> None:
    denial = Denial(source="apparmor", operation=operation, subject=subject, asked=asked)
    assert allowing_grant(denial, known=GRANTS) == grant


def test_calls_are_named_by_their_architecture() -> None:
    assert syscall_name("c000003e", 165) == "mount"
    assert syscall_name("c00000b7", 40) == "mount"
    assert syscall_name("40000028", 21) == "system call 21"
