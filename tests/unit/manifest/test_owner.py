"""The owner's file over a manifest: where it counts, where it may not, and where its faults are told."""

from __future__ import annotations

import pytest

from aurora.errors import InputError, Problem
from aurora.manifest import Manifest, read_manifest

FILE = "/etc/aurora/modules/hello.toml"
MANIFEST = '[module]\nname = "hello"\nversion = "1.0"\nentry = "run.py"\n'
LIMITED = MANIFEST + '[limits]\nmemory_max = "64M"\ntasks = 8\n[environment]\nA = "1"\nB = "2"\n'


def read(owner: str, manifest: str = LIMITED) -> Manifest:
    return read_manifest(manifest.encode(), file="module.toml", owner=(owner.encode(), FILE))


def problems_of(owner: str, manifest: str = LIMITED) -> tuple[Problem, ...]:
    with pytest.raises(InputError) as caught:
        read(owner, manifest)
    return caught.value.problems


def test_what_the_owner_sets_replaces_what_the_manifest_says_and_the_rest_stays() -> None:
    found = read('[limits]\nmemory_max = "16M"\n')
    assert (found.limits.memory_max_bytes, found.limits.tasks_max) == (16 << 20, 8)


def test_variables_are_replaced_one_by_one() -> None:
    assert read('[environment]\nB = "3"\nC = "4"\n').environment == (("A", "1"), ("B", "3"), ("C", "4"))


@pytest.mark.parametrize("owner", ["", "# nothing but words\n"])
def test_an_empty_file_changes_nothing(owner: str) -> None:
    assert read(owner) == read_manifest(LIMITED.encode(), file="module.toml")


def test_a_key_that_the_module_keeps_for_itself_is_refused_and_those_that_it_lets_go_are_named() -> None:
    (problem,) = problems_of('[sandbox]\ngrants = ["network.internet"]\n')
    assert problem.why == "the module does not let its owner set this key"
    assert problem.where == f"{FILE}, line 2, key sandbox.grants"
    assert "limits.*" in problem.remedy


def test_a_manifest_may_let_its_owner_set_more() -> None:
    more = LIMITED.replace('version = "1.0"', 'version = "1.0"\nowner_may = ["sandbox.grants"]')
    assert read('[sandbox]\ngrants = ["network.loopback"]\n', more).sandbox.grants == ("network.loopback",)
    (problem,) = problems_of("[limits]\ntasks = 4\n", more)
    assert problem.remedy == "one of sandbox.grants"


def test_a_manifest_may_let_its_owner_set_one_variable_only() -> None:
    more = LIMITED.replace('version = "1.0"', 'version = "1.0"\nowner_may = ["environment.A"]')
    assert dict(read('[environment]\nA = "9"\n', more).environment)["A"] == "9"
    (problem,) = problems_of('[environment]\nA = "9"\nB = "9"\n', more)
    assert problem.where == f"{FILE}, line 3, key environment.B"


def test_a_manifest_may_let_its_owner_set_nothing() -> None:
    closed = LIMITED.replace('version = "1.0"', 'version = "1.0"\nowner_may = []')
    (problem,) = problems_of("[limits]\ntasks = 4\n", closed)
    assert problem.remedy == "leaving it out: the module lets nothing be set"


def test_no_manifest_can_let_its_owner_change_what_the_module_is() -> None:
    (problem,) = problems_of("", LIMITED.replace('version = "1.0"', 'version = "1.0"\nowner_may = ["module.entry"]'))
    assert problem.where == "module.toml, line 4, key module.owner_may"


def test_faults_of_both_files_are_told_at_once_each_at_its_place() -> None:
    found = problems_of('[limits]\nmemory_max = "x"\n[nonsense]\n[environment]\nA = 1\n', LIMITED + "[what]\n")
    assert [problem.where for problem in found] == [
        "module.toml, line 11, key what",
        f"{FILE}, line 2, key limits.memory_max",
        f"{FILE}, line 3, key nonsense",
        f"{FILE}, line 5, key environment.A",
    ]


def test_what_contradicts_because_of_the_owner_is_told_in_the_owners_file() -> None:
    (problem,) = problems_of('[limits]\nmemory_high = "65M"\n')
    assert problem.where == f"{FILE}, line 2, key limits.memory_high"


def test_a_file_that_is_not_toml_is_named() -> None:
    (problem,) = problems_of("[limits\n")
    assert problem.where.startswith(f"{FILE}, line 1")


def test_a_file_of_an_older_module_counts_too() -> None:
    older = b'{"name": "hello", "version": "1.0", "entry": "run.py"}'
    found = read_manifest(older, file="module.json", owner=(b"[limits]\ntasks = 3\n", FILE))
    assert found.limits.tasks_max == 3
