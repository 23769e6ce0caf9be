"""Packages of strangers. Each test makes one that dpkg-deb reads, or nearly, and sees that nothing is written."""

from __future__ import annotations

import gzip
import os
import select
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from aurora.errors import InputError, NotFound
from aurora.host import stream
from aurora.manifest import read_manifest
from aurora.update import members, tar, unpack
from aurora.update.build import build_package
from aurora.update.package import package_content
from aurora.update.unpack import held, unpacked
from tests.unit.update import deb
from tests.unit.update.deb import CONTROL, GOOD, GOOD_CONTROL, MODULE, Item, folder, write_deb


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary folders are made; nothing may be left there, nor stand beside it."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []
    assert {one.name for one in tmp_path.iterdir()} <= {"in", "scratch", "module"}


def whys(file: Path) -> list[str]:
    """All that is against a package; the folder of the module is never seen."""
    with pytest.raises(InputError) as caught, unpacked(file):
        pytest.fail("it was unpacked")
    return [f"{problem.why} @ {problem.where}" for problem in caught.value.problems]


def against(place: Path, *items: Item) -> list[str]:
    """All that is against a good package with more members."""
    return whys(write_deb(place, deb.tar(*GOOD, *items)))


def against_control(place: Path, *items: Item) -> list[str]:
    return whys(write_deb(place, deb.tar(*GOOD), deb.tar(*items)))


def tree(top: Path) -> dict[str, str]:
    return {
        str(path.relative_to(top)): path.read_text() if path.is_file() else "/"
        for path in sorted(top.rglob("*"))
    }  # fmt: skip


# Good ones


def test_the_module_of_a_good_package_is_there_while_the_body_runs(place: Path) -> None:
    with unpacked(write_deb(place, deb.tar(*GOOD, Item(f"{MODULE}/a/b/c", b"x" * 1000)))) as found:
        assert found.name == "hello"
        assert tree(found) == {
            "module.toml": deb.MANIFEST.decode(), "run.py": "pass\n", "a": "/", "a/b": "/", "a/b/c": "x" * 1000,
        }  # fmt: skip
        assert os.access(found / "run.py", os.X_OK)
        assert not (found / "module.toml").stat().st_mode & 0o111
    assert not found.exists()


def test_a_package_that_pack_makes_is_a_good_one(tmp_path: Path, place: Path) -> None:
    source = tmp_path / "module"
    deep = source / "/".join(["a-folder-with-a-long-name"] * 8)
    deep.mkdir(parents=True)
    (deep / "ünïcode").write_text("x")
    (source / "module.toml").write_bytes(deb.MANIFEST)
    (source / "run.py").write_text("pass\n")
    content = package_content(read_manifest(deb.MANIFEST, file="module.toml"), arch="all")
    with unpacked(build_package(source, content, place)) as found:
        assert tree(found) == tree(source)


@pytest.mark.parametrize("option", ["-Zxz", "-Zzstd", "-Zgzip", "-Znone"])
def test_every_compression_of_dpkg_is_read(tmp_path: Path, place: Path, option: str) -> None:
    root = tmp_path / "module"
    with unpacked(write_deb(place, deb.tar(*GOOD))) as found:
        (root / "usr/lib/aurora/modules").mkdir(parents=True)
        found.rename(root / "usr/lib/aurora/modules/hello")
        found.mkdir()
    (root / "DEBIAN").mkdir()
    (root / "DEBIAN/control").write_bytes(CONTROL)
    target = place / "made.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", option, "--build", str(root), str(target)], check=True)
    with unpacked(target) as found:
        assert "run.py" in tree(found)


