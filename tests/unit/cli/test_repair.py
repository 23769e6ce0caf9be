from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from aurora.cli import core, repair
from aurora.cli.main import main
from aurora.manifest import read_manifest
from aurora.runtime.damaged import read_damaged
from aurora.runtime.install import stage
from aurora.runtime.records import Origin, require
from tests.unit.runtime.rig import Rig
from tests.unit.update.deb import GOOD, tar, write_deb

NAMES = ("module.toml", "run.py")


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """A machine with the hello of a package, which dpkg has no copy of."""
    rig = Rig(tmp_path)
    monkeypatch.setattr(repair, "Paths", lambda: rig.paths)
    monkeypatch.setattr(core, "Paths", lambda: rig.paths)
    monkeypatch.setattr(repair, "require_root", lambda _what: None)
    write_deb(tmp_path, tar(*GOOD)).rename(tmp_path / "hello.deb")
    with repair.unpacked(tmp_path / "hello.deb") as folder:
        manifest = read_manifest((folder / "module.toml").read_bytes(), file="module.toml")
        stage(rig.paths, folder, manifest, Origin.PACKAGE, None, enabled=True)
    return rig


def slot(rig: Rig) -> Path:
    return Path(require(rig.paths, "hello").folder(rig.paths))


def test_what_is_whole_is_said_to_be(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["update", "verify"]) == 0
    said = "hello 1, active: all 2 files and folders of slot a are as they were staged\n"
    assert capsys.readouterr() == (said, "")
    assert main(["update", "repair"]) == 0
    assert capsys.readouterr() == ("", "all files are as they were staged\n")


def test_what_is_damaged_is_told_and_is_data_too(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    (slot(rig) / "run.py").write_text("PASS\n")
    assert main(["update", "verify", "hello"]) == 1
    told = capsys.readouterr()
    assert told.out == "hello 1, active: damaged in slot a: run.py: its content is another\n"
    assert told.err == "auroractl: sudo auroractl update repair hello\n"
    assert main(["update", "verify", "--json"]) == 1
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["module"], row["slot"], row["active"]) == ("hello", "a", True)
    assert row["damaged"] == [{"path": "run.py", "fault": "its content is another", "detail": ""}]


def test_it_is_mended_from_the_package_that_is_named(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    (slot(rig) / "run.py").unlink()
    package = str(rig.folder / "hello.deb")
    assert main(["update", "repair", "hello", "--from", package]) == 0
    assert capsys.readouterr().err.splitlines() == [
        f"hello, slot a: run.py was damaged, and is mended: {package}",
        "hello is whole; auroractl restart hello runs it from what was mended",
    ]
    assert (slot(rig) / "run.py").read_text() == "pass\n"
    assert (slot(rig) / "run.py").stat().st_mode & 0o7777 == 0o755


def test_it_is_mended_from_what_apt_has_kept(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    rig.paths.apt_archives.mkdir(parents=True)
    (rig.paths.apt_archives / "aurora-module-hello_0_all.deb").write_text("no package")
    shutil.copy(rig.folder / "hello.deb", rig.paths.apt_archives / "aurora-module-hello_1_all.deb")
    shutil.rmtree(slot(rig))
    assert main(["update", "repair", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert {one["path"] for one in row["mended"]} == {"", *NAMES}
    assert row["damaged"] == []
    assert sorted(path.name for path in slot(rig).iterdir()) == sorted(NAMES)


def test_what_nothing_holds_is_named_with_what_to_do(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    (slot(rig) / "run.py").unlink()
    assert main(["update", "repair"]) == 71
    said = capsys.readouterr().err
    assert "cannot repair hello, because nothing on this machine has what these of its files were" in said
    assert "run.py: it is missing" in said
    assert f"at {slot(rig)}; try auroractl update repair hello --from FILE.deb, or auroractl install FILE.deb" in said
    assert read_damaged(rig.paths, [require(rig.paths, "hello")]) == {"hello": "run.py: it is missing"}


def test_a_source_that_cannot_be_read_is_an_error_before_anything_is_done(
    rig: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["update", "repair", "--from", str(rig.folder / "gone.deb")]) == 66
    assert "there is no such file" in capsys.readouterr().err


def test_installing_the_version_that_is_active_mends_it(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    (slot(rig) / "module.toml").write_text("")
    with repair.unpacked(rig.folder / "hello.deb") as folder:
        repair.mend_installed(rig.paths, "hello", folder, "hello.deb")
    assert capsys.readouterr().err == "hello, slot a: module.toml was damaged, and is mended: hello.deb\n"
