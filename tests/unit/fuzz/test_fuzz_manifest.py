"""Manifests of strangers: whatever is taken gives a plan that says the same everywhere; the rest is an InputError."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from aurora.directives import SANDBOX
from aurora.emit import apparmor_text, timer_text, unit_text
from aurora.errors import AuroraError, InputError, Problem
from aurora.identity import installed
from aurora.manifest import Manifest, read_manifest
from aurora.manifest.reader import PROBLEMS_MAX
from aurora.names import is_module_name, module_of_unit, slice_name, unit_name
from aurora.plan import Plan, Secrets, make_plan
from aurora.policy import resolve
from aurora.runtime.records import Record, _parsed
from aurora.text import is_harmful
from tests.unit.examples import ALL_FEATURES, shipped
from tests.unit.fuzz.budget import tries
from tests.unit.fuzz.material import anything, manifests, names, older_manifests, printed, texts, toml
from tests.unit.fuzz.oracle import check_plan, kinds_without_a_reading

FOLDER = "/var/lib/aurora-core/modules/{}/a"


def check_refusal(error: AuroraError, *, kind: type[AuroraError] = InputError) -> None:
    """An error of ours, with a bounded number of problems, each of one bounded line that commands no terminal."""
    assert type(error) is kind
    assert 1 <= len(error.problems) <= PROBLEMS_MAX + 1
    for problem in error.problems:
        line = str(problem)
        assert "\n" not in line
        assert not any(map(is_harmful, line))
        assert len(line) < 2000
        for part in Problem._fields:
            assert not any(map(is_harmful, getattr(problem, part))), part


def plan_of(manifest: Manifest) -> Plan | None:
    """The plan of an installed module with the shipped policies; None where it names one that is not there."""
    try:
        policy = resolve(shipped(), manifest.sandbox.policy, manifest.sandbox.grants, where="module.toml")
    except InputError as error:
        check_refusal(error)
        return None
    name = manifest.name
    secrets = Secrets(f"/etc/aurora/credentials/{name}", frozenset(manifest.credentials[:1]))
    made = make_plan(
        manifest, policy, ALL_FEATURES, identity=installed(name), folder=FOLDER.format(name), secrets=secrets
    )
    assert made.apparmor == policy.apparmor
    for directive, value in policy.directives.items():
        kept = made.settings[directive]
        assert kept == value or (isinstance(value, tuple) and isinstance(kept, tuple) and kept[: len(value)] == value)
    assert {name for name in made.settings if name in SANDBOX} <= policy.directives.keys() | {"BindReadOnlyPaths"}
    return made


def check_names(plan: Plan, name: str) -> None:
    """Every unit, path and profile follows from the module's name alone."""
    assert is_module_name(name)
    assert re.fullmatch(r"[a-z0-9-]+", name)
    assert plan.unit == unit_name(name)
    assert plan.slice == slice_name(name)
    assert plan.profile == f"aurora.{name}"
    assert "/" not in plan.unit + plan.slice + plan.profile
    for directory in plan.writable:
        assert re.fullmatch(rf"/(var/lib|var/cache|var/log|run)/(private/)?aurora(-modules)?/{name}", directory)
    for path in plan.credentials:
        assert re.fullmatch(rf"/etc/aurora/credentials/{name}/[A-Za-z0-9_][A-Za-z0-9_.-]*", path)
    mounts = tuple(volume.unit for volume in plan.volumes)
    for volume in plan.volumes:
        assert volume.place in plan.writable
        assert volume.image in (f"/var/lib/aurora-core/volumes/{volume.directory}/aurora/{name}.ext4", "")
    assert plan.settings.get("BindsTo", ()) == mounts
    hub = ("aurora-link.socket",) if plan.link else ()
    for directive in ("Wants", "Requires", "After"):
        units = plan.settings.get(directive, ())
        assert isinstance(units, tuple)
        own = (*(mounts if directive == "After" else ()), *(hub if directive != "Wants" else ()))
        assert set(own) <= set(units)
        assert all(module_of_unit(unit) or unit.endswith(".slice") for unit in units if unit not in own)


def taken(data: bytes, file: str = "module.toml", owner: tuple[bytes, str] | None = None) -> Plan | None:
    """The plan that comes of a manifest, checked; None where it is refused, checked too."""
    try:
        manifest = read_manifest(data, file=file, owner=owner)
    except InputError as error:
        event("refused")
        check_refusal(error)
        return None
    plan = plan_of(manifest)
    if plan is not None:
        event("taken")
        check_names(plan, manifest.name)
        check_plan(plan)
        assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    record = Record(manifest.name, manifest.version, manifest.description, "folder", True, "a", "0")
    assert _parsed(record.to_bytes().decode(), manifest.name, "") == record
    return plan


