from __future__ import annotations

import json
import os
import shutil

import pytest

from aurora.cli import policy
from aurora.cli.main import main
from aurora.paths import Paths
from tests.unit.examples import CHECKOUT


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> Paths:
    """A machine with the package's policies and one of its owner's."""
    paths = Paths(str(tmp_path))
    shutil.copytree(CHECKOUT / "policies", paths.policies)
    paths.owner_policies.mkdir(parents=True)
    (paths.owner_policies / "kiosk.toml").write_text(
        'description = "One screen"\napparmor = ["/srv/kiosk/** r,"]\n[directives]\nPrivateTmp = true\nUMask = 0o077\n'
    )
    monkeypatch.setattr(policy, "Paths", lambda: paths)
    return paths


def said(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(argv) == 0
    return capsys.readouterr().out


def test_the_list_has_the_packages_policies_and_the_owners(capsys: pytest.CaptureFixture[str]) -> None:
    names = [line.split()[0] for line in said(capsys, "policy", "list").splitlines()[1:]]
    assert names == sorted(names)
    assert {"kiosk", "strict"} <= set(names)
    rows = {row["name"]: row for row in json.loads(said(capsys, "policy", "list", "--json"))}
    assert (rows["kiosk"]["base"], rows["kiosk"]["description"]) == ("", "One screen")
    # An owner's policy that leaves nearly everything open scores as such; the package's are steps.
    order = ["strict", "standard", "network", "trusted", "kiosk"]
    scores = [float(rows[name]["score"]) for name in order]
    assert scores == sorted(scores)
    assert len(set(scores)) == len(order)


def test_a_policy_is_shown_as_a_unit_file_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "policy", "show", "kiosk") == (
        "kiosk: One screen\n\nPrivateTmp=yes\nUMask=0077\n\n/srv/kiosk/** r,\n"
    )
    assert json.loads(said(capsys, "policy", "show", "kiosk", "--json")) == {
        "name": "kiosk",
        "base": "",
        "description": "One screen",
        "directives": {"PrivateTmp": True, "UMask": 0o077},
        "apparmor": ["/srv/kiosk/** r,"],
    }


def test_a_policy_that_is_not_there_is_told_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "show", "kisok"]) == os.EX_DATAERR
    assert capsys.readouterr().err == (
        "auroractl: cannot find the policy 'kisok', because this machine has no policy of that name; try kiosk\n"
    )


def test_a_difference_shows_both_sides_and_of_lists_only_what_differs(
    capsys: pytest.CaptureFixture[str], machine: Paths
) -> None:
    (machine.owner_policies / "bar.toml").write_text(
        'description = "Bar"\nbase = "kiosk"\napparmor = ["/srv/bar r,"]\n[directives]\nPrivateTmp = false\n'
        '[add]\nInaccessiblePaths = ["/x"]\n'
    )
    assert said(capsys, "policy", "diff", "kiosk", "bar") == (
        "+ InaccessiblePaths=/x\n- PrivateTmp=yes\n+ PrivateTmp=no\n+ /srv/bar r,\n"
    )
    document = json.loads(said(capsys, "policy", "diff", "kiosk", "bar", "--json"))
    assert document["directives"]["PrivateTmp"] == {"before": True, "after": False}
    assert document["apparmor"] == {"added": ["/srv/bar r,"], "removed": []}
    assert main(["policy", "diff", "bar", "bar"]) == 0
    assert capsys.readouterr() == ("", "the two do the same\n")
