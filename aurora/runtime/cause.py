"""Evidence -> one sentence of root cause, and what to do about it. Pure.

The sentence comes from the most certain thing that is known: what systemd itself did (killed for memory, watchdog,
no answer in time), then how the program ended, with what the kernel had refused it before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum

from aurora.names import unit_name
from aurora.quantity import format_duration, format_size
from aurora.runtime.allowing import allowing_grant
from aurora.runtime.evidence import Denial, Evidence
from aurora.runtime.results import REMEDY, SETUP_STATUS, result_words, signal_name

__all__ = ["Cause", "CauseKind", "explain", "told_evidence"]

HOUR_USEC = 3_600_000_000
_MIB = 1 << 20
_SIGSYS = 31
_STATUS_EXEC, _STATUS_APPARMOR = 203, 231
_CODES = {"exited": 1, "killed": 2, "dumped": 3}  # CLD_EXITED and so on of siginfo_t, which result_words takes


class CauseKind(StrEnum):
    """Causes that can be told apart; `auroractl why --json` gives one of these words."""

    HEALTHY = "healthy"
    DAMAGED = "damaged"
    """Its files are not what was staged."""
    STARTING = "starting"
    NEVER_STARTED = "never-started"
    ENDED = "ended"
    """By itself and without an error, and it is not to be started again then."""
    STOPPED = "stopped"
    """By its owner."""
    OUT_OF_MEMORY = "out-of-memory"
    WATCHDOG = "watchdog"
    NOT_READY = "not-ready"
    ENDED_EARLY = "ended-early"
    """It ended before it said that it is ready."""
    FORCED = "stopped-by-force"
    """It did not end when it was told to, and was killed."""
    REFUSED_SYSCALL = "refused-syscall"
    REFUSED_ACCESS = "refused-access"
    """AppArmor refused it something, and it ended with an error."""
    NOT_EXECUTABLE = "not-executable"
    NO_PROFILE = "no-profile"
    SETUP = "setup"
    """systemd could not set up what it runs in."""
    DEPENDENCY = "dependency"
    START_LIMIT = "start-limit"
    RESOURCES = "resources"
    KILLED = "killed"
    EXITED = "exited"
    OTHER = "other"


@dataclass(frozen=True, kw_only=True, slots=True)
class Cause:
    """What is the matter, in one sentence, and what to do."""

    kind: CauseKind
    sentence: str
    remedy: str
    """What to try; empty when there is nothing to do."""
    patch: tuple[str, ...]
    """Lines for the manifest that would help; empty where none would."""


def explain(evidence: Evidence, *, known: Collection[str] = (), granted: Collection[str] = ()) -> Cause:
    """The cause of a failure. `known` are this machine's grants, `granted` those that the module has."""
    kind = _kind(evidence)
    clause, remedy, patch = _TOLD[kind](evidence, known, granted)
    subject = f"the safe state of {evidence.module}" if evidence.safe_state else evidence.module
    sentence = f"{subject} {clause}"
    if evidence.gave_up and not evidence.safe_state and kind not in (CauseKind.FORCED, CauseKind.START_LIMIT):
        sentence += _given_up(evidence)
    return Cause(kind=kind, sentence=sentence, remedy=remedy, patch=patch)


def _kind(one: Evidence) -> CauseKind:
    if one.dependency:
        return CauseKind.DEPENDENCY
    plain = {
        "oom-kill": CauseKind.OUT_OF_MEMORY,
        "watchdog": CauseKind.WATCHDOG,
        "timeout": CauseKind.FORCED if one.was_up else CauseKind.NOT_READY,
        "start-limit-hit": CauseKind.START_LIMIT,
        "resources": CauseKind.RESOURCES,
    }
    if one.result in plain:
        return plain[one.result]
    if one.code in ("killed", "dumped"):
        refused = one.status == _SIGSYS or any(denial.source == "seccomp" for denial in one.denials)
        return CauseKind.REFUSED_SYSCALL if refused else CauseKind.KILLED
    if one.result == "exit-code" and one.status in SETUP_STATUS:
        return {
            _STATUS_EXEC: CauseKind.NOT_EXECUTABLE,
            _STATUS_APPARMOR: CauseKind.NO_PROFILE,
        }.get(one.status, CauseKind.SETUP)
    if one.denials:
        return CauseKind.REFUSED_ACCESS
    if one.result == "protocol" and one.status == 0:
        return CauseKind.ENDED_EARLY
    return CauseKind.EXITED if one.result in ("exit-code", "protocol") else CauseKind.OTHER


def _given_up(one: Evidence) -> str:
    after, within = one.settings.get("give_up_after"), one.settings.get("give_up_within")
    if isinstance(after, int) and isinstance(within, int):
        return f"; systemd gave up after {after} starts within {format_duration(within)}"
    return '; it is not started again, as restart.policy is "no"'


