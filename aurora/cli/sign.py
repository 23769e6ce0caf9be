"""sign and verify, and the judgement of a package that is to be installed."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from types import SimpleNamespace

from aurora.cli import render
from aurora.cli.key import asked, asked_pin, day_or_none, own_folder, tell_of_token
from aurora.errors import AuroraError, InputError, NotFound, Problem, Refused, UsageError
from aurora.names import is_module_name, package_name
from aurora.paths import Paths
from aurora.policy import SIGNATURES_REQUIRED
from aurora.runtime.accepted import Accepted, read_accepted, remember, today
from aurora.runtime.folders import folder_digest
from aurora.update.keys import BrokenKey, PrivateKey, WrongPassphrase, is_sealed, is_signed, read_private
from aurora.update.keys import sign as sign_bytes
from aurora.update.keystore import own_keys, read_own, trusted
from aurora.update.kinds import brief
from aurora.update.signature import Signature, Statement, signed_bytes, statement_fault
from aurora.update.signed import Signed, installed_version, read_signed, write_signed
from aurora.update.tokenfile import is_token_file, parse_token_file
from aurora.update.trust import Known, Signer, Verdict, judge
from aurora.update.unpack import held
from aurora.update.versions import is_older

__all__ = ["admit", "sign", "signers_of", "verify"]

_PACKAGE_OF_MODULE = package_name("")


# Signing


def sign(arguments: SimpleNamespace) -> int:
    """`auroractl sign FILE.deb`."""
    deb = Path(arguments.deb)
    target = Path(os.path.realpath(deb)) if arguments.output is None else Path(arguments.output)
    expires = day_or_none(arguments.expires, "--expires")
    with held(deb) as copy:
        signed = read_signed(copy, shown=str(deb))
        _check_whole(signed, deb)
        statement, kept = _statement(signed, expires, arguments.lowest, deb)
        mine = _signed(statement, arguments.key)
        write_signed(copy, target, [*(one for one in kept if one.key != mine.key), mine])
    gone = len(signed.signatures) - len(kept)
    if gone:
        render.tell(f"{gone} older signatures were over another statement, and are gone")
    count = len({mine.key, *(one.key for one in kept)})
    facts = statement.facts
    render.tell(
        f"signed {facts.package} {facts.version} ({facts.architecture}) by {brief(mine.key)}: to be installed until"
        f" {statement.expires}, and not to be followed by versions below {statement.lowest};"
        f" {count} signature{'s are' if count > 1 else ' is'} in it"
    )
    return 0


def _check_whole(signed: Signed, deb: Path) -> None:
    """That nobody signs beside a signature that is damaged, or was made for another package."""
    for one in signed.signatures:
        good = is_signed(one.key, signed_bytes(one.statement, one.key), one.signature)
        if not good or one.statement.facts != signed.facts:
            why = f"the signature of {brief(one.key)} in it is damaged, or was made for another package"
            raise InputError("sign the package", why, where=str(deb), remedy="the package as its maker gave it")


def _statement(
    signed: Signed, expires: date | None, lowest: str | None, deb: Path
) -> tuple[Statement, list[Signature]]:
    """What is to be signed, and the signatures that say the same."""
    first = signed.signatures[0].statement if signed.signatures else None
    if first is None:
        first = Statement(signed.facts, _year_later(today()), signed.facts.version)
    wanted = Statement(
        signed.facts, first.expires if expires is None else expires, first.lowest if lowest is None else lowest
    )
    if fault := statement_fault(wanted):
        raise UsageError("sign the package", fault, where=str(deb), remedy="--lowest with its version, or a lower one")
    if wanted.expires < today():
        raise UsageError("sign the package", f"{wanted.expires} is over", where=str(deb), remedy="--expires with a day")
    return wanted, [one for one in signed.signatures if one.statement == wanted]


def _year_later(day: date) -> date:
    return date(day.year + 1, day.month, min(day.day, 28) if day.month == 2 else day.day)


def _signed(statement: Statement, name: str | None) -> Signature:
    """The statement signed by the signer's key, its passphrase or its token's PIN asked for where it has one."""
    file, data = _own_key(name)
    if not is_token_file(data):
        private = _private(file, data)
        return Signature(statement, private.key, sign_bytes(private, signed_bytes(statement, private.key)))
    # Loads the library that knows tokens, if it is there; most keys are in files.
    from aurora.update.tokens import sign_in_token  # noqa: PLC0415  # see above

    public, uri = parse_token_file(data)
    made, key = sign_in_token(public, uri, signed_bytes(statement, public), asked_pin)
    tell_of_token(key)
    return Signature(statement, public, made)


def _own_key(name: str | None) -> tuple[Path, bytes]:
    """The file of the signer's key, and what is in it."""
    what = "sign the package"
    if name is None:
        own, _ = own_keys(own_folder())
        if len(own) != 1:
            known = ", ".join(one.name for one in own)
            raise NotFound(what, f"you have {len(own)} keys", where=str(own_folder()),
                           remedy=f"--key with one of {known}" if known else "auroractl key new first")  # fmt: skip
        name = own[0].name
    return read_own(own_folder(), name)


