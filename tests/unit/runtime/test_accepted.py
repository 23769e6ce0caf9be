"""What came past `auroractl install`: taken in, told or refused, as its owner wants."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from aurora.errors import HostError
from aurora.runtime.accepted import Accepted, read_accepted, remember, today
from aurora.runtime.apply import Applied, apply
from aurora.runtime.folders import folder_digest
from tests.unit.runtime.rig import Rig


def run(rig: Rig) -> Applied:
    return apply(rig.paths, rig.systemd)


def word(rig: Rig, mode: str) -> None:
    rig.write("etc/aurora/core.toml", f'signatures = "{mode}"\n')


def note(rig: Rig, *, expires: date | None = None, name: str = "hello") -> Accepted:
    """Note the package that lies there as accepted."""
    digest = folder_digest(rig.paths.package_modules / name)
    made = Accepted(name, "1", "1", expires or today() + timedelta(days=1), digest, ("ann", "bob"))
    remember(rig.paths, made)
    return made


def test_a_note_is_read_as_it_was_written(rig: Rig) -> None:
    rig.package()
    assert read_accepted(rig.paths, "hello") is None
    made = note(rig)
    assert read_accepted(rig.paths, "hello") == made
    assert read_accepted(rig.paths, "../hello") is None


@pytest.mark.parametrize("old", ["module: hello", "expires: 2", "digest: ", "signers: ann"])
def test_a_note_that_is_damaged_is_an_error_that_names_it(rig: Rig, old: str) -> None:
    rig.package()
    note(rig)
    file = rig.paths.accepted / "hello"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, "x" + old))
    with pytest.raises(HostError, match="accepted/hello"):
        read_accepted(rig.paths, "hello")
    word(rig, "required")
    assert "it is damaged" in run(rig).problems[0].why
    assert rig.installed == {}


def test_by_default_signatures_are_not_looked_at(rig: Rig) -> None:
    rig.package()
    done = run(rig)
    assert (done.staged, done.problems, done.warnings) == (["hello"], [], ())


def test_where_they_are_required_what_was_not_accepted_is_not_taken_in_and_does_not_run(rig: Rig) -> None:
    word(rig, "required")
    rig.package()
    rig.package(name="other")
    note(rig, name="other")
    done = run(rig)
    assert done.staged == ["other"]
    assert [problem.where for problem in done.problems] == [str(rig.paths.package_modules / "hello")]
    assert "was not accepted for its signatures" in done.problems[0].why
    assert rig.running == {"other": "1"}
    assert rig.leftovers() == []


def test_what_was_accepted_is_taken_in_once_and_stays_when_it_has_expired(rig: Rig) -> None:
    word(rig, "required")
    rig.package()
    note(rig)
    assert run(rig).staged == ["hello"]
    note(rig, expires=date(2020, 1, 1))
    done = run(rig)
    assert (done.staged, done.problems) == ([], [])
    assert rig.running == {"hello": "1"}


def test_what_was_accepted_and_has_expired_before_it_was_taken_in_is_refused(rig: Rig) -> None:
    word(rig, "required")
    rig.package()
    note(rig, expires=date(2020, 1, 1))
    assert "have expired on 2020-01-01" in run(rig).problems[0].why
    assert rig.installed == {}


def test_another_version_than_was_accepted_leaves_the_one_that_was(rig: Rig) -> None:
    word(rig, "required")
    rig.package()
    note(rig)
    run(rig)
    rig.package(version="2")
    done = run(rig)
    assert "another than was accepted" in done.problems[0].why
    assert rig.running == {"hello": "1"}
    assert rig.installed == {"hello": ("1", True)}


def test_who_wants_only_to_be_warned_is_and_it_is_taken_in(rig: Rig) -> None:
    word(rig, "warn")
    rig.package()
    done = run(rig)
    assert (done.staged, done.problems) == (["hello"], [])
    assert ["was not accepted" in problem.why for problem in done.warnings] == [True]
    assert rig.running == {"hello": "1"}
    assert run(rig).warnings == ()


def test_settings_that_cannot_be_read_let_no_package_in(rig: Rig) -> None:
    rig.package()
    word(rig, "sometimes")
    with pytest.raises(Exception, match="signatures"):
        run(rig)
    assert rig.installed == {}


def test_what_was_accepted_is_forgotten_with_the_modules_state(rig: Rig) -> None:
    rig.package()
    note(rig)
    run(rig)
    rig.unpackage(purge=False)
    run(rig)
    assert read_accepted(rig.paths, "hello") is not None
    rig.unpackage(purge=True)
    run(rig)
    assert read_accepted(rig.paths, "hello") is None