def test_a_file_whose_name_looks_like_an_option_is_a_file(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_deb(place, deb.tar(*GOOD)).rename(place / "--version.deb")
    monkeypatch.chdir(place)
    with unpacked(Path("--version.deb")) as found:
        assert found.name == "hello"


# Members


@pytest.mark.parametrize(
    ("item", "why"),
    [
        (Item("../../etc/cron.d/x"), "dots between slashes"),
        (Item(f"{MODULE}/../../../../../etc/cron.d/x"), "dots between slashes"),
        (Item(f"{MODULE}/./x"), "dots between slashes"),
        (Item(f"{MODULE}//x"), "empty part"),
        (Item(""), "empty part"),
        (Item("/etc/cron.d/x"), "absolute"),
        (Item("./etc/cron.d/x"), "outside /usr/lib/aurora/modules"),
        (Item("./usr/bin/x"), "outside /usr/lib/aurora/modules"),
        (folder("./var"), "outside /usr/lib/aurora/modules"),
        (Item("./usr/lib/aurora/modules/x"), "outside /usr/lib/aurora/modules"),
        (Item("./usr/lib/aurora/modules/Bad Name/x"), "outside /usr/lib/aurora/modules"),
        (Item("./etc/aurora/core.toml"), "outside /usr/lib/aurora/modules"),
        (Item("./etc/aurora/modules/hello.toml/x"), "outside /usr/lib/aurora/modules"),
        (Item("./usr"), "outside /usr/lib/aurora/modules"),
        (Item("./usr/lib/aurora/modules/other/run.py"), "another module than hello"),
        (Item("./etc/aurora/modules/other.toml"), "another module than hello"),
        (Item(f"{MODULE}/x", flag=b"2", link=b"/etc/shadow"), "a symbolic link"),
        (Item(MODULE, flag=b"2", link=b"/etc"), "a symbolic link"),
        (Item(f"{MODULE}/x", flag=b"1", link=b"./etc/shadow"), "a hard link"),
        (Item(f"{MODULE}/x", flag=b"1", link=f"{MODULE}/run.py".encode()), "a hard link"),
        (Item(f"{MODULE}/x", flag=b"3"), "a character device"),
        (Item(f"{MODULE}/x", flag=b"4"), "a block device"),
        (Item(f"{MODULE}/x", flag=b"6"), "a pipe"),
        (Item(f"{MODULE}/x", flag=b"S"), "a sparse file"),
        (Item(f"{MODULE}/x", b"30 path=/etc/cron.d/evil-file\n", flag=b"x"), "of a kind that packages do not have"),
        (Item(f"{MODULE}/x", flag=b"7"), "of a kind that packages do not have"),
        (Item(f"{MODULE}/x", mode=0o4755), "setuid"),
        (Item(f"{MODULE}/x", mode=0o2755), "setuid"),
        (folder(f"{MODULE}/x", mode=0o1777), "sticky"),
        (Item(f"{MODULE}/".encode() + b"\xff"), "not UTF-8"),
        (Item(f"{MODULE}/a\x1b[2Jb"), "not plain text"),
        (Item(f"{MODULE}/a\nb"), "not plain text"),
        (Item(f"{MODULE}/a\u202eb"), "not plain text"),
        (Item(f"{MODULE}/a\\b"), "not plain text"),
        (Item(f"{MODULE}/run.py"), "there twice"),
        (Item(f"{MODULE[2:]}/run.py"), "there twice"),
        (folder(f"{MODULE}/run.py"), "there twice"),
        (Item(f"{MODULE}/run.py/x"), "below something that is not a folder"),
        (Item(f"{MODULE}/{'x' * 256}"), "255 between two slashes"),
        (Item(f"{MODULE}/{'x/' * 33}x"), "nested deeper than 32"),
    ],
)  # fmt: skip
def test_a_member_that_a_module_may_not_have_is_named(place: Path, item: Item, why: str) -> None:
    found = against(place, item)
    name = item.name.encode() if isinstance(item.name, str) else item.name
    assert [one for one in found if why in one and ascii(name.decode(errors="replace")) in one]
    assert all(one.isprintable() for one in found)


def test_all_that_is_wrong_is_said_at_once_up_to_a_bound(place: Path) -> None:
    control = deb.tar(*GOOD_CONTROL, Item("./postinst", b"#!/bin/sh\n", mode=0o755))
    found = whys(write_deb(place, deb.tar(*GOOD, Item("/x"), Item(f"{MODULE}/y", flag=b"2", mode=0o4777)), control))
    assert len(found) == 4
    assert len(against(place, *(Item(f"/{number}") for number in range(200)))) == members.PROBLEMS_MAX_COUNT


def test_a_folder_that_comes_after_what_is_in_it_is_no_fault(place: Path) -> None:
    with unpacked(write_deb(place, deb.tar(*GOOD, Item(f"{MODULE}/a/b"), folder(f"{MODULE}/a")))) as found:
        assert (found / "a/b").is_file()


def test_a_file_in_the_place_of_a_folder_that_something_is_in_is_named(place: Path) -> None:
    (found,) = against(place, Item(f"{MODULE}/a/b"), Item(f"{MODULE}/a"))
    assert "something else is below it" in found


def test_a_package_without_a_module_is_refused(place: Path) -> None:
    assert "it holds no module" in whys(write_deb(place, deb.tar(folder("."), Item(deb.OWNER))))[0]
    assert "it holds no module" in whys(write_deb(place, deb.tar()))[0]


# The control archive


def test_a_maintainer_script_is_refused_and_does_not_run(place: Path) -> None:
    for name in ("preinst", "postinst", "prerm", "postrm", "config", "triggers", "templates"):
        (found,) = against_control(place, *GOOD_CONTROL, Item(f"./{name}", b"#!/bin/sh\ntouch /tmp/ran\n", mode=0o755))
        assert f"control member '{name}'" in found
        assert "no scripts" in found


@pytest.mark.parametrize(
    ("items", "why"),
    [
        ((folder("."),), "control"),
        ((Item("./control", CONTROL.replace(b"-hello", b"-other")),), "wants aurora-module-hello"),
        ((Item("./control", CONTROL.replace(b"aurora-module-hello", b"sudo")),), "it names the package 'sudo'"),
        ((Item("./control", CONTROL + b"package: sudo\n"),), "sudo"),
        ((*GOOD_CONTROL, Item("./control", CONTROL)), "as files"),
        ((*GOOD_CONTROL, Item("./x", flag=b"2", link=b"/etc/shadow")), "control member 'x'"),
        ((*GOOD_CONTROL, Item("./md5sums", flag=b"2", link=b"/etc/shadow")), "control member 'md5sums'"),
        ((*GOOD_CONTROL, Item("../control", CONTROL)), "control member '../control'"),
        ((Item("./control", CONTROL), Item("./conffiles", b"/etc/passwd\n")), "configuration file"),
        ((Item("./control", CONTROL), Item("./conffiles", b"remove-on-upgrade /etc/passwd\n")), "configuration file"),
    ],
)
def test_control_files_of_another_package_are_refused(place: Path, items: tuple[Item, ...], why: str) -> None:
    assert any(why in found for found in against_control(place, *items))


def test_a_control_archive_that_grows_without_end_is_left(place: Path) -> None:
    found = against_control(place, *GOOD_CONTROL, Item("./md5sums", bytes(members.CONTROL_MAX_BYTES + 1)))
    assert any("gave more than" in why for why in found)


# The outermost layer


GZ = gzip.compress(deb.tar(*GOOD))
GZ_CONTROL = gzip.compress(deb.tar(*GOOD_CONTROL))


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ({"debian-binary": b"2.0\n", "control_tar_gz": GZ_CONTROL, "data_tar_gz": GZ, "data_tar": b""}, "behind"),
        ({"debian-binary": b"2.0\n", "control_tar_gz": GZ_CONTROL, "control_tar": GZ, "data_tar_gz": GZ}, "data.tar"),
        ({"debian-binary": b"2.0\n", "_x": b"", "control_tar_gz": GZ_CONTROL, "data_tar_gz": GZ}, "control.tar"),
        ({"debian-binary": b"2.0\n", "data_tar_gz": GZ, "control_tar_gz": GZ_CONTROL}, "control.tar"),
        ({"debian-binary": b"2.0\n", "control_tar_gz": GZ_CONTROL}, "ends early"),
        ({"debian-binary": b"2.0\n", "control_tar_gz": GZ_CONTROL, "data_tar_lz": GZ}, "data.tar"),
        ({"debian-binary": b"9.0\n", "control_tar_gz": GZ_CONTROL, "data_tar_gz": GZ}, "another format"),
    ],
)
def test_only_what_dpkg_and_apt_read_alike_is_read(place: Path, parts: dict[str, bytes], why: str) -> None:
    file = place / "hostile.deb"
    file.write_bytes(deb.ar(**parts))
    (found,) = whys(file)
    assert why in found


