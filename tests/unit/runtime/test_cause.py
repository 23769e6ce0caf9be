from __future__ import annotations

import tomllib
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.runtime.cause import CauseKind, explain, told_evidence
from aurora.runtime.evidence import Denial, Evidence
from tests.unit.examples import manifest

GRANTS = frozenset({"network.loopback", "network.internet", "host.figures", "read:PATH", "device:serial", "cap:NAME"})

NOTHING = Evidence(
    module="hello", version="1.0", safe_state=False, when_usec=10, first_usec=10, times=1, invocation="a" * 32,
    result="exit-code", code="exited", status=7, was_up=True, ran_sec=3, gave_up=False, restarts=2, settings={},
    memory_peak_bytes=None, oom_kills=None, denials=(), lines=(), dependency="", changes=(),
)  # fmt: skip


def failed(settings: Mapping[str, int | str] | None = None, **fields: object) -> Evidence:
    return NOTHING._replace(settings=settings or {}, **fields)  # type: ignore[arg-type]  # the names are a test's own


def refused(operation: str, subject: str = "", asked: str = "", source: str = "apparmor") -> tuple[Denial, ...]:
    return (Denial(source=source, operation=operation, subject=subject, asked=asked),)


CASES: list[tuple[Evidence, CauseKind, str, str, tuple[str, ...]]] = [
    (
        failed({"memory_max": 32 << 20}, result="oom-kill", code="killed", status=9, memory_peak_bytes=32 << 20),
        CauseKind.OUT_OF_MEMORY,
        "hello was killed by the kernel because it used more memory than limits.memory_max, 32M",
        "a higher limits.memory_max, where it needs that much",
        ("[limits]", 'memory_max = "48M"'),
    ),
    (
        failed(result="oom-kill", code="killed", status=9),
        CauseKind.OUT_OF_MEMORY,
        "hello was killed because the machine had no memory left",
        "a limits.memory_max for what uses most",
        (),
    ),
    (
        failed({"watchdog": 4_000_000}, result="watchdog", code="killed", status=6, ran_sec=9),
        CauseKind.WATCHDOG,
        "hello was killed because it hung: it did not say that it is alive for 4s, 9s after its start",
        "looking at what it did last, or, where it is busy that long, a longer watchdog.timeout",
        ("[watchdog]", 'timeout = "8s"'),
    ),
    (
        failed({"start_timeout": 2_000_000, "readiness": "notify"}, result="timeout", was_up=False),
        CauseKind.NOT_READY,
        "hello did not say that it is ready within 2s",
        "a longer start.timeout, or aurora.sdk.ready() when it is up, or readiness = \"exec\" if it never says so",
        ("[start]", 'timeout = "4s"'),
    ),
    (
        failed(result="protocol", status=0, was_up=False),
        CauseKind.ENDED_EARLY,
        "hello ended before it said that it is ready",
        "aurora.sdk.ready() in the program, or readiness exec in the manifest",
        ("[start]", 'readiness = "exec"'),
    ),
    (
        failed(result="timeout", code="killed", status=9, gave_up=True),
        CauseKind.FORCED,
        "hello did not end when it was told to, and was killed",
        "ending at SIGTERM; a Python program does so when it handles no signals",
        (),
    ),
    (
        failed(lines=("oh",)),
        CauseKind.EXITED,
        "hello ended with status 7",
        "its last lines below, and auroractl logs hello",
        (),
    ),
    (
        failed({"give_up_after": 3, "give_up_within": 60_000_000}, gave_up=True),
        CauseKind.EXITED,
        "hello ended with status 7; systemd gave up after 3 starts within 1min",
        "journalctl -u aurora@hello.service",
        (),
    ),
    (
        failed({"restart": "no"}, gave_up=True, result="core-dump", code="dumped", status=11),
        CauseKind.KILLED,
        'hello was killed by SIGSEGV; it is not started again, as restart.policy is "no"',
        "journalctl -u aurora@hello.service",
        (),
    ),
    (
        failed({"give_up_after": 3, "give_up_within": 60_000_000}, result="start-limit-hit", code="", gave_up=True),
        CauseKind.START_LIMIT,
        "hello was started too often, and systemd gave up after 3 starts within 1min",
        "auroractl start hello when its cause is gone, or a larger restart.give_up_after",
        ("[restart]", "give_up_after = 6"),
    ),
    (
        failed({"program": "/opt/tool"}, status=203, was_up=False),
        CauseKind.NOT_EXECUTABLE,
        "hello could not be executed: /opt/tool is missing, or its interpreter is, or it may not be executed",
        "installing the program or the interpreter named in its first line, or chmod +x in the module",
        (),
    ),
    (
        failed(status=231, was_up=False),
        CauseKind.NO_PROFILE,
        "hello could not be started: its AppArmor profile is not loaded",
        "auroractl restart hello, which loads it",
        (),
    ),
    (
        failed(status=226, was_up=False),
        CauseKind.SETUP,
        "hello could not be started: its view of the file system cannot be set up (NAMESPACE)",
        "journalctl -u aurora@hello.service",
        (),
    ),
    (
        failed(denials=refused("open", "/etc/secret", "r"), status=1),
        CauseKind.REFUSED_ACCESS,
        "hello ended with status 1 after AppArmor refused it open of /etc/secret (r)",
        "the grant read:/etc/secret, if it may have that",
        ("[sandbox]", 'grants = ["network.loopback", "read:/etc/secret"]'),
    ),
    (
        failed(denials=refused("exec", "/opt/x", "x"), status=126),
        CauseKind.REFUSED_ACCESS,
        "hello ended with status 126 after AppArmor refused it exec of /opt/x (x)",
        "a program that does without it: no grant of this machine allows it",
        (),
    ),
    (
        failed(denials=refused("bpf", source="seccomp"), result="core-dump", code="dumped", status=31),
        CauseKind.REFUSED_SYSCALL,
        "hello was killed because it made a system call, bpf, that its sandbox does not allow",
        "a program without that call: no grant of this machine allows it",
        (),
    ),
    (
        failed(dependency="aurora@base.service"),
        CauseKind.DEPENDENCY,
        "hello was not started because aurora@base.service, which it needs, failed",
        "auroractl why base",
        (),
    ),
    (
        failed(dependency="network-online.target"),
        CauseKind.DEPENDENCY,
        "hello was not started because network-online.target, which it needs, failed",
        "systemctl status network-online.target",
        (),
    ),
    (
        failed(result="something-new", code=""),
        CauseKind.OTHER,
        "hello failed: its result is something-new",
        "journalctl -u aurora@hello.service",
        (),
    ),
    (
        failed({"restart": "no"}, safe_state=True, gave_up=True),
        CauseKind.EXITED,
        "the safe state of hello ended with status 7",
        "journalctl -u aurora@hello.service",
        (),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("evidence", "kind", "sentence", "remedy", "patch"), CASES)
def test_evidence_becomes_a_sentence_and_what_to_do(
    evidence: Evidence, kind: CauseKind, sentence: str, remedy: str, patch: tuple[str, ...]
) -> None:
    cause = explain(evidence, known=GRANTS, granted=("network.loopback",))
    assert (cause.kind, cause.sentence, cause.remedy, cause.patch) == (kind, sentence, remedy, patch)


@pytest.mark.parametrize("patch", [case[4] for case in CASES if case[4]], ids=" ".join)
def test_a_patch_is_lines_that_a_manifest_can_have(patch: tuple[str, ...]) -> None:
    tomllib.loads("\n".join(patch))
    manifest("\n".join(patch) if patch[0] != "[watchdog]" else '[start]\nreadiness = "notify"\n' + "\n".join(patch))


def test_every_failure_has_a_case() -> None:
    fine = {"healthy", "starting", "never-started", "stopped", "ended", "resources"}
    fine |= {"damaged"}  # which the disk tells, and no evidence: see test_why
    assert {str(kind) for kind in CauseKind} - {str(case[1]) for case in CASES} == fine


def test_a_grant_that_this_machine_does_not_have_is_not_proposed() -> None:
    cause = explain(failed(denials=refused("open", "/etc/secret", "r")), known={"network.loopback"})
    assert cause.patch == ()


def test_a_grant_that_the_module_has_is_not_proposed_again() -> None:
    denials = refused("open", "/proc/loadavg", "r")
    assert explain(failed(denials=denials), known=GRANTS).patch == ("[sandbox]", 'grants = ["host.figures"]')
    assert explain(failed(denials=denials), known=GRANTS, granted=("host.figures",)).patch == ()


def test_what_speaks_for_it_is_told_with_its_measure() -> None:
    told = dict(told_evidence(failed({"memory_max": 64 << 20}, memory_peak_bytes=40 << 20, oom_kills=2, times=5)))
    assert told["memory"] == "peak 40M of at most 64M; killed for memory: 2"
    assert told["run"] == "came up, ran 3s, ended with status 7 (systemd: exit-code)"
    assert told["recorded"] == "5 failures in a row with this cause"


@given(
    result=st.sampled_from(["exit-code", "signal", "core-dump", "timeout", "oom-kill", "watchdog", "protocol", "x"]),
    code=st.sampled_from(["", "exited", "killed", "dumped"]),
    status=st.integers(0, 255),
    peak=st.none() | st.integers(0, 1 << 50),
    limit=st.integers(1 << 20, 1 << 50),
    up=st.booleans(),
)
def test_whatever_is_known_there_is_a_sentence_and_a_patch_that_is_taken(
    result: str, code: str, status: int, peak: int | None, limit: int, up: bool
) -> None:
    evidence = failed({"memory_max": limit}, result=result, code=code, status=status, memory_peak_bytes=peak, was_up=up)
    cause = explain(evidence)
    assert cause.sentence.startswith("hello ")
    assert "\n" not in cause.sentence
    manifest("\n".join(cause.patch))
    if cause.kind is CauseKind.OUT_OF_MEMORY:
        assert manifest("\n".join(cause.patch)).limits.memory_max_bytes >= limit * 5 // 4
