"""What apt is about to install is judged before dpkg has it."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

pytest.importorskip("pystemd", reason="pystemd is in the build tree")

from aurora.cli import gate, sign  # after what they need is known to be there
from aurora.cli.main import main
from aurora.runtime.accepted import read_accepted
from aurora.update.keyring import DEFAULT_RULES
from tests.unit.runtime.rig import Rig
from tests.unit.update import deb
from tests.unit.update.signing import key, plain_deb, signed_deb

type Gate = Callable[..., tuple[int, str]]


@pytest.fixture
def through(rig: Rig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Gate:
    """Exit status and stderr, with apt about to install these files as packages of these names."""
    for module in (gate, sign):
        monkeypatch.setattr(module, "Paths", lambda: rig.paths)
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    def run(*packages: tuple[str, Path], said: bytes | None = None) -> tuple[int, str]:
        rows = "".join(f"{name} - - none < 1.2 all none {file}\n" for name, file in packages)
        given = f"VERSION 3\nAPT::Architecture=amd64\n\n{rows}".encode() if said is None else said
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        capsys.readouterr()
        status = main(["apt-gate"])
        return status, capsys.readouterr().err

    return run


def word(rig: Rig, mode: str) -> None:
    rig.write("etc/aurora/core.toml", f'signatures = "{mode}"\n')


def test_what_is_not_ours_is_no_affair_of_ours(through: Gate, rig: Rig) -> None:
    word(rig, "required")
    assert through(("cowsay", rig.folder / "there-is-no-such-file.deb")) == (0, "")


def test_a_good_package_passes_where_nobody_asks_for_signatures(through: Gate, rig: Rig) -> None:
    assert through(("aurora-module-hello", plain_deb(rig.folder / "work"))) == (0, "")
    assert not rig.paths.accepted.exists()


def test_a_hostile_package_is_refused_whatever_the_owner_says_of_signatures(through: Gate, rig: Rig) -> None:
    evil = deb.tar(*deb.GOOD, deb.Item("./etc/cron.d/x"))
    file = plain_deb(rig.folder / "work", "6.6", data=evil)
    status, err = through(("aurora-module-hello", file))
    assert (status, "outside /usr/lib/aurora/modules" in err, str(file) in err) == (69, True, True)


def test_a_package_that_holds_another_module_is_refused(through: Gate, rig: Rig) -> None:
    status, err = through(("aurora-module-other", plain_deb(rig.folder / "work")))
    assert (status, "aurora-module-other holds the module hello" in err) == (69, True)


def test_where_they_are_required_an_unsigned_package_is_refused_and_a_signed_one_noted(
    through: Gate, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    word(rig, "required")
    status, err = through(("aurora-module-hello", plain_deb(rig.folder / "work")))
    assert (status, "nobody has signed it" in err) == (69, True)
    assert read_accepted(rig.paths, "hello") is None

    monkeypatch.setattr(sign, "trusted", lambda _paths: ((key("ann"),), DEFAULT_RULES))
    file = signed_deb(rig.folder / "work", "ann", expires=sign.today() + timedelta(days=9))
    status, err = through(("aurora-module-hello", file))
    assert (status, "1.2 is signed by ann (release)" in err) == (0, True), err
    note = read_accepted(rig.paths, "hello")
    assert note is not None
    assert (note.version, note.signers) == ("1.2", ("ann",))


def test_of_several_all_that_is_wrong_is_told_at_once(through: Gate, rig: Rig) -> None:
    word(rig, "required")
    work = rig.folder / "work"
    status, err = through(("aurora-module-hello", plain_deb(work)), ("aurora-core", plain_deb(work, "0.2")))
    assert status == 69
    assert err.count("nobody has signed it") == 2


def test_the_core_is_judged_for_its_signatures_alone(through: Gate, rig: Rig) -> None:
    file = plain_deb(rig.folder / "work", data=deb.tar(deb.Item("./usr/bin/auroractl", b"x", mode=0o755)))
    assert through(("aurora-core", file)) == (0, "")
    word(rig, "warn")
    status, err = through(("aurora-core", file))
    assert (status, "would be refused were signatures required" in err) == (0, True)


def test_a_list_that_is_not_understood_lets_nothing_in(through: Gate) -> None:
    status, err = through(said=b"/var/cache/apt/archives/aurora-module-hello_1.2_all.deb\n")
    assert status == 65
    assert "/etc/apt/apt.conf.d/50aurora-core" in err