def test_a_file_longer_than_a_package_can_be_is_not_copied(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_deb(place, deb.tar(*GOOD))
    monkeypatch.setattr(unpack, "PACKAGE_MAX_BYTES", 1000)
    with pytest.raises(InputError, match="more than 1000 bytes"), held(file):
        pytest.fail("it was copied")


def test_names_that_look_alike_are_different_files(place: Path) -> None:
    names = ("MODULE.TOML", "Module.toml", "m\u043edule.toml", "caf\u00e9", "cafe\u0301")
    with unpacked(write_deb(place, deb.tar(*GOOD, *(Item(f"{MODULE}/{name}", b"evil") for name in names)))) as found:
        assert {path.name for path in found.iterdir()} == {"module.toml", "run.py", *names}
        assert (found / "module.toml").read_bytes() == deb.MANIFEST


# Bounds


def test_more_entries_than_a_module_may_have_are_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "FOLDER_MAX_ENTRIES", len(GOOD))
    with unpacked(write_deb(place, deb.tar(*GOOD))):
        pass
    assert "more than 12 files and folders" in against(place, Item(f"{MODULE}/x"))[0]
    assert "more than 12 files and folders" in against(place, Item(b"\xff"))[0]


def test_a_size_that_is_only_declared_is_refused_at_once(place: Path) -> None:
    (found,) = against(place, Item(f"{MODULE}/x", size_bytes=(1 << 30) + 1))
    assert "unpacks to more than" in found
    assert f"'{MODULE}/x'" in found
    assert "ends in the middle" in against(place, Item(f"{MODULE}/x", size_bytes=1 << 29))[0]


