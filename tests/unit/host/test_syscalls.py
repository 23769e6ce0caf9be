from __future__ import annotations

import pytest

from aurora.host import syscalls
from aurora.host.process import Completed
from aurora.host.syscalls import syscall_groups, syscall_names

X86_64, AARCH64 = 0xC000003E, 0xC00000B7
LISTING = """@default
    # System calls that are always permitted
    brk
    execve

@io-event
    # Event loop system calls
    @poll
    eventfd

@poll
    # Waiting
    poll

# Ungrouped System Calls (known but not included in any of the groups except @known):
#   kexec_load
"""


def test_a_call_has_the_name_that_its_architecture_gives_the_number() -> None:
    name = syscall_names()
    assert (name(X86_64, 250), name(AARCH64, 219)) == ("keyctl", "keyctl")


@pytest.mark.parametrize(("arch", "number"), [(X86_64, 999_999), (1, 1), (0xFFFF_FFFF_FFFF, -5)])
def test_a_call_that_is_not_known_has_none(arch: int, number: int) -> None:
    assert syscall_names()(arch, number) is None


def test_groups_hold_the_calls_of_the_groups_in_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syscalls, "run", lambda _argv, **_more: Completed(0, LISTING, ""))
    assert syscall_groups() == {
        "@default": frozenset({"brk", "execve"}),
        "@io-event": frozenset({"poll", "eventfd"}),
        "@poll": frozenset({"poll"}),
    }
