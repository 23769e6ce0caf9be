"""Signatures in real packages: that they stay packages, and that nothing can be done to them unseen."""

from __future__ import annotations

import gzip
import itertools
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.errors import AuroraError, InputError, NotFound, Refused
from aurora.paths import Paths
from aurora.update import ar, signed
from aurora.update.ar import BrokenDeb, member_bytes, parts_of
from aurora.update.keyring import DEFAULT_RULES
from aurora.update.signature import Statement, member_name, signature_bytes
from aurora.update.signed import installed_version, read_signed, write_signed
from aurora.update.trust import Known, Verdict, judge
from aurora.update.unpack import held, unpacked
from tests.unit.fuzz.budget import tries
from tests.unit.update import deb, signing
from tests.unit.update.signing import EXPIRES, TODAY, key, plain_deb, private, signed_deb

KEYRING = (key("ann"), key("bob"))


def verdict(file: Path) -> Verdict:
    found = read_signed(file)
    return judge(found.facts, found.signatures, KEYRING, DEFAULT_RULES, today=TODAY, known=Known())


def is_accepted(file: Path) -> bool:
    """Whether it is; an error that is not ours goes through."""
    try:
        return verdict(file).accepted
    except AuroraError:
        return False


def whys(file: Path) -> str:
    """All that is against a package."""
    try:
        found = verdict(file)
    except InputError as error:
        return "\n".join(problem.why for problem in error.problems)
    assert not found.accepted
    return "\n".join(found.reasons)


def members(data: bytes) -> dict[str, bytes]:
    """Each member as it stands, with its header and padding."""
    found = parts_of(lambda place, count: data[place : place + count], len(data))
    return {part.name: data[part.place : part.end] for part in found}


def put(file: Path, *parts: bytes) -> Path:
    file.write_bytes(b"!<arch>\n" + b"".join(parts))
    return file


# Good ones


def test_a_signed_package_is_accepted_and_says_what_it_is(tmp_path: Path) -> None:
    file = signed_deb(tmp_path, "ann", "bob")
    found = verdict(file)
    assert found.accepted
    assert {one.name for one in found.signers} == {"ann", "bob"}
    facts = read_signed(file).facts
    assert facts[:3] == ("aurora-module-hello", "1.2", "all")
    assert [name for name, _ in facts.parts] == ["debian-binary", "control.tar.gz", "data.tar"]


def test_dpkg_and_auroractl_read_a_signed_package_as_they_do_a_plain_one(tmp_path: Path) -> None:
    plain, signed_file = plain_deb(tmp_path, "1.1"), signed_deb(tmp_path, "ann", "bob")
    for option in ("--info", "--contents", "--field"):
        line = ["dpkg-deb", option, str(signed_file)]
        done = subprocess.run(line, capture_output=True, text=True, check=True)
        assert done.stderr == ""
    for file in (plain, signed_file):
        with held(file) as copy, unpacked(copy) as folder:
            assert (folder / "run.py").is_file()


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt is in the build tree")
def test_dpkg_installs_a_signed_package_and_apt_takes_it(tmp_path: Path) -> None:
    file = signed_deb(tmp_path, "ann", "bob")
    admin = tmp_path / "root/var/lib/dpkg"
    for folder in (admin / "info", admin / "updates", tmp_path / "lists/partial", tmp_path / "cache/archives/partial"):
        folder.mkdir(parents=True)
    for name in ("status", "available"):
        (admin / name).touch()
    places = {"Dir::State::status": admin / "status", "Dir::State::Lists": tmp_path / "lists",
              "Dir::Cache": tmp_path / "cache", "Debug::NoLocking": 1}  # fmt: skip
    options = [word for name, value in places.items() for word in ("-o", f"{name}={value}")]
    done = subprocess.run(
        ["apt-get", *options, "--simulate", "install", str(file)], capture_output=True, text=True, check=True
    )
    assert "Inst aurora-module-hello (1.2 local-deb [all])" in done.stdout
    line = ["dpkg", f"--root={tmp_path}/root", "--log=/dev/null", "--force-not-root", "--install", str(file)]
    subprocess.run(line, capture_output=True, check=True)
    assert (tmp_path / "root/usr/lib/aurora/modules/hello/run.py").is_file()
    assert installed_version(Paths(tmp_path / "root"), "aurora-module-hello") == "1.2"
    assert not [found for found in (tmp_path / "root").rglob("*") if "_aurora" in found.name]