def test_every_kind_of_directive_is_compared() -> None:
    assert kinds_without_a_reading() == set()


ONESHOT = {"module": {"name": "hello", "version": "1", "entry": "run.py", "kind": "oneshot"}}


@tries(250)
@given(manifests())
@example({**ONESHOT, "schedule": {"interval": "10min"}})
@example({**ONESHOT, "schedule": {"calendar": "*-*-* 03:30", "jitter": "1min"}})
def test_a_manifest_is_a_plan_that_says_the_same_everywhere_or_refused(tables: dict[str, object]) -> None:
    taken(toml(tables))


@tries(100)
@given(
    st.lists(printed | texts, max_size=4),
    st.dictionaries(st.sampled_from(["A", "_b", "C1"]), printed | texts, max_size=3),
    printed.map(str.strip) | texts,
)
@example(["%n", "${HOME}", "a b", '"', "'", "\\", ";", ""], {"VA": "%h $HOME \\"}, "100% \\")
@example(["#", "\t", "-"], {"V": ""}, "[Service] ; # x")
def test_no_text_is_more_than_text(arguments: list[str], environment: dict[str, str], title: str) -> None:
    tables = {
        "module": {"name": "hello", "version": "1", "entry": ["run.py", *arguments], "description": title},
        "environment": environment,
    }
    plan = taken(toml(tables))
    if plan is not None:
        vector = plan.settings["ExecStart"]
        assert isinstance(vector, tuple)
        assert vector[2:] == tuple(arguments)
        variables = plan.settings["Environment"]
        assert isinstance(variables, tuple)
        assert {f"{name}={value}" for name, value in environment.items()} <= set(variables)


@tries(60)
@given(older_manifests)
def test_an_older_manifest_is_a_plan_or_refused(members: dict[str, object]) -> None:
    taken(json.dumps(members, default=str).encode(), "module.json")


@tries(60)
@given(manifests(), manifests() | st.dictionaries(texts, anything, max_size=3))
def test_an_owners_file_for_a_module_is_taken_or_refused(tables: dict[str, object], owners: dict[str, object]) -> None:
    tables["module"] = {**tables.get("module", {}), "owner_may": ["environment.*", "limits.*", "restart.*"]}  # type: ignore[dict-item]  # a table
    owners.pop("module", None)
    taken(toml(tables), owner=(toml(owners), "hello.toml"))


@tries(60)
@given(manifests(), st.data())
def test_a_manifest_that_is_damaged_is_taken_or_refused(tables: dict[str, object], data: st.DataObject) -> None:
    whole = toml(tables)
    place = data.draw(st.integers(0, len(whole)))
    taken(whole[:place] + data.draw(st.binary(max_size=3)) + whole[place + data.draw(st.integers(0, 8)) :])


@tries(60)
@given(names | texts)
def test_a_name_is_a_modules_name_or_none(name: str) -> None:
    plan = taken(toml({"module": {"name": name, "version": "1", "entry": "run.py"}}))
    assert (plan is not None) == is_module_name(name)
    assert module_of_unit(unit_name(name)) == (name if is_module_name(name) else None)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is in the build tree")
@tries(3)
@given(st.lists(manifests(), min_size=10, max_size=10))
def test_systemd_reads_what_is_emitted_without_a_word(
    tmp_path_factory: pytest.TempPathFactory, many: list[dict[str, object]]
) -> None:
    folder = tmp_path_factory.mktemp("units")
    written: dict[str, Plan] = {}
    for tables in many:
        plan = taken(toml(tables))
        if plan is not None:
            written[plan.unit] = plan
            (folder / plan.unit).write_text(unit_text(plan))
            if plan.timer:
                (folder / plan.started).write_text(timer_text(plan))
    if written:
        files = [str(folder / one) for one in written]
        line = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *files]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        # The programs, and units they are ordered by, are not installed where this runs.
        known = re.compile(r"is not executable: No such file|^Unit .* not found|Failed to create .*Unit .*not found")
        assert [said for said in done.stderr.splitlines() if not known.search(said)] == []
    shutil.rmtree(folder)


PARSER = shutil.which("apparmor_parser") or "/usr/sbin/apparmor_parser"


@pytest.mark.skipif(not Path(PARSER).exists(), reason="apparmor_parser is in the build tree")
@tries(40)
@given(manifests())
def test_apparmors_parser_finds_one_profile(tables: dict[str, object]) -> None:
    plan = taken(toml(tables))
    if plan is not None:
        text = apparmor_text(plan).encode()
        done = subprocess.run([PARSER, "--names"], input=text, capture_output=True, check=False)
        assert (done.returncode, done.stdout.decode().split()) == (0, [plan.profile]), done.stderr
