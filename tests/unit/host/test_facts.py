from __future__ import annotations

from pathlib import Path

import pytest

from aurora.host.facts import read_facts
from aurora.plan import Feature
from aurora.policy import Owner

ALL = {
    "sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory hugetlb pids rdma misc\n",
    "sys/module/apparmor/parameters/enabled": "Y\n",
    "proc/sys/kernel/seccomp/actions_avail": "kill_process kill_thread trap errno user_notif trace log allow\n",
    "proc/sys/kernel/unprivileged_bpf_disabled": "2\n",
}
CONTROLLERS = {Feature.MEMORY, Feature.CPU, Feature.PIDS, Feature.IO}


def features(root: Path, content: dict[str, str]) -> frozenset[Feature]:
    for name, text in content.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return read_facts(Owner(), root=root).features


def test_a_debian_machine_has_every_feature(tmp_path: Path) -> None:
    assert features(tmp_path, ALL) == set(Feature)


def test_a_machine_that_shows_nothing_has_none(tmp_path: Path) -> None:
    assert features(tmp_path, {}) == set()


@pytest.mark.parametrize(
    ("name", "text", "missing"),
    [
        ("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io pids", {Feature.MEMORY}),
        ("sys/fs/cgroup/cgroup.controllers", "cpuset io memory pids", {Feature.CPU}),
        ("sys/fs/cgroup/cgroup.controllers", "cpu memory", {Feature.PIDS, Feature.IO}),
        ("sys/fs/cgroup/cgroup.controllers", "", CONTROLLERS),
        ("sys/module/apparmor/parameters/enabled", "N\n", {Feature.APPARMOR}),
        ("proc/sys/kernel/seccomp/actions_avail", "kill_process allow\n", {Feature.SECCOMP}),
    ],
)
def test_what_the_kernel_does_not_show_is_not_there(
    tmp_path: Path, name: str, text: str, missing: set[Feature]
) -> None:
    assert set(Feature) - features(tmp_path, {**ALL, name: text}) == missing


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("sys/fs/cgroup/cgroup.controllers", CONTROLLERS),
        ("sys/module/apparmor/parameters/enabled", {Feature.APPARMOR}),
        ("proc/sys/kernel/seccomp/actions_avail", {Feature.SECCOMP}),
        ("proc/sys/kernel/unprivileged_bpf_disabled", {Feature.IP_FILTER}),
    ],
)
def test_a_file_that_is_not_there_means_that_its_features_are_not(
    tmp_path: Path, name: str, missing: set[Feature]
) -> None:
    assert set(Feature) - features(tmp_path, {key: text for key, text in ALL.items() if key != name}) == missing


def test_what_the_owner_accepts_is_told_beside_it(tmp_path: Path) -> None:
    facts = read_facts(Owner(accept_unenforced=frozenset({"apparmor"})), root=tmp_path)
    assert facts.accepted == {Feature.APPARMOR}
    assert facts.features == set()