type _Told = tuple[str, str, tuple[str, ...]]
"""A clause after the module's name, a remedy, a patch."""


def _number(one: Evidence, key: str) -> int | None:
    value = one.settings.get(key)
    return value if isinstance(value, int) else None


def _out_of_memory(one: Evidence, _known: Collection[str], _granted: Collection[str]) -> _Told:
    limit, peak = _number(one, "memory_max"), one.memory_peak_bytes
    if limit is None:
        return "was killed because the machine had no memory left", "a limits.memory_max for what uses most", ()
    wanted = _roomier(max(limit, peak or 0))
    clause = f"was killed by the kernel because it used more memory than limits.memory_max, {format_size(limit)}"
    remedy = f"{REMEDY['oom-kill']}, where it needs that much"
    return clause, remedy, ("[limits]", f'memory_max = "{format_size(wanted)}"')


def _roomier(size_bytes: int) -> int:
    """Half as much again, in whole steps of an eighth of the power of two below, at least 1 MiB."""
    wanted = size_bytes + size_bytes // 2
    step = max(_MIB, (1 << (wanted.bit_length() - 1)) // 8)
    return -(-wanted // step) * step


def _longer(usec: int) -> int:
    return min(2 * usec, HOUR_USEC)


def _watchdog(one: Evidence, _known: Collection[str], _granted: Collection[str]) -> _Told:
    limit = _number(one, "watchdog")
    if limit is None:
        return "missed its watchdog", "aurora.sdk.alive() in its loop", ()
    clause = f"was killed because it hung: it did not say that it is alive for {format_duration(limit)}"
    if one.ran_sec:
        clause += f", {format_duration(one.ran_sec * 1_000_000)} after its start"
    remedy = "looking at what it did last, or, where it is busy that long, a longer watchdog.timeout"
    return clause, remedy, ("[watchdog]", f'timeout = "{format_duration(_longer(limit))}"')


def _not_ready(one: Evidence, _known: Collection[str], _granted: Collection[str]) -> _Told:
    limit = _number(one, "start_timeout")
    within = f" within {format_duration(limit)}" if limit is not None else " in time"
    if one.settings.get("readiness") != "notify":
        return f"did not come up{within}", "a longer start.timeout", _start(one)
    clause = f"did not say that it is ready{within}"
    return clause, f'{REMEDY["timeout"]}, or readiness = "exec" if it never says so', _start(one)


def _start(one: Evidence) -> tuple[str, ...]:
    limit = _number(one, "start_timeout")
    return () if limit is None or limit >= HOUR_USEC else ("[start]", f'timeout = "{format_duration(_longer(limit))}"')


def _ended_early(_one: Evidence, _known: Collection[str], _granted: Collection[str]) -> _Told:
    return "ended before it said that it is ready", REMEDY["protocol"], ("[start]", 'readiness = "exec"')


def _forced(_one: Evidence, _known: Collection[str], _granted: Collection[str]) -> _Told:
    clause = "did not end when it was told to, and was killed"
    return clause, "ending at SIGTERM; a Python program does so when it handles no signals", ()


def _refused_syscall(one: Evidence, known: Collection[str], granted: Collection[str]) -> _Told:
    calls = list(dict.fromkeys(denial.operation for denial in one.denials if denial.source == "seccomp"))
    named = f", {calls[0]}," if calls else ""
    clause = f"was killed because it made a system call{named} that its sandbox does not allow"
    remedy, patch = _grants([d for d in one.denials if d.source == "seccomp"], known, granted)
    return clause, remedy or "a program without that call: no grant of this machine allows it", patch


def _refused_access(one: Evidence, known: Collection[str], granted: Collection[str]) -> _Told:
    first = one.denials[0]
    ended = result_words(one.result, _CODES.get(one.code, 0), one.status).removeprefix("its program ")
    clause = f"{ended} after {_refusal(first)}"
    remedy, patch = _grants(one.denials, known, granted)
    return clause, remedy or "a program that does without it: no grant of this machine allows it", patch


def _refusal(denial: Denial) -> str:
    if denial.source == "seccomp":
        return f"its sandbox refused the system call {denial.operation}"
    asked = f" ({denial.asked})" if denial.asked else ""
    return f"AppArmor refused it {denial.operation} of {denial.subject or 'something'}{asked}"


def _grants(
    denials: Collection[Denial], known: Collection[str], granted: Collection[str]
) -> tuple[str, tuple[str, ...]]:
    found = [grant for one in denials if (grant := allowing_grant(one, known=known)) is not None]
    new = [grant for grant in dict.fromkeys(found) if grant not in granted]
    if not new:
        return "", ()
    words = ", ".join(f'"{grant}"' for grant in (*granted, *new))
    plural = "s" if len(new) > 1 else ""
    return f"the grant{plural} {', '.join(new)}, if it may have that", ("[sandbox]", f"grants = [{words}]")


def _not_executable(one: Evidence, _known: Collection[str], _granted: Collection[str]) -> _Told:
    program = one.settings.get("program", "")
    clause = "could not be executed: its program is missing, or its interpreter is, or it may not be executed"
    if isinstance(program, str) and program:
        clause = f"could not be executed: {program} is missing, or its interpreter is, or it may not be executed"
    return clause, "installing the program or the interpreter named in its first line, or chmod +x in the module", ()


def _no_profile(one: Evidence, _known: Collection[str], _granted: Collection[str]) -> _Told:
    remedy = f"auroractl restart {one.module}, which loads it"
    return "could not be started: its AppArmor profile is not loaded", remedy, ()


def _setup(one: Evidence, _known: Collection[str], _granted: Collection[str]) -> _Told:
    return f"could not be started: {SETUP_STATUS[one.status]}", f"journalctl -u {unit_name(one.module)}", ()


def _dependency(one: Evidence, _known: Collection[str], _granted: Collection[str]) -> _Told:
    name = one.dependency.removeprefix("aurora@").removesuffix(".service")
    ours = unit_name(name) == one.dependency
    remedy = f"auroractl why {name}" if ours else f"systemctl status {one.dependency}"
    return f"was not started because {one.dependency}, which it needs, failed", remedy, ()


def _start_limit(one: Evidence, _known: Collection[str], _granted: Collection[str]) -> _Told:
    clause = "was started too often, and systemd gave up" + _given_up(one).removeprefix("; systemd gave up")
    remedy = "auroractl start " + one.module + " when its cause is gone, or a larger restart.give_up_after"
    after = _number(one, "give_up_after")
    return clause, remedy, () if after is None else ("[restart]", f"give_up_after = {min(after * 2, 10_000)}")


def _resources(one: Evidence, _known: Collection[str], _granted: Collection[str]) -> _Told:
    return "could not be started because the machine lacked the resources", f"journalctl -u {unit_name(one.module)}", ()


def _ended_with(one: Evidence, _known: Collection[str], _granted: Collection[str]) -> _Told:
    words = result_words(one.result, _CODES.get(one.code, 0), one.status)
    clause = words.removeprefix("its program ").removeprefix("it ")
    if clause == words:
        clause = f"failed: {words}"
    remedy = f"auroractl logs {one.module}" if one.lines else f"journalctl -u {unit_name(one.module)}"
    return clause, f"its last lines below, and {remedy}" if one.lines else remedy, ()


_TOLD: dict[CauseKind, Callable[[Evidence, Collection[str], Collection[str]], _Told]] = {
    CauseKind.OUT_OF_MEMORY: _out_of_memory,
    CauseKind.WATCHDOG: _watchdog,
    CauseKind.NOT_READY: _not_ready,
    CauseKind.ENDED_EARLY: _ended_early,
    CauseKind.FORCED: _forced,
    CauseKind.REFUSED_SYSCALL: _refused_syscall,
    CauseKind.REFUSED_ACCESS: _refused_access,
    CauseKind.NOT_EXECUTABLE: _not_executable,
    CauseKind.NO_PROFILE: _no_profile,
    CauseKind.SETUP: _setup,
    CauseKind.DEPENDENCY: _dependency,
    CauseKind.START_LIMIT: _start_limit,
    CauseKind.RESOURCES: _resources,
    CauseKind.KILLED: _ended_with,
    CauseKind.EXITED: _ended_with,
    CauseKind.OTHER: _ended_with,
}


def told_evidence(one: Evidence) -> list[tuple[str, str]]:
    """What speaks for the cause, as labels and texts, the most telling first."""
    rows = [("run", _run(one))]
    limit = _number(one, "memory_max")
    if one.memory_peak_bytes is not None:
        of = "" if limit is None else f" of at most {format_size(limit, exact=False)}"
        kills = f"; killed for memory: {one.oom_kills}" if one.oom_kills else ""
        rows.append(("memory", f"peak {format_size(one.memory_peak_bytes, exact=False)}{of}{kills}"))
    for denial in one.denials:
        often = f", {denial.often} times" if denial.often > 1 else ""
        rows.append(("refused", _refusal(denial) + often))
    restarts = f"{one.restarts} by systemd" + ("; it gave up" if one.gave_up else "")
    rows.append(("restarts", restarts))
    if one.times > 1:
        rows.append(("recorded", f"{one.times} failures in a row with this cause"))
    rows += [("changed", f"{format_duration(c.before_sec * 1_000_000)} before: {c.what}") for c in one.changes]
    return rows


def _run(one: Evidence) -> str:
    ended = {"exited": f"status {one.status}", "killed": signal_name(one.status), "dumped": signal_name(one.status)}
    end = ended.get(one.code, "no program ran")
    up = "came up" if one.was_up else "did not come up"
    return f"{up}, ran {format_duration(one.ran_sec * 1_000_000)}, ended with {end} (systemd: {one.result})"
