from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest

from aurora.errors import AuroraError, InputError, NotFound, Refused, UsageError
from aurora.paths import Paths
from aurora.update.keyring import DEFAULT_RULES, Key, public_bytes
from aurora.update.keys import new_key, read_private
from aurora.update.keystore import make_key, own_keys, read_key_file, read_own, revoke, trust, trusted

DAY = date(2026, 6, 15)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / "root/etc/aurora").mkdir(parents=True)
    return Paths(tmp_path / "root")


def handed(place: Path, name: str = "release", public: str = "ab" * 32) -> Path:
    """The file that a signer hands over."""
    file = place / f"{name}-public.toml"
    file.write_bytes(public_bytes(Key(name, public, ())))
    return file


def take(paths: Paths, file: Path, *roles: str, name: str | None = None, **days: date) -> Key:
    return trust(paths, file, name=name, roles=roles or ("release",), since=days.get("since"), until=days.get("until"))


# The owner's


def test_a_machine_without_keys_trusts_nobody_and_has_a_rule(paths: Paths) -> None:
    assert trusted(paths) == ((), DEFAULT_RULES)


def test_a_key_that_is_trusted_is_in_the_keyring(paths: Paths, tmp_path: Path) -> None:
    key = take(paths, handed(tmp_path), "release", "qa", until=DAY)
    assert trusted(paths)[0] == (key,)
    assert key == Key("release", "ab" * 32, ("release", "qa"), None, DAY)
    assert (paths.owner_keyring / "release.toml").stat().st_mode & 0o777 == 0o644


def test_a_key_that_is_trusted_again_has_its_new_roles_and_days(paths: Paths, tmp_path: Path) -> None:
    take(paths, handed(tmp_path), until=DAY)
    assert take(paths, handed(tmp_path), "qa").roles == ("qa",)
    assert trusted(paths)[0][0].valid_until is None


def test_a_key_can_have_a_name_of_the_owners_choice(paths: Paths, tmp_path: Path) -> None:
    assert take(paths, handed(tmp_path), name="vendor").name == "vendor"
    assert (paths.owner_keyring / "vendor.toml").is_file()


def test_another_key_of_a_name_and_another_name_of_a_key_are_refused(paths: Paths, tmp_path: Path) -> None:
    take(paths, handed(tmp_path))
    with pytest.raises(Refused, match="is another key"):
        take(paths, handed(tmp_path, public="cd" * 32))
    with pytest.raises(Refused, match="it is in the keyring as release"):
        take(paths, handed(tmp_path, "other"))
    assert len(trusted(paths)[0]) == 1


def test_a_revoked_key_stays_so_marked_and_does_not_come_back(paths: Paths, tmp_path: Path) -> None:
    take(paths, handed(tmp_path), "qa", until=DAY)
    assert revoke(paths, "release", today=DAY) == Key("release", "ab" * 32, ("qa",), None, DAY, DAY)
    assert trusted(paths)[0][0].revoked == DAY
    assert revoke(paths, "release", today=date(2030, 1, 1)).revoked == DAY
    with pytest.raises(Refused, match="it was revoked on 2026-06-15"):
        take(paths, handed(tmp_path))
    with pytest.raises(NotFound, match=r"it is not in the keyring.*try one of release"):
        revoke(paths, "nobody", today=DAY)


@pytest.mark.parametrize(
    ("name", "roles", "days"),
    [
        ("../x", ("release",), {}),
        ("release", ("",), {}),
        ("release", ("Release",), {}),
        ("release", ("*",), {}),
        ("release", ("release",), {"since": DAY, "until": date(2026, 6, 14)}),
    ],
)
def test_what_cannot_be_trusted_so_is_a_usage_error(
    paths: Paths, tmp_path: Path, name: str, roles: tuple[str, ...], days: dict[str, date]
) -> None:
    with pytest.raises(UsageError):
        take(paths, handed(tmp_path), *roles, name=name, **days)
    assert not paths.owner_keyring.exists()


