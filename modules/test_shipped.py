"""What holds for every module that is shipped."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from aurora.manifest import Manifest, Readiness, read_manifest
from aurora.policy import read_catalogue, resolve

HERE = Path(__file__).resolve().parent
POLICIES = HERE.parent / "policies"
MODULES = sorted(path.parent for path in HERE.glob("*/module.toml"))
every_module = pytest.mark.parametrize("folder", MODULES, ids=lambda folder: folder.name)


def manifest_of(folder: Path) -> Manifest:
    return read_manifest((folder / "module.toml").read_bytes(), file="module.toml")


@every_module
def test_its_manifest_is_accepted_and_names_its_folder(folder: Path) -> None:
    assert manifest_of(folder).name == folder.name


@every_module
def test_its_policy_and_grants_exist(folder: Path) -> None:
    files = [(path.name, path.read_bytes()) for path in sorted(POLICIES.glob("*.toml"))]
    sandbox = manifest_of(folder).sandbox
    assert resolve(read_catalogue(files), sandbox.policy, sandbox.grants, where="module.toml").directives


@every_module
def test_its_limits_are_declared(folder: Path) -> None:
    limits = manifest_of(folder).limits
    assert None not in (limits.cpu_share_usec, limits.memory_max_bytes, limits.tasks_max)


@every_module
def test_it_says_when_it_is_ready(folder: Path) -> None:
    assert manifest_of(folder).start.readiness is Readiness.NOTIFY


@every_module
def test_its_readme_names_its_grants_and_variables(folder: Path) -> None:
    text = (folder / "README.md").read_text()
    manifest = tomllib.loads((folder / "module.toml").read_text())
    for word in [*manifest["sandbox"].get("grants", []), *manifest.get("environment", {})]:
        assert f"`{word}`" in text


@every_module
def test_it_is_in_the_list_of_modules(folder: Path) -> None:
    assert f"[{folder.name}]({folder.name}/README.md)" in (HERE / "README.md").read_text()


@every_module
def test_it_has_a_test(folder: Path) -> None:
    assert list(folder.glob("test_*.py"))