@pytest.mark.skipif(shutil.which("ar") is None, reason="binutils are in the build tree")
def test_ar_lists_a_signature_and_prints_it(tmp_path: Path) -> None:
    file = signed_deb(tmp_path, "ann")
    name = member_name(private("ann").key)
    done = subprocess.run(["ar", "t", str(file)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[3:] == [name]
    done = subprocess.run(["ar", "p", str(file), name], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("aurora-core package signature 1\npackage aurora-module-hello\nversion 1.2\n")


def test_signing_changes_nothing_that_was_there(tmp_path: Path) -> None:
    before = plain_deb(tmp_path).read_bytes()
    assert signed_deb(tmp_path, "ann").read_bytes().startswith(before)


@pytest.mark.parametrize("padded", [True, False])
def test_a_last_part_of_odd_size_is_padded_and_signed_so(tmp_path: Path, padded: bool) -> None:
    file = plain_deb(tmp_path)
    parts = members(file.read_bytes())
    data = deb.ar(data_tar=deb.tar(*deb.GOOD, end=bytes(1025)))[8:]
    put(file, parts["debian-binary"], parts["control.tar.gz"], data if padded else data[:-1])
    before = read_signed(file).facts
    write_signed(file, file, [signing.signed("ann", Statement(before, EXPIRES, "1.0"))])
    assert read_signed(file).facts == before
    assert verdict(file).accepted


def test_signing_again_takes_the_older_signatures_away(tmp_path: Path) -> None:
    file = signed_deb(tmp_path, "ann", "bob")
    write_signed(file, file, [signing.signed("bob", read_signed(file).signatures[0].statement)])
    assert [one.name for one in verdict(file).signers] == ["bob"]


def test_a_file_that_is_signed_keeps_its_mode(tmp_path: Path) -> None:
    file = plain_deb(tmp_path)
    file.chmod(0o640)
    write_signed(file, file, [])
    assert file.stat().st_mode & 0o777 == 0o640


# Attacks


def test_a_bit_that_is_another_anywhere_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every bit of headers, padding and a signature, and one of each other byte.

    dpkg-deb is taken out of the way, as if it read through all damage: the digests alone have to find it.
    """
    file = plain_deb(tmp_path)
    small = {"control_tar_gz": gzip.compress(b"c"), "data_tar_gz": gzip.compress(b"d")}
    control = read_signed(file).facts[:3]
    file.write_bytes(deb.ar(**{"debian-binary": b"2.0\n", **small}))
    monkeypatch.setattr(signed, "read_control", lambda _deb, *, shown: control)
    said = Statement(read_signed(file).facts, EXPIRES, "1.0")
    write_signed(file, file, [signing.signed(name, said) for name in ("ann", "stranger")])
    whole = file.read_bytes()
    assert verdict(file).accepted
    contents = [
        range(part.content, part.content + part.size_bytes)
        for part in parts_of(lambda place, count: whole[place : place + count], len(whole))
        if part.name != member_name(private("ann").key)
    ]
    tried = 0
    with file.open("r+b", buffering=0) as stream:
        for place, byte in enumerate(whole):
            inside = any(place in content for content in contents)
            for bit in (place % 8,) if inside else range(8):
                stream.seek(place)
                stream.write(bytes([byte ^ 1 << bit]))
                assert not is_accepted(file), f"bit {bit} of byte {place}"
                tried += 1
            stream.seek(place)
            stream.write(bytes([byte]))
    assert tried > len(whole)
    assert verdict(file).accepted


def test_a_package_that_is_cut_anywhere_is_refused(tmp_path: Path) -> None:
    file = signed_deb(tmp_path, "ann")
    whole = file.read_bytes()
    start = whole.index(b"_aurora")
    for length in [*range(0, start, 499), *range(start, len(whole))]:
        file.write_bytes(whole[:length])
        assert not is_accepted(file), length


def test_a_signature_that_is_stripped_leaves_a_package_that_nobody_has_signed(tmp_path: Path) -> None:
    file = signed_deb(tmp_path, "ann")
    whole = file.read_bytes()
    file.write_bytes(whole[: whole.index(b"_aurora")])
    assert "nobody has signed it" in whys(file)


def test_a_signature_of_another_version_is_refused(tmp_path: Path) -> None:
    new, old = signed_deb(tmp_path, "ann", version="1.3"), plain_deb(tmp_path, "1.2")
    (replayed,) = [data for name, data in members(new.read_bytes()).items() if name.startswith("_")]
    old.write_bytes(old.read_bytes() + replayed)
    said = whys(old)
    assert "signed the version 1.3, and it is 1.2" in said
    assert "signed another control.tar.gz" in said


def test_parts_of_two_signed_packages_are_no_signed_package(tmp_path: Path) -> None:
    one, other = (members(signed_deb(tmp_path, "ann", version=version).read_bytes()) for version in ("1.2", "1.3"))
    (signature,) = [name for name in one if name.startswith("_")]
    evil = deb.ar(data_tar=deb.tar(*deb.GOOD, deb.Item(f"{deb.MODULE}/evil")))[8:]
    for parts, why in (
        ((one["debian-binary"], one["control.tar.gz"], evil), "another data.tar"),
        ((one["debian-binary"], other["control.tar.gz"], one["data.tar"]), "another control.tar.gz"),
    ):
        assert why in whys(put(tmp_path / "mixed.deb", *parts, one[signature]))


def test_a_signature_that_says_more_than_was_signed_is_refused(tmp_path: Path) -> None:
    file = signed_deb(tmp_path, "ann")
    file.write_bytes(file.read_bytes().replace(b"expires 2027-06-15", b"expires 2099-06-15"))
    assert "is not by that key, or was damaged" in whys(file)


def test_signatures_that_could_not_be_read_are_not_written(tmp_path: Path) -> None:
    file = plain_deb(tmp_path)
    before = file.read_bytes()
    one = signing.signed("ann", Statement(read_signed(file).facts, EXPIRES, "1.0"))
    for many in ([one, one], [one._replace(key=f"{n:064x}"[::-1]) for n in range(17)]):
        with pytest.raises(Refused):
            write_signed(file, file, many)
    assert file.read_bytes() == before


# The form of signatures in a package


GOOD_SIGNATURE = signature_bytes(signing.signed("ann"))
NAME = member_name(private("ann").key)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (member_bytes(NAME, GOOD_SIGNATURE) * 2, f"it has the signature {NAME} twice"),
        (b"".join(member_bytes(f"_aurora{n:08x}", b"x") for n in range(17)), "more than 16 signatures"),
        (member_bytes(NAME, b"x" * 2049), "more than 2048 bytes"),
        (member_bytes(NAME, b""), "is empty"),
        (member_bytes("_other", b"x"), "no signature"),
        (member_bytes("_aurora", b"x"), "no signature"),
        (member_bytes("_auroraABCDEF12", b"x"), "no signature"),
        (member_bytes("data.tar", b"x"), "no signature"),
        (member_bytes(NAME, b"x" * 9)[:-1] + b"x", "header of its signature"),
        (member_bytes(NAME, b"xx").replace(b"100644", b"100755"), "header of its signature"),
        (member_bytes(NAME, b"xx").replace(b" ", b"/", 1), "header of its signature"),
        (member_bytes(NAME, b"xx").replace(b"2  ", b"02 ", 1), "header of its signature"),
        (member_bytes(NAME, b"xx")[:-1], "cut off"),
        (b"\n", "ends early"),
        (member_bytes(NAME, b"xx"), "its signature is damaged"),
        (member_bytes("_aurora00000000", GOOD_SIGNATURE), "its key wants"),
    ],
    # Their bytes are of a key that is made anew each time; the names of tests stay the same.
    ids=range(16),
)
def test_what_stands_behind_a_package_is_a_signature_in_its_one_form(tmp_path: Path, more: bytes, why: str) -> None:
    file = plain_deb(tmp_path)
    file.write_bytes(file.read_bytes() + more)
    assert why in whys(file)


def test_all_signatures_that_are_damaged_are_named_at_once(tmp_path: Path) -> None:
    file = plain_deb(tmp_path)
    file.write_bytes(file.read_bytes() + b"".join(member_bytes(f"_aurora{n:08x}", b"xx") for n in range(3)))
    with pytest.raises(InputError) as caught:
        read_signed(file, shown="shown.deb")
    assert [problem.where for problem in caught.value.problems] == [
        f"shown.deb, member _aurora{n:08x}" for n in range(3)
    ]


@pytest.mark.parametrize(
    "control",
    [
        deb.CONTROL + b"version: 2\n",
        deb.CONTROL.replace(b"Version: 1\n", b""),
        deb.CONTROL.replace(b"Version: 1\n", b"Version: 1 2\n"),
        deb.CONTROL.replace(b"Package: a", b"Package: A"),
        deb.CONTROL.replace(b"Architecture: all", b"Architecture: a b"),
    ],
)
def test_a_package_that_does_not_say_what_it_is_is_not_judged(tmp_path: Path, control: bytes) -> None:
    file = deb.write_deb(tmp_path, deb.tar(*deb.GOOD), deb.tar(deb.folder("."), deb.Item("./control", control)))
    assert "version" in whys(file) or "package" in whys(file) or "architecture" in whys(file)


def test_two_control_files_are_not_judged(tmp_path: Path) -> None:
    item = deb.Item("./control", deb.CONTROL)
    assert "one control file" in whys(deb.write_deb(tmp_path, deb.tar(*deb.GOOD), deb.tar(item, item)))


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        read_signed(tmp_path / "no.deb")


HEADERS = b"!<arch>\n" + deb.ar(**{"debian-binary": b"2.0\n", "control_tar": b"xx", "data_tar": b"x" * 5})[8:]


@tries(300)
@given(st.integers(0, len(HEADERS)), st.binary(max_size=70), st.integers(0, 70), st.binary(max_size=10) | st.just(b""))
def test_an_archive_that_is_damaged_anyhow_is_refused_or_its_parts_follow_one_another(
    place: int, insert: bytes, gone: int, tail: bytes
) -> None:
    data = HEADERS[:place] + insert + HEADERS[place + gone :] + tail
    try:
        found = parts_of(lambda at, count: data[at : at + count], len(data))
    except BrokenDeb:
        return
    assert found[0].place == len(ar.HEAD)
    assert all(one.end == other.place for one, other in itertools.pairwise(found))
    assert found[-1].content + found[-1].size_bytes <= len(data) <= found[-1].end


# What dpkg has


def test_the_version_that_dpkg_has_installed_is_known(tmp_path: Path) -> None:
    status = tmp_path / "var/lib/dpkg/status"
    status.parent.mkdir(parents=True)
    entry = "Package: {}\nStatus: {}\nVersion: 1.2-3\nArchitecture: all\nMaintainer: x <x@x>\nDescription: x\n\n"
    status.write_text(entry.format("here", "install ok installed") + entry.format("gone", "deinstall ok config-files"))
    assert installed_version(Paths(tmp_path), "here") == "1.2-3"
    assert installed_version(Paths(tmp_path), "gone") is None
    assert installed_version(Paths(tmp_path), "never") is None
