"""Secrets that an owner gives to modules: where they lie, who may read them, and where they never are."""

from __future__ import annotations

import json
import stat

import pytest

from aurora.errors import InputError, NotFound
from aurora.runtime.applied import applied_plan
from aurora.runtime.control import start
from aurora.runtime.credentials import VALUE_MAX_BYTES, read_credentials, remove_credential, set_credential
from aurora.runtime.install import install_folder, remove
from tests.unit.runtime.rig import Rig

SECRET = b"not for the eyes of others"


@pytest.fixture
def asking(rig: Rig) -> Rig:
    """A module that asks for one credential, installed and not started."""
    install_folder(rig.paths, rig.systemd, rig.module(more='[credentials]\nnames = ["key"]\n'), start=False)
    return rig


def test_a_module_whose_credential_is_not_set_does_not_start_and_says_what_to_do(asking: Rig) -> None:
    (outcome,) = start(asking.paths, asking.systemd, ["hello"])
    assert outcome.problem is not None
    assert outcome.problem.why == "its credential key is not set"
    assert outcome.problem.remedy == "auroractl credential set hello key"
    assert asking.running == {}


def test_once_it_is_set_the_module_starts_and_the_plan_has_only_its_place(asking: Rig) -> None:
    set_credential(asking.paths, "hello", "key", SECRET, encrypted=False)
    start(asking.paths, asking.systemd, ["hello"])
    assert asking.running == {"hello": "1"}
    made = applied_plan(asking.paths, "hello")
    assert made is not None
    assert SECRET.decode() not in json.dumps(made.to_json())
    assert made.settings["LoadCredential"] == (f"key:{asking.paths.owner_credentials}/hello/key",)


def test_only_root_can_read_what_is_stored(asking: Rig) -> None:
    set_credential(asking.paths, "hello", "key", SECRET, encrypted=False)
    file = asking.paths.owner_credentials / "hello/key"
    assert file.read_bytes() == SECRET
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (file, file.parent, file.parent.parent)]
    assert modes == [0o600, 0o700, 0o700]


@pytest.mark.parametrize("name", ["other", "../../etc/passwd", "", "key.cred"])
def test_what_the_manifest_does_not_ask_for_cannot_be_set(asking: Rig, name: str) -> None:
    with pytest.raises(InputError, match="its manifest asks for no such credential"):
        set_credential(asking.paths, "hello", name, SECRET, encrypted=False)
    assert not asking.paths.owner_credentials.exists()


@pytest.mark.parametrize("value", [b"", b"x" * (VALUE_MAX_BYTES + 1)])
def test_what_systemd_would_not_take_is_refused(asking: Rig, value: bytes) -> None:
    with pytest.raises(InputError, match="it must have 1 to"):
        set_credential(asking.paths, "hello", "key", value, encrypted=False)


def test_what_is_asked_for_and_what_is_set_is_listed_without_its_content(asking: Rig) -> None:
    assert [tuple(one) for one in read_credentials(asking.paths, None)] == [("hello", "key", "no", True)]
    set_credential(asking.paths, "hello", "key", SECRET, encrypted=False)
    asking.write("etc/aurora/credentials/hello/older.cred", "sealed")
    assert [tuple(one) for one in read_credentials(asking.paths, "hello")] == [
        ("hello", "key", "plain", True),
        ("hello", "older", "encrypted", False),
    ]


def test_a_credential_is_forgotten_when_its_owner_says_so_and_when_its_module_is_purged(asking: Rig) -> None:
    set_credential(asking.paths, "hello", "key", SECRET, encrypted=False)
    remove_credential(asking.paths, "hello", "key")
    with pytest.raises(NotFound):
        remove_credential(asking.paths, "hello", "key")
    set_credential(asking.paths, "hello", "key", SECRET, encrypted=False)
    remove(asking.paths, asking.systemd, "hello", purge=True)
    assert not (asking.paths.owner_credentials / "hello").exists()
