"""`make repo SIGNER=` with a key in a token: auroractl of this machine signs, as nothing else comes to the token."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.vm import repo
from tests.vm.errors import RigError
from tests.vm.repo import sign_with_token

AURORACTL = """#!/bin/sh
[ "$1 $3" = "sign --key" ] && [ "$(basename "$2")" != bad.deb ] && echo "by $4" >>"$2"
"""
"""Signs so that one sees by which key, and fails for bad.deb."""


@pytest.fixture
def debs(tmp_path: Path) -> list[Path]:
    """Two packages."""
    found = [tmp_path / "one.deb", tmp_path / "two.deb"]
    for deb in found:
        deb.write_text("a package\n")
    return found


@pytest.fixture
def auroractl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has one."""
    program = tmp_path / "bin/auroractl"
    program.parent.mkdir()
    program.write_text(AURORACTL)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")


def test_each_package_is_signed_in_place_with_the_keys_file(
    auroractl: None, tmp_path: Path, debs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sign_with_token(Path("release.key"), debs)
    assert [deb.read_text() for deb in debs] == [f"a package\nby {tmp_path}/release.key\n"] * 2


@pytest.mark.parametrize(("line", "here"), [("aurora-core token key 1", True), ("aurora-core private key 1", False)])
def test_only_a_key_in_a_token_is_left_to_the_machine(
    auroractl: None,
    tmp_path: Path,
    debs: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    line: str,
    here: bool,
) -> None:
    in_tree: list[str] = []

    def run(command: list[str], **_more: Any) -> int:
        in_tree.append(command[-1])
        return 0

    monkeypatch.setattr(repo, "packages", lambda _source: SimpleNamespace(debs=debs))
    monkeypatch.setattr(repo.chroot, "run", run)
    signer, work = tmp_path / "release.key", tmp_path / "work"
    signer.write_text(f"{line}\nkey 3f\n")
    work.mkdir()
    signed = repo.shipped(tmp_path, work, signer=signer)
    assert [deb.name for deb in signed] == ["one.deb", "two.deb"]
    assert [deb.read_text().endswith(f"by {signer}\n") for deb in signed] == [here] * 2
    assert (in_tree[1:] == ["release.key"]) is not here


def test_one_that_is_not_signed_ends_it(auroractl: None, tmp_path: Path, debs: list[Path]) -> None:
    with pytest.raises(RigError, match=r"cannot sign the packages.* status 1"):
        sign_with_token(tmp_path / "release.key", [tmp_path / "bad.deb", *debs])
    assert {deb.read_text() for deb in debs} == {"a package\n"}


def test_without_auroractl_on_the_machine_it_is_told_what_to_do(
    tmp_path: Path, debs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RigError, match=r"release\.key is in a token, .*try apt install \./aurora-core_"):
        sign_with_token(tmp_path / "release.key", debs)
    assert {deb.read_text() for deb in debs} == {"a package\n"}
