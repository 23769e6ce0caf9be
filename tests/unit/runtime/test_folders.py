from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from aurora.errors import AuroraError, Denied, HostError, InputError, NotFound, Refused
from aurora.identity import installed
from aurora.plan import Plan
from aurora.runtime.folders import Planner, folder_digest, owner_file, read_module
from tests.unit.runtime.rig import Rig


@pytest.fixture
def folder(rig: Rig) -> Path:
    return rig.module()


def test_a_folder_is_read_as_its_manifest_says(folder: Path) -> None:
    assert read_module(folder).name == "hello"


def test_an_older_manifest_is_read_as_well(tmp_path: Path) -> None:
    (tmp_path / "module.json").write_text('{"name": "older", "version": "1", "entry": "run.py"}')
    (tmp_path / "run.py").write_text("pass")
    assert read_module(tmp_path).name == "older"


def test_errors_give_the_folder_the_name_that_the_user_knows(folder: Path) -> None:
    (folder / "run.py").unlink()
    with pytest.raises(InputError, match=r"at \./hello\.deb/module\.toml, key module\.entry"):
        read_module(folder, shown="./hello.deb")


@pytest.mark.parametrize(
    ("entry", "spoil", "why"),
    [
        ("run.py", lambda folder: (folder / "run.py").unlink(), "its folder has no file 'run.py'"),
        ("data", lambda _: None, "its folder has no file 'data'"),
        ("data/values", lambda _: None, "'data/values' is not executable"),
    ],
)
def test_a_program_that_could_not_be_run_is_named(
    folder: Path, entry: str, spoil: Callable[[Path], object], why: str
) -> None:
    manifest = folder / "module.toml"
    manifest.write_text(manifest.read_text().replace("run.py", entry))
    spoil(folder)
    with pytest.raises(InputError, match=re.escape(why)):
        read_module(folder)


def test_a_program_of_the_machine_may_come_later(folder: Path) -> None:
    manifest = folder / "module.toml"
    manifest.write_text(manifest.read_text().replace("run.py", "/nonexistent/program"))
    assert read_module(folder).entry == ("/nonexistent/program",)


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "data/values").write_text("other"),
        lambda folder: (folder / "run.py").chmod(0o755),
        lambda folder: (folder / "more").write_text(""),
        lambda folder: (folder / "more").mkdir(),
        lambda folder: (folder / "run.py").rename(folder / "run2.py"),
    ],
    ids=["content", "mode", "file", "folder", "name"],
)
def test_the_digest_of_a_folder_changes_with_anything_in_it(folder: Path, change: Callable[[Path], object]) -> None:
    before = folder_digest(folder)
    assert folder_digest(folder) == before
    change(folder)
    assert folder_digest(folder) != before


def test_the_digest_does_not_change_with_what_is_not_copied(folder: Path) -> None:
    before = folder_digest(folder)
    (folder / "__pycache__").mkdir()
    os.utime(folder / "run.py", (1, 1))
    (folder / "run.py").chmod(0o600)
    assert folder_digest(folder) == before


def test_the_owners_policy_of_a_name_replaces_the_packages(rig: Rig) -> None:
    rig.write("etc/aurora/policies/strict.toml", 'apparmor = ["/mine r,"]')
    planner = Planner(rig.paths)
    made = planner.plan(read_module(rig.module()), identity=installed("hello"), folder="/x")
    assert made.apparmor == ("/mine r,",)


def planned(rig: Rig, sandbox: str) -> Plan:
    module = read_module(rig.module(more=f"[sandbox]\n{sandbox}\n"))
    return Planner(rig.paths).plan(module, identity=installed("hello"), folder="/x")


def test_what_the_owner_never_gives_is_refused_all_at_once(rig: Rig) -> None:
    rig.write("etc/aurora/core.toml", 'grants_never = ["cap:*"]\npolicies_never = ["trusted"]')
    with pytest.raises(Refused) as caught:
        planned(rig, 'policy = "trusted"\ngrants = ["cap:KILL", "cap:CHOWN", "network.loopback"]')
    assert [problem.why.split(" (")[0].rpartition("gives ")[2] for problem in caught.value.problems] == [
        "the policy trusted",
        "the grant cap:KILL",
        "the grant cap:CHOWN",
    ]
    assert planned(rig, 'grants = ["network.loopback"]').module == "hello"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is in the build tree")
