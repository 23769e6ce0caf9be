from __future__ import annotations

from dataclasses import replace

import pytest

from aurora.host.bpf import Attach
from aurora.host.survey import Survey
from aurora.plan import Facts, Feature
from aurora.runtime.abilities import Ability, abilities
from tests.unit.examples import ALL_FEATURES, EVERY

SURVEY = Survey(
    files={
        "sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory pids\n",
        "sys/fs/cgroup/init.scope/memory.swap.max": "max\n",
        "sys/module/apparmor/parameters/enabled": "Y\n",
        "sys/kernel/security/lockdown": "[none] integrity confidentiality\n",
        "sys/class/watchdog/watchdog0/state": "active\n",
        "proc/cmdline": "root=/dev/vda\n",
        "proc/sys/kernel/seccomp/actions_avail": "errno\n",
        "proc/sys/kernel/unprivileged_bpf_disabled": "2\n",
        "proc/sys/user/max_user_namespaces": "5838\n",
    },
    schedulers={"vda": "bfq"},
    journal_storage=("persistent", "/etc/systemd/journald.conf"),
    journal_on_disk=True,
    synchronised=True,
    now_sec=1_800_000_000,
    built_sec=1_700_000_000,
    programs=dict.fromkeys(Attach, 0),
    systemd="systemd 257 (257.13-1)",
    has_parser=True,
    link_profile="enforce",
    link_label="aurora-link (enforce)",
)


def unable(survey: Survey, facts: Facts = ALL_FEATURES) -> dict[str, Ability]:
    return {one.name: one for one in abilities(survey, facts) if one.able is not True}


def without(name: str, text: str | None = None) -> Survey:
    files = {key: value for key, value in SURVEY.files.items() if key != name}
    return replace(SURVEY, files=files if text is None else {**files, name: text})


def test_a_machine_that_has_it_all_needs_no_change() -> None:
    assert unable(SURVEY) == {}
    assert all(one.found and one.means and not one.remedy for one in abilities(SURVEY, ALL_FEATURES))


@pytest.mark.parametrize("feature", list(Feature))
def test_a_feature_that_plans_cannot_rely_on_is_told_with_the_line_to_change(feature: Feature) -> None:
    facts = Facts(features=EVERY - {feature}, accepted=frozenset())
    (found,) = unable(SURVEY, facts).values()
    assert found.remedy
    assert not found.accepted
    (accepted,) = unable(SURVEY, replace(facts, accepted=frozenset({feature}))).values()
    assert accepted.accepted


def test_raspberry_pi_os_has_a_file_of_its_own_for_the_kernels_command_line() -> None:
    facts = Facts(features=EVERY - {Feature.MEMORY}, accepted=frozenset())
    elsewhere = unable(without("proc/cmdline", "quiet cgroup_disable=memory"), facts)["memory controller"]
    assert elsewhere.remedy.startswith("/etc/default/grub: take cgroup_disable=memory out")
    pi = unable(without("proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\0"), facts)["memory controller"]
    assert pi.remedy == "/boot/firmware/cmdline.txt: add cgroup_enable=memory to its one line, then reboot"


@pytest.mark.parametrize(
    ("survey", "name", "word"),
    [
        (without("sys/fs/cgroup/cgroup.controllers"), "cgroup v2", "systemd.unified_cgroup_hierarchy=1"),
        (without("sys/fs/cgroup/init.scope/memory.swap.max"), "swap accounting", "swapaccount=1"),
        (without("proc/sys/user/max_user_namespaces", "0\n"), "user namespaces", "user.max_user_namespaces"),
        (without("sys/kernel/security/lockdown", "none integrity [confidentiality]"), "open to bpf", "lockdown"),
        (without("sys/class/watchdog/watchdog0/state"), "hardware watchdog", "RuntimeWatchdogSec"),
        (replace(SURVEY, has_parser=False), "apparmor", "apt install apparmor"),
        (replace(SURVEY, link_profile="", link_label=""), "hub confined", "apparmor_parser --replace"),
        (replace(SURVEY, link_profile="complain", link_label=""), "hub confined", "apparmor_parser --replace"),
        (replace(SURVEY, link_label="unconfined"), "hub confined", "systemctl restart aurora-link.service"),
        (replace(SURVEY, journal_on_disk=False), "persistent journal", "Storage=persistent"),
        (replace(SURVEY, synchronised=False), "clock", "systemd-timesyncd"),
        (replace(SURVEY, now_sec=0), "clock", "set-ntp"),
        (replace(SURVEY, systemd="systemd 252 (252.1)"), "systemd", "Debian 13"),
    ],
)
def test_what_is_missing_is_the_only_thing_told_and_has_its_remedy(survey: Survey, name: str, word: str) -> None:
    found = unable(survey)
    assert found.keys() == {name}
    assert found[name].able is False
    assert word in found[name].remedy


def test_a_clock_that_was_never_set_is_told_apart_from_one_that_drifts() -> None:
    assert "never set" in unable(replace(SURVEY, now_sec=0, synchronised=False))["clock"].found
    assert "never set" not in unable(replace(SURVEY, synchronised=False))["clock"].found


@pytest.mark.parametrize("name", ["volatile.conf", "40-rpi-volatile-storage.conf", "99-x.conf"])
def test_the_file_that_makes_the_journal_persistent_comes_after_the_one_that_does_not(name: str) -> None:
    file = f"/etc/systemd/journald.conf.d/{name}"
    survey = replace(SURVEY, journal_on_disk=False, journal_storage=("volatile", file))
    remedy = unable(survey)["persistent journal"].remedy
    assert remedy.partition(":")[0].rpartition("/")[2] > name


def test_a_hub_that_does_not_run_is_judged_by_its_profile_and_without_root_it_is_not_known() -> None:
    assert unable(replace(SURVEY, link_label="")) == {}
    found = unable(replace(SURVEY, link_label="", link_profile=None))["hub confined"]
    assert (found.able, found.remedy) == (None, "")
    assert unable(replace(SURVEY, link_label="unconfined", link_profile=None))["hub confined"].able is False


def test_without_root_the_device_filter_is_not_known() -> None:
    found = unable(replace(SURVEY, programs=dict.fromkeys(Attach, None)))
    assert {name: one.able for name, one in found.items()} == {"device filter": None}