def _private(file: Path, data: bytes) -> PrivateKey:
    what = "sign the package"
    remedy = "a terminal, or a key that was made with --no-passphrase"
    passphrase = asked(f"passphrase of {file}: ", what, remedy).encode(errors="surrogateescape") if (
        is_sealed(data)) else None  # fmt: skip
    try:
        return read_private(data, passphrase)
    except (WrongPassphrase, BrokenKey) as error:
        raise InputError(what, str(error), where=str(file)) from error


# Judging


def verify(arguments: SimpleNamespace) -> int:
    """`auroractl verify FILE.deb`."""
    signed = read_signed(Path(arguments.deb))
    verdict = _judged(Paths(), signed)
    if arguments.json:
        render.dump(_document(signed, verdict, _problems(verdict, "trust the package", arguments.deb)))
    elif verdict.signers:
        render.emit(_table(verdict))
    if not verdict.accepted:
        if not arguments.json:
            raise Refused.of(_problems(verdict, "trust the package", arguments.deb))
        for problem in _problems(verdict, "trust the package", arguments.deb):
            render.tell(f"auroractl: {problem}")
        return Refused.exit_status
    if not arguments.json:
        render.emit(f"{signed.facts.package} {signed.facts.version} is accepted: {_said(verdict)}")
    return 0


def _judged(paths: Paths, signed: Signed) -> Verdict:
    keyring, rules = trusted(paths)
    module = signed.facts.package.removeprefix(_PACKAGE_OF_MODULE)
    is_module = signed.facts.package == package_name(module) and is_module_name(module)
    note = read_accepted(paths, module) if is_module else None
    known = Known(installed_version(paths, signed.facts.package), None if note is None else note.lowest)
    return judge(signed.facts, signed.signatures, keyring, rules, today=today(), known=known)


def _problems(verdict: Verdict, what: str, where: str) -> list[Problem]:
    return [Problem(what, reason, where) for reason in verdict.reasons]


def _document(signed: Signed, verdict: Verdict, problems: list[Problem]) -> dict[str, object]:
    said = verdict.statement
    return {
        "accepted": verdict.accepted,
        "package": signed.facts.package,
        "version": signed.facts.version,
        "architecture": signed.facts.architecture,
        "expires": None if said is None else said.expires.isoformat(),
        "lowest": None if said is None else said.lowest,
        "signatures": [
            {"name": one.name or None, "key": one.key, "roles": list(one.roles), "why_not": one.fault or None}
            for one in verdict.signers
        ],
        "problems": [problem.to_json() for problem in problems],
    }


def _table(verdict: Verdict) -> str:
    rows = [(one.name or "-", one.key, ", ".join(one.roles) or "-", one.fault or "yes") for one in verdict.signers]
    return render.table(("SIGNED BY", "KEY", "ROLES", "COUNTS"), rows)


def _said(verdict: Verdict) -> str:
    return f"signed by {', '.join(f'{one.name} ({", ".join(one.roles)})' for one in _counting(verdict))}"


def _counting(verdict: Verdict) -> list[Signer]:
    return [one for one in verdict.signers if not one.fault]


def _names(verdict: Verdict) -> tuple[str, ...]:
    return tuple(one.name for one in _counting(verdict))


def signers_of(paths: Paths, deb: Path) -> tuple[str, ...]:
    """The names of the keys for whose signatures a package would be accepted, where nobody asks for any; none where it
    would not be, for whatever reason.
    """
    try:
        verdict = _judged(paths, read_signed(deb))
    except AuroraError:
        return ()
    return _names(verdict) if verdict.accepted else ()


def admit(paths: Paths, deb: Path, folder: Path | None, *, mode: str, shown: str) -> tuple[str, ...]:
    """Judge a package that is to be installed; `folder` is the module unpacked of it, None for the core's own.

    Refused, with every reason, when signatures are required and it is not accepted; where the owner wants only to be
    warned, that is told. What is accepted of a module is noted, as its signatures do not reach dpkg:
    `runtime.packages` compares. The names of the keys for whose signatures it is accepted; none where it is not.
    """
    signed = read_signed(deb, shown=shown)
    verdict = _judged(paths, signed)
    if not verdict.accepted:
        if mode == SIGNATURES_REQUIRED:
            raise Refused.of(_problems(verdict, "install the package", shown))
        for reason in verdict.reasons:
            render.tell(f"auroractl: warning: {shown} would be refused were signatures required: {reason}")
        return ()
    if folder is not None:
        _remember(paths, signed, verdict, folder)
    render.tell(f"{signed.facts.package} {signed.facts.version} is {_said(verdict)}")
    return _names(verdict)


def _remember(paths: Paths, signed: Signed, verdict: Verdict, folder: Path) -> None:
    statement = verdict.statement
    assert statement is not None  # noqa: S101  # what is accepted makes one statement
    module = folder.name
    before = read_accepted(paths, module)
    lowest = statement.lowest
    if before is not None and is_older(lowest, before.lowest):
        lowest = before.lowest  # it only rises
    digest = folder_digest(folder)
    remember(paths, Accepted(module, signed.facts.version, lowest, statement.expires, digest, _names(verdict)))
