"""Audit records, those that a module can shape among them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.plan import evidence
from aurora.plan.evidence import APPARMOR_RECORD, SECCOMP_RECORD, Collector, Did, record_fields

PROFILE = "aurora-learn.hello"
HEAD = "audit(1764037200.123:456): "


def collector() -> Collector:
    return Collector(PROFILE, lambda arch, number: {(0xC000003E, 250): "keyctl"}.get((arch, number)))


def apparmor(more: str, *, profile: str = f'"{PROFILE}"', verdict: str = "ALLOWED") -> str:
    return f'{HEAD}apparmor="{verdict}" profile={profile} pid=7 comm="python3" {more}'


def kernel_name(name: bytes) -> str:
    """As audit_log_untrustedstring writes it (kernel/audit.c)."""
    if any(byte == ord('"') or byte < 0x21 or byte > 0x7E for byte in name):
        return name.hex().upper()
    return f'"{name.decode("ascii")}"'


def opened(name: bytes, mask: str = "r") -> str:
    return apparmor(f'operation="open" class="file" name={kernel_name(name)} denied_mask="{mask}" fsuid=1 ouid=0')


def deeds(found: Collector) -> list[tuple[str, str, str, int]]:
    return [(one.deed.did, one.deed.what, one.access, one.count) for one in found.evidence]


def test_a_file_that_was_opened_twice_is_one_deed_with_all_that_was_done_to_it() -> None:
    found = collector()
    found.take(APPARMOR_RECORD, opened(b"/etc/shells"))
    found.take(APPARMOR_RECORD, opened(b"/etc/shells", "wc"))
    assert deeds(found) == [("file", "/etc/shells", "rw", 2)]
    assert found.evidence[0].first_sec == 1764037200
    assert found.evidence[0].program == "python3"


@pytest.mark.parametrize(
    ("more", "deed"),
    [
        ('operation="create" family="inet" sock_type="stream" protocol=6', (Did.NETWORK, "inet stream")),
        ('operation="capable" capability=10 capname="net_bind_service"', (Did.CAPABILITY, "net_bind_service")),
        ('operation="exec" name="/opt/tool" requested_mask="x" denied_mask="x"', (Did.RUN, "/opt/tool")),
        ('operation="mount" class="mount" name="/mnt/"', (Did.OTHER, "mount mount /mnt/")),
        ('operation="open" name="apparmor/.null" denied_mask="r"', (Did.OTHER, "open apparmor/.null")),
    ],
)
def test_each_kind_of_record_is_a_deed_of_its_kind(more: str, deed: tuple[Did, str]) -> None:
    found = collector()
    found.take(APPARMOR_RECORD, apparmor(more))
    assert [one.deed for one in found.evidence] == [deed]


def test_a_system_call_is_told_by_its_name_or_else_by_its_number() -> None:
    found = collector()
    for number in (250, 999):
        text = (
            f'{HEAD}auid=1 uid=2 subj={PROFILE} pid=7 comm="x" exe="/x" sig=0 arch=c000003e syscall={number} code=0x7'
        )
        found.take(SECCOMP_RECORD, text)
        found.take(SECCOMP_RECORD, text.replace(PROFILE, f"{PROFILE}-other"))
    assert deeds(found) == [("syscall", "c000003e:999", "", 1), ("syscall", "keyctl", "", 1)]


def test_whom_it_talked_to_and_where_it_listened_is_kept() -> None:
    found = collector()
    socket = 'family="inet" sock_type="stream" protocol=6'
    found.take(APPARMOR_RECORD, apparmor(f'operation="listen" lport=80 {socket}'))
    found.take(APPARMOR_RECORD, apparmor(f'operation="sendmsg" laddr=10.0.2.15 faddr=192.0.2.1 fport=443 {socket}'))
    assert not found.binds
    found.take(APPARMOR_RECORD, apparmor('operation="bind" family="inet" sock_type="dgram" protocol=17'))
    assert found.binds
    assert (found.ports, found.peers) == ((80,), ("192.0.2.1",))


def test_what_others_did_is_not_the_modules() -> None:
    found = collector()
    found.take(APPARMOR_RECORD, opened(b"/a").replace(PROFILE, "aurora-learn.hello2"))
    found.take(APPARMOR_RECORD, opened(b"/a").replace("ALLOWED", "STATUS"))
    found.take(1300, opened(b"/a"))
    assert found.records == 0


def test_what_a_program_did_that_may_not_be_run_is_counted_and_not_judged() -> None:
    found = collector()
    found.take(APPARMOR_RECORD, opened(b"/a").replace(PROFILE, f"{PROFILE}//null-/opt/tool"))
    assert (found.elsewhere, found.evidence) == (1, ())


@given(st.binary(min_size=1, max_size=60))
def test_no_name_of_a_file_can_pass_for_more_than_a_name(name: bytes) -> None:
    path = b"/" + name.replace(b"\0", b"")
    found = collector()
    found.take(APPARMOR_RECORD, opened(path))
    assert deeds(found) == [("file", path.decode(errors="surrogateescape"), "r", 1)]


def test_a_name_that_looks_like_a_record_stays_a_name() -> None:
    hostile = f'/srv/a" apparmor="ALLOWED" profile="{PROFILE}" operation="capable" capname="sys_admin'.encode()
    found = collector()
    found.take(APPARMOR_RECORD, opened(hostile + b"\ntype=1400 " + HEAD.encode()))
    assert [one.deed.did for one in found.evidence] == [Did.FILE]


@given(st.text(max_size=200))
def test_whatever_comes_is_taken_or_counted(text: str) -> None:
    found = collector()
    for record in (text, HEAD + text, f'{HEAD}profile="{PROFILE}" {text}'):
        found.take(APPARMOR_RECORD, record)
        found.take(SECCOMP_RECORD, record)
    assert found.records + found.unread + found.beyond <= 6


@pytest.mark.parametrize("text", ["", "x", HEAD + 'name="open', HEAD + 'a="b"c="d"', f'{HEAD}a="{"x" * 9000}"'])
def test_what_is_not_made_of_fields_is_no_record(text: str) -> None:
    assert record_fields(text) is None


def test_a_record_that_cannot_be_read_is_counted() -> None:
    found = collector()
    found.take(APPARMOR_RECORD, f'{HEAD}apparmor="ALLOWED" profile="{PROFILE}" name="open')
    assert (found.records, found.unread) == (0, 1)


def test_beyond_the_bound_deeds_are_counted_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "DEEDS_MAX", 2)
    found = collector()
    for number in range(5):
        found.take(APPARMOR_RECORD, opened(b"/%d" % number))
    assert (len(found.evidence), found.beyond) == (2, 3)
