from __future__ import annotations

import pytest

from aurora.emit import apparmor_text
from aurora.plan import Facts, Feature
from tests.unit.examples import EVERY, plan


def rules(more: str = "") -> list[str]:
    text = apparmor_text(plan(more))
    assert text.count("{\n") == 1
    return [line.strip() for line in text.partition("{\n")[2].rpartition("}")[0].splitlines()]


def test_the_profile_has_the_name_that_the_unit_asks_for() -> None:
    made = plan()
    assert f"profile {made.settings['AppArmorProfile']} flags=(" in apparmor_text(made)


def test_it_holds_the_policys_rules_each_on_its_line() -> None:
    assert rules()[: len(plan().apparmor)] == list(plan().apparmor)


def test_the_module_reads_and_runs_its_own_folder_and_does_not_write_there() -> None:
    folder = plan().folder
    about = [rule for rule in rules() if rule.startswith(folder)]
    assert about == [f"{folder}/ r,", f"{folder}/** mrix,"]


def test_it_writes_its_own_directories_and_no_others() -> None:
    assert [rule for rule in rules("[directories]\nstate = true") if "/hello/{" in rule] == [
        "/var/lib/private/aurora/hello/{,**} rwkl,",
        "/var/lib/aurora/hello/{,**} rwkl,",
    ]
    assert not [rule for rule in rules() if "/hello/{" in rule]


def test_a_plan_without_a_profile_has_no_text_for_one() -> None:
    apparmor = frozenset({Feature.APPARMOR})
    made = plan(facts=Facts(features=EVERY - apparmor, accepted=apparmor))
    with pytest.raises(ValueError, match="has no profile"):
        apparmor_text(made)