def test_a_score_above_the_owners_or_the_modules_own_bound_is_refused(rig: Rig) -> None:
    internet = 'grants = ["network.internet"]'
    assert planned(rig, internet + '\nexposure_max = "1.5"').module == "hello"
    with pytest.raises(Refused, match=r"key sandbox\.exposure_max"):
        planned(rig, internet + '\nexposure_max = "0.5"')
    rig.write("etc/aurora/core.toml", 'exposure_max = "0.5"')
    with pytest.raises(Refused, match=r"is above 0\.5: the policy strict costs .*the grant network\.internet costs"):
        planned(rig, internet)
    assert planned(rig, "").module == "hello"


@pytest.mark.parametrize("place", ["etc/aurora/core.toml", "etc/aurora/policies/mine.toml"])
@pytest.mark.parametrize(("number", "kind"), [(errno.EACCES, Denied), (errno.EIO, HostError)])
def test_a_file_of_the_owner_that_cannot_be_read_is_an_error_that_names_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, place: str, number: int, kind: type[AuroraError]
) -> None:
    rig.write(place, "")
    real = os.open

    def refusing(path: object, *args: int, **more: int) -> int:
        if str(path).endswith(place):
            raise OSError(number, os.strerror(number))
        return real(path, *args, **more)  # type: ignore[arg-type]  # whatever it is

    monkeypatch.setattr(os, "open", refusing)
    with pytest.raises(kind, match=re.escape(place)):
        Planner(rig.paths)


def test_a_link_in_the_place_of_the_owners_file_is_not_followed(rig: Rig) -> None:
    rig.write("etc/aurora/elsewhere", 'accept_unenforced = ["apparmor"]')
    rig.paths.owner_core.symlink_to("elsewhere")
    with pytest.raises(HostError, match=re.escape("core.toml")):
        Planner(rig.paths)


def test_a_folder_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no such folder"):
        read_module(tmp_path / "x")


# Who may decide


DECIDING = {
    "etc/aurora/core.toml": "",
    "etc/aurora/policies/own.toml": "",
    "etc/aurora/modules/hello.toml": "",
    "usr/share/aurora/policies/strict.toml": None,
}
"""What the machine's owner decides by, and what stands there; None: it is there already."""


def decide(rig: Rig) -> None:
    for place, text in DECIDING.items():
        if text is not None:
            rig.write(place, text)


def plan_of_hello(rig: Rig) -> None:
    manifest = read_module(rig.module(), owner=owner_file(rig.paths, "hello"))
    Planner(rig.paths).plan(manifest, identity=installed("hello"), folder="/x")


PLACES = sorted({*DECIDING, *(str(folder) for place in DECIDING for folder in Path(place).parents[:2]), "etc/aurora"})
PLACES = [place for place in PLACES if "aurora" in place]


@pytest.mark.parametrize("mode", [0o020, 0o002])
@pytest.mark.parametrize("place", PLACES)
def test_nothing_is_planned_by_what_others_may_write(rig: Rig, place: str, mode: int) -> None:
    decide(rig)
    plan_of_hello(rig)
    path = rig.paths.root / place
    path.chmod(path.stat().st_mode | mode)
    with pytest.raises(Refused, match=f"others than its owner may write there, at {path}; try chmod go-w {path}"):
        plan_of_hello(rig)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("place", PLACES)
def test_nothing_is_planned_by_what_belongs_to_somebody_else(rig: Rig, place: str) -> None:
    decide(rig)
    path = rig.paths.root / place
    os.chown(path, 1000, 1000)
    with pytest.raises(Refused, match=f"it belongs to user 1000, not to root, at {path}; try chown root {path}"):
        plan_of_hello(rig)


def test_all_files_that_cannot_be_trusted_are_named_at_once(rig: Rig) -> None:
    for number in range(3):
        rig.write(f"etc/aurora/policies/{number}.toml", "")
        (rig.paths.owner_policies / f"{number}.toml").chmod(0o666)
    with pytest.raises(Refused) as caught:
        Planner(rig.paths)
    assert len(caught.value.problems) == 3


def test_an_owner_without_files_is_fine(rig: Rig) -> None:
    plan_of_hello(rig)