@pytest.mark.parametrize("content", [b"", b"x", b"\xff", b'name = "a"\npublic = "b"\n', bytes(5000)])
def test_what_is_no_public_key_is_not_taken(paths: Paths, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.toml"
    file.write_bytes(content)
    with pytest.raises(InputError):
        take(paths, file)
    with pytest.raises(NotFound):
        take(paths, tmp_path / "no.toml")


@pytest.mark.parametrize("place", ["etc/aurora/keyring/release.toml", "etc/aurora/keyring", "etc/aurora/trust.toml"])
def test_nobody_is_trusted_by_what_others_may_write(paths: Paths, tmp_path: Path, place: str) -> None:
    take(paths, handed(tmp_path))
    paths.owner_trust.write_text('[[rule]]\npackages = ["*"]\nsigners = { release = 1 }\n')
    assert len(trusted(paths)[1]) == 1
    file = paths.root / place
    file.chmod(file.stat().st_mode | 0o002)
    with pytest.raises(Refused, match="others than its owner may write there"):
        trusted(paths)


def test_a_link_in_the_keyring_is_not_followed(paths: Paths, tmp_path: Path) -> None:
    take(paths, handed(tmp_path))
    (paths.owner_keyring / "release.toml").rename(tmp_path / "elsewhere.toml")
    (paths.owner_keyring / "release.toml").symlink_to(tmp_path / "elsewhere.toml")
    with pytest.raises(AuroraError):
        trusted(paths)


# A signer's own


def test_a_new_key_is_for_its_owner_alone_and_its_public_part_for_all(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        private = new_key()
        secret, public = make_key(tmp_path / "a/keys", "release", private, b"pass")
    finally:
        os.umask(old)
    assert secret.stat().st_mode & 0o777 == 0o600
    assert secret.parent.stat().st_mode & 0o777 == 0o700
    assert public.read_bytes() == public_bytes(Key("release", private.key, ()))
    assert read_private(read_key_file(secret), b"pass") == private
    assert private.secret.hex() not in secret.read_text()
    assert sorted(file.name for file in secret.parent.iterdir()) == ["release.key", "release.toml"]


@pytest.mark.parametrize("there", ["release.key", "release.toml"])
def test_a_key_is_never_overwritten(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine")
    with pytest.raises(Refused, match="there is one of that name"):
        make_key(tmp_path, "release", new_key(), None)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [(there, "mine")]


@pytest.mark.parametrize("name", ["", "../x", "A", "a b", "-a"])
def test_a_key_has_a_plain_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        make_key(tmp_path, name, new_key(), None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_private_key_that_others_can_read_is_not_used(tmp_path: Path, mode: int) -> None:
    secret, _ = make_key(tmp_path, "release", new_key(), None)
    secret.chmod(mode)
    with pytest.raises(Refused, match="chmod 600"):
        read_key_file(secret)


def test_own_keys_are_found_by_name_and_by_path_and_listed(tmp_path: Path) -> None:
    first, second = new_key(), new_key()
    secret, _ = make_key(tmp_path, "one", first, None)
    make_key(tmp_path, "two", second, b"pass")
    (tmp_path / "bad.key").write_text("x")
    (tmp_path / "bad.key").chmod(0o600)
    assert read_own(tmp_path, "one") == read_own(Path("/nowhere"), str(secret)) == (secret, secret.read_bytes())
    found, problems = own_keys(tmp_path)
    assert [(one.name, one.public, one.sealed) for one in found] == [
        ("one", first.key, False),
        ("two", second.key, True),
    ]
    assert [problem.where for problem in problems] == [str(tmp_path / "bad.key")]
    with pytest.raises(NotFound):
        read_own(tmp_path, "three")
    with pytest.raises(UsageError):
        read_own(tmp_path, "A b")
    assert own_keys(tmp_path / "nowhere") == ([], [])
