from __future__ import annotations

import pytest

from aurora.host.syscalls import parse_groups, syscall_names, taken_apart

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


def test_groups_hold_the_calls_of_the_groups_in_them() -> None:
    assert taken_apart(parse_groups(LISTING)) == {
        "@default": frozenset({"brk", "execve"}),
        "@io-event": frozenset({"poll", "eventfd"}),
        "@poll": frozenset({"poll"}),
    }
