from __future__ import annotations

import os
from pathlib import Path

import pytest

from aurora.host.facts import read_device_groups, read_facts, read_groups
from aurora.plan import Feature
from aurora.policy import Owner

ALL = {
    "sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory hugetlb pids rdma misc\n",
    "sys/module/apparmor/parameters/enabled": "Y\n",
    "proc/sys/kernel/seccomp/actions_avail": "kill_process kill_thread trap errno user_notif trace log allow\n",
    "proc/sys/kernel/unprivileged_bpf_disabled": "2\n",
    "sys/module/loop/parameters/max_loop": "0\n",
}
CONTROLLERS = {Feature.MEMORY, Feature.CPU, Feature.PIDS, Feature.IO, Feature.IO_WEIGHT}
"""What goes with the cgroup's controllers."""
BFQ = "none mq-deadline [bfq]\n"


def disk_of(root: Path) -> str:
    """The disk that holds the test's folder, as the kernel names it."""
    device = root.stat().st_dev
    return f"{os.major(device)}:{os.minor(device)}"


def features(root: Path, content: dict[str, str], *, scheduler: str | None = BFQ) -> frozenset[Feature]:
    """Of a machine with these files whose /var/lib is on a disk with that scheduler, or on none."""
    (root / "var/lib").mkdir(parents=True)
    if scheduler is not None:
        disk = root / "sys/dev/block" / disk_of(root)
        content = content | {f"{disk.relative_to(root)}/queue/scheduler": scheduler}
        content = content | {f"{disk.relative_to(root)}/dev": disk_of(root) + "\n"}
    for name, text in content.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return read_facts(Owner(), root=root).features


def test_a_debian_machine_has_every_feature(tmp_path: Path) -> None:
    assert features(tmp_path, ALL) == set(Feature)


def test_weights_of_the_disk_are_heeded_by_bfq_or_by_io_cost_and_not_otherwise(tmp_path: Path) -> None:
    (other := tmp_path / "other").mkdir()
    assert Feature.IO_WEIGHT not in features(other, ALL, scheduler="[none] mq-deadline bfq\n")
    for number, state in enumerate(("enable=0 ctrl=auto", "enable=1 ctrl=user")):
        (root := tmp_path / f"cost{number}").mkdir()
        cost = {"sys/fs/cgroup/io.cost.qos": f"{disk_of(root)} {state} rpct=95.00\n"}
        assert (Feature.IO_WEIGHT in features(root, ALL | cost, scheduler="[none]\n")) is (number == 1)


def test_without_a_disk_of_its_own_nothing_that_is_said_of_it_can_be_enforced(tmp_path: Path) -> None:
    assert set(Feature) - features(tmp_path, ALL, scheduler=None) == {Feature.IO, Feature.IO_WEIGHT}


def test_the_scheduler_of_a_partition_is_that_of_its_disk(tmp_path: Path) -> None:
    blocks = tmp_path / "sys/dev/block"
    (disk := tmp_path / "sys/devices/sda").mkdir(parents=True)
    for name, text in (("queue/scheduler", BFQ), ("dev", "8:0\n"), ("sda1/partition", "1\n")):
        (disk / name).parent.mkdir(exist_ok=True)
        (disk / name).write_text(text)
    blocks.mkdir(parents=True)
    (blocks / disk_of(tmp_path)).symlink_to(disk / "sda1")
    assert features(tmp_path, ALL, scheduler=None) == set(Feature)


def test_a_machine_that_shows_nothing_has_none(tmp_path: Path) -> None:
    assert features(tmp_path, {}) == set()


@pytest.mark.parametrize(
    ("name", "text", "missing"),
    [
        ("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io pids", {Feature.MEMORY}),
        ("sys/fs/cgroup/cgroup.controllers", "cpuset io memory pids", {Feature.CPU}),
        ("sys/fs/cgroup/cgroup.controllers", "cpu memory", {Feature.PIDS, Feature.IO, Feature.IO_WEIGHT}),
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
        ("sys/module/loop/parameters/max_loop", {Feature.LOOP}),
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


def test_groups_are_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/group").write_text("root:x:0:\ngpio:x:997:pi\nbroken\n\n")
    assert read_groups(root=tmp_path) == {"root", "gpio"}
    assert read_groups(root=tmp_path / "nothing") == frozenset()


def test_only_a_device_has_a_devices_group(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/file").touch()
    assert read_device_groups(["/dev/file", "/dev/none"], root=tmp_path) == {}
    assert read_device_groups(["/dev/null"]) == {"/dev/null": "root"}
