"""What a manifest becomes, as files to be read: a change of any of them is seen in review.

A case is a folder with a manifest, and machine.json where the machine lacks something. `pytest tests/golden --rewrite`
writes the files anew.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from aurora.emit import (
    apparmor_text,
    mount_properties,
    mount_text,
    service_properties,
    slice_properties,
    timer_properties,
    timer_text,
    unit_text,
)
from aurora.identity import installed
from aurora.manifest import find_manifest, read_manifest
from aurora.names import LINK_UNIT
from aurora.plan import Facts, Feature, Plan, Secrets, make_plan
from aurora.policy import Catalogue, read_catalogue, resolve

CASES = Path(__file__).with_name("cases")
CHECKOUT = Path(__file__).resolve().parents[2]
MACHINE = "machine.json"
PARSER = "/usr/sbin/apparmor_parser"
HUB = (LINK_UNIT, "aurora-link-websocket.socket", "aurora-link.service")
"""systemd-analyze looks for what a unit that is required requires."""
NO_KERNEL = "Cache read/write disabled: interface file missing"
"""What the parser says where /sys is not mounted; nothing is loaded here, and nothing cached."""

each_case = pytest.mark.parametrize("case", sorted(CASES.iterdir()), ids=lambda case: case.name)


def machine_of(case: Path) -> Facts:
    """What the case's machine can enforce: everything, but for what its file says."""
    file = case / MACHINE
    said = json.loads(file.read_text()) if file.exists() else {"missing": [], "accepted": []}
    missing, accepted = ({Feature(word) for word in said[key]} for key in ("missing", "accepted"))
    every: frozenset[Feature] = frozenset(Feature)
    return Facts(
        features=every - missing,
        accepted=frozenset(accepted),
        networks=("192.168.1.0/24", "fd00:1::/64"),
        groups=frozenset({"dialout", "gpio", "i2c", "spi", "video", "render", "plugdev"}),
        device_groups={"/dev/ttyUSB0": "dialout"},
    )


def shipped() -> Catalogue:
    """The package's policies and grants."""
    files = sorted((CHECKOUT / "policies").glob("*.toml"))
    return read_catalogue((path.name, path.read_bytes()) for path in files)


def plan_of(case: Path) -> Plan:
    """The plan of the case's manifest, with the shipped policies."""
    file = find_manifest((path.name for path in case.iterdir()), folder=case.name)
    manifest = read_manifest((case / file).read_bytes(), file=file)
    policy = resolve(shipped(), manifest.sandbox.policy, manifest.sandbox.grants, where=file)
    folder = f"/var/lib/aurora-core/modules/{manifest.name}/a"
    secrets = Secrets(f"/etc/aurora/credentials/{manifest.name}", frozenset({"sealed"}))
    identity = installed(manifest.name)
    return make_plan(manifest, policy, machine_of(case), identity=identity, folder=folder, secrets=secrets)


def one_a_line(properties: Mapping[str, Sequence[object]]) -> str:
    """JSON with a line for each property."""
    units = (
        f'"{unit}": [\n' + ",\n".join(f" {json.dumps(one, ensure_ascii=False)}" for one in rows) + "\n]"
        for unit, rows in properties.items()
    )
    text = "{\n" + ",\n".join(units) + "\n}\n"
    json.loads(text)
    return text


def documents_of(case: Path) -> dict[str, str]:
    """Every file that the case's manifest becomes."""
    plan = plan_of(case)
    properties = {"service": service_properties(plan), "slice": slice_properties(plan)}
    if plan.timer:
        properties["timer"] = timer_properties(plan)
    properties |= {volume.directory: mount_properties(volume, plan.module) for volume in plan.volumes}
    found = {
        "plan.json": json.dumps(plan.to_json(), indent=1, ensure_ascii=False) + "\n",
        "unit.txt": unit_text(plan),
        "properties.json": one_a_line(properties),
    }
    if plan.timer:
        found["timer.txt"] = timer_text(plan)
    found |= {f"{volume.directory}.txt": mount_text(volume, plan.module) for volume in plan.volumes}
    if plan.profile is not None:
        found["apparmor.txt"] = apparmor_text(plan)
    return found


@each_case
def test_a_manifest_becomes_what_its_files_say(case: Path, rewrite: bool) -> None:
    made = documents_of(case)
    given = {"module.toml", "module.json", MACHINE}
    if rewrite:
        for path in case.iterdir():
            if path.name not in given:
                path.unlink()
        for name, text in made.items():
            (case / name).write_text(text)
    assert {path.name: path.read_text() for path in case.iterdir() if path.name not in given} == made


def test_a_case_for_each_grant_that_is_shipped_and_one_that_sets_everything() -> None:
    names = {case.name for case in CASES.iterdir()}
    assert {"minimal", "everything", "older", "hard-arguments", "without-apparmor"} <= names
    assert plan_of(CASES / "everything").settings.keys() > plan_of(CASES / "minimal").settings.keys()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is in the build tree")
@each_case
def test_systemd_has_nothing_against_the_unit(case: Path, tmp_path: Path) -> None:
    plan = plan_of(case)
    units = {plan.unit: unit_text(plan), **({plan.started: timer_text(plan)} if plan.timer else {})}
    required = plan.settings.get("Requires", ())
    for name in required if isinstance(required, tuple) else ():  # systemd-analyze looks for them
        units[name] = "[Service]\nExecStart=true\n"
        if name == LINK_UNIT:
            units |= {own: (CHECKOUT / "units" / own).read_text() for own in HUB}
    units |= {volume.unit: mount_text(volume, plan.module) for volume in plan.volumes}
    for name, text in units.items():
        (tmp_path / name).write_text(text)
    verify = ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / name) for name in units)]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.skipif(not Path(PARSER).exists(), reason="apparmor_parser is in the build tree")
@each_case
def test_apparmor_takes_the_profile_and_finds_that_one_alone(case: Path, tmp_path: Path) -> None:
    plan = plan_of(case)
    if plan.profile is None:
        assert "apparmor.txt" not in documents_of(case)
        return
    profile = tmp_path / plan.profile
    profile.write_text(apparmor_text(plan))
    done = subprocess.run([PARSER, "-QK", str(profile)], capture_output=True, text=True, check=False)
    said = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith(NO_KERNEL)]
    assert (done.returncode, said) == (0, [])
    names = subprocess.run([PARSER, "--names", str(profile)], capture_output=True, text=True, check=True).stdout
    assert names.split() == [plan.profile]