def test_a_compression_bomb_is_left_at_the_bound(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "DATA_MAX_BYTES", 1 << 20)
    bomb = gzip.compress(deb.tar(*GOOD, Item(f"{MODULE}/x", bytes(16 << 20))))
    file = place / "hostile.deb"
    control = gzip.compress(deb.tar(*GOOD_CONTROL))
    file.write_bytes(deb.ar(**{"debian-binary": b"2.0\n", "control_tar_gz": control, "data_tar_gz": bomb}))
    assert file.stat().st_size < 1 << 18
    assert "it gave more than 1048576 bytes" in whys(file)[0]


def test_zeros_behind_the_end_count_as_well(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "DATA_MAX_BYTES", 1 << 20)
    assert "it gave more than" in whys(write_deb(place, deb.tar(*GOOD, end=bytes(2 << 20))))[0]


def test_a_name_without_end_is_not_read(place: Path) -> None:
    (found,) = against(place, Item(b"././@LongLink", bytes(1 << 16), b"L"))
    assert f"longer than {tar.NAME_MAX_BYTES}" in found


def test_unpacking_that_takes_too_long_is_ended(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "TIMEOUT_SEC", 0.0)
    assert "it did not end within 0 s" in whys(write_deb(place, deb.tar(*GOOD)))[0]


# Damage


def test_a_package_that_is_cut_anywhere_is_refused(place: Path) -> None:
    whole = write_deb(place, deb.tar(*GOOD)).read_bytes()
    for length in range(0, len(whole), 487):
        (place / "hostile.deb").write_bytes(whole[:length])
        assert whys(place / "hostile.deb")


@pytest.mark.parametrize("where", [0, 100, 124, 148, 156, 512, 1024 + 148])
def test_a_header_that_is_damaged_is_refused(place: Path, where: int) -> None:
    data = bytearray(deb.tar(*GOOD))
    data[where] ^= 0xFF
    assert "its archive is broken" in whys(write_deb(place, bytes(data)))[0]


def test_what_stands_behind_the_end_is_refused(place: Path) -> None:
    hidden = bytes(1024) + Item("/etc/cron.d/x").to_bytes() + bytes(1024)
    assert "something stands behind its end" in whys(write_deb(place, deb.tar(*GOOD, end=hidden)))[0]


def test_what_is_no_package_is_refused_in_words_of_one_line(place: Path) -> None:
    file = place / "no\x1b[2J.deb"
    for content in (b"", b"!<arch>\n", b"\x1b[2J" * 100, bytes(1000)):
        file.write_bytes(content)
        (found,) = whys(file)
        assert found.partition(" @ ")[0].isprintable()


def test_a_package_that_is_not_there_is_said_to_be_so(place: Path) -> None:
    for missing in (place / "no.deb", place):
        with pytest.raises(NotFound), unpacked(missing):
            pytest.fail("it was unpacked")
        with pytest.raises(NotFound), held(missing):
            pytest.fail("it was copied")


def test_nothing_of_a_package_that_changes_amid_its_use_is_used(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_deb(place, deb.tar(*GOOD))
    judge = unpack._judge

    def and_swap(deb_file: Path, where: str) -> object:
        found = judge(deb_file, where)
        write_deb(place, deb.tar(*GOOD[:-1], Item(f"{MODULE}/evil", flag=b"2", link=b"/etc/shadow")))
        return found

    monkeypatch.setattr(unpack, "_judge", and_swap)
    with unpacked(file) as found:
        assert sorted(path.name for path in found.iterdir()) == ["module.toml", "run.py"], "what was judged is written"
    write_deb(place, deb.tar(*GOOD))
    monkeypatch.setattr(unpack, "KEPT_MAX_BYTES", 1000)
    assert "it changed while it was read" in whys(file)[0]


def test_the_copy_that_is_used_does_not_change_with_the_file(place: Path) -> None:
    file = write_deb(place, deb.tar(*GOOD))
    with held(file) as copy:
        file.write_bytes(b"")
        assert copy.name.endswith(".deb")
        assert not copy.stat().st_mode & 0o022
        with unpacked(copy) as found:
            assert found.name == "hello"


# The stream


def test_a_program_and_all_it_started_end_with_the_body(tmp_path: Path) -> None:
    script = "sleep 600 & echo $!; wait"
    with stream.output_of(["sh", "-c", script], max_bytes=100, timeout_sec=60) as output:
        child = int(output.read(2).decode() + output._next(20).decode())
        handle = os.pidfd_open(child)
    try:
        ended, _, _ = select.select([handle], [], [], 30)  # pidfd_open(2): readable once the process has ended
    finally:
        os.close(handle)
    assert ended


def test_memory_of_the_program_is_bounded() -> None:
    line = ["python3", "-c", f"print(len(bytes(2 * {stream.MEMORY_MAX_BYTES})))"]
    with stream.output_of(line, max_bytes=100, timeout_sec=60) as output:
        assert output.read(100) == b""
