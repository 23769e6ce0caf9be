"""learn: what a module does, as the grants it needs."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace

from aurora.cli import render
from aurora.cli.span import span
from aurora.errors import AuroraError, UsageError
from aurora.host.caller import end_by_interrupt, require_root
from aurora.host.dbus import connect
from aurora.paths import Paths
from aurora.plan.evidence import Evidence
from aurora.plan.patch import evidence_words, sandbox_table
from aurora.quantity import format_duration
from aurora.runtime.learn import Learned, learn, subject
from aurora.runtime.learned import Proof, apply_learned, check_can_apply

__all__ = ["run"]

BOX_MIN_USEC, BOX_MAX_USEC = 1_000_000, 86_400_000_000
SHOWN_MAX = 40
"""Lines of what cannot be granted; the rest is counted, and --json has all of it."""
_WARNING = """\
{name} will be restarted LESS CONFINED for {box}: it may use the network, read and write what file permissions let
its user, and make system calls that its sandbox refuses. Do it on a machine, and with a module, you can afford that
with. It ends by itself after that time, also when this command is killed."""


def run(arguments: SimpleNamespace) -> int:
    """`auroractl learn NAME|DIR`."""
    require_root("learn what a module does")
    box_usec = _box(arguments.box, "--for")
    watch_usec = _box(arguments.watch, "--watch") if arguments.watch else box_usec
    paths = Paths()
    one = subject(paths, arguments.subject)
    render.tell(_WARNING.format(name=one.manifest.name, box=format_duration(box_usec)))
    if not arguments.yes:
        _confirm(one.manifest.name)
    # A kill and a terminal that is closed end the run early, as Ctrl-C does.
    end_by_interrupt()
    systemd = connect()
    learned = learn(paths, systemd, one, box_usec=box_usec)
    proof = None
    refusal: AuroraError | None = None
    if arguments.apply:
        try:
            check_can_apply(one.record, one.folder)
            render.tell(f"writing it, and watching {one.manifest.name} enforced for {format_duration(watch_usec)}")
            proof = apply_learned(paths, systemd, learned, watch_usec=watch_usec)
        except AuroraError as error:
            refusal = error
    if arguments.json:
        render.dump(_document(learned, proof))
    else:
        render.emit(_text(learned))
    if refusal is not None:
        raise refusal
    if proof is not None:
        _tell_proof(one.manifest.name, proof)
    return os.EX_SOFTWARE if learned.problem is not None or (proof is not None and not proof.holds) else 0


def _box(text: str, flag: str) -> int:
    return span(text, flag, example="10min", least_usec=BOX_MIN_USEC, most_usec=BOX_MAX_USEC)


def _confirm(name: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError("run a module less confined", "nobody confirmed it", remedy="--yes")
    sys.stderr.write(f"Type {name} to go on: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() != name:
        raise UsageError("run a module less confined", "it was not confirmed", remedy=f"typing {name}")


def _text(learned: Learned) -> str:
    proposal = learned.proposal
    name = learned.subject.manifest.name
    lines = [f"# What {name} was seen to do needs this in its module.toml.", "[sandbox]"]
    lines += sandbox_table(proposal).splitlines()
    if proposal.unused:
        lines += ["", f"# Left out, as nothing was seen to need it: {', '.join(proposal.unused)}"]
    if proposal.unreached:
        lines += ["", f"# No grant reaches these addresses, which it talked to: {', '.join(proposal.unreached)}"]
    if proposal.ungranted:
        lines += ["", "# No grant lets this through. Enforced, it is refused, and the module has to do without:"]
        lines += [f"#   {evidence_words(one)}" for one in proposal.ungranted[:SHOWN_MAX]]
        if len(proposal.ungranted) > SHOWN_MAX:
            lines.append(f"#   and {len(proposal.ungranted) - SHOWN_MAX} more, which --json shows")
    lines += ["", *(f"# {note}" for note in _notes(learned))]
    return "\n".join(lines)


def _notes(learned: Learned) -> list[str]:
    found = [f"{learned.records} records were read. What the module did not do meanwhile is not in here."]
    if learned.ports:
        found.append(f"It listened on port {', '.join(map(str, learned.ports))}.")
    if learned.lost:
        found.append(f"NOT COMPLETE: {learned.lost} records or more were lost or not understood; learn again, longer.")
    if learned.elsewhere:
        found.append(
            f"NOT COMPLETE: {learned.elsewhere} records are of programs that the sandbox does not let run; what they"
            " did is not judged."
        )
    if learned.early:
        found.append("NOT COMPLETE: the run ended before its time.")
    if learned.problem is not None:
        found += [f"IT DID NOT COME UP: {line}" for line in str(learned.problem).splitlines()]
    found.append(
        "Refused while learning too, without a trace: memory that is writable and executable, namespaces, real-time"
        " scheduling, setuid, most capabilities, and what file permissions refuse."
    )
    found.append("Not seen: whom it talked to over unix sockets (D-Bus among them), and single packets sent over UDP.")
    return found


def _tell_proof(name: str, proof: Proof) -> None:
    if proof.expected:
        render.tell(f"{name} was refused {len(proof.expected)} things that no grant lets through, and ran on")
    if proof.lost:
        render.tell(f"{proof.lost} records were lost meanwhile, so more may have been refused")
    if proof.holds:
        render.tell(f"{name} runs enforced under its new manifest, and nothing else was refused")
        return
    if proof.ended:
        render.tell(f"{name} ended while it was watched")
    for one in proof.refused:
        render.tell(f"{name} was refused: {evidence_words(one)}")
    render.tell(f"{name} was put back as it was; learning longer, or meanwhile using all that it does, may show more")


def _document(learned: Learned, proof: Proof | None) -> dict[str, object]:
    proposal = learned.proposal
    document: dict[str, object] = {
        "module": learned.subject.manifest.name,
        "policy": proposal.policy,
        "grants": [
            {"grant": one.grant, "evidence": [_row(seen) for seen in one.evidence], "peers": list(one.peers)}
            for one in proposal.grants
        ],
        "unused": list(proposal.unused),
        "ungranted": [_row(one) for one in proposal.ungranted],
        "unreached": list(proposal.unreached),
        "patch": "[sandbox]\n" + sandbox_table(proposal),
        "records": learned.records,
        "lost": learned.lost,
        "not_judged": learned.elsewhere,
        "complete": learned.complete and not learned.early and learned.problem is None,
        "ended_early": learned.early,
        "listened_on": list(learned.ports),
        "problem": learned.problem.to_json() if learned.problem is not None else None,
    }
    if proof is not None:
        document["proof"] = {
            "holds": proof.holds,
            "ended": proof.ended,
            "lost": proof.lost,
            "refused": [_row(one) for one in proof.refused],
            "refused_as_expected": [_row(one) for one in proof.expected],
        }
    return document


def _row(one: Evidence) -> dict[str, object]:
    return {
        "did": one.deed.did,
        "what": ascii(one.deed.what)[1:-1] if not one.deed.what.isprintable() else one.deed.what,
        "access": one.access,
        "count": one.count,
        "first_sec": one.first_sec,
        "program": ascii(one.program)[1:-1] if not one.program.isprintable() else one.program,
    }
