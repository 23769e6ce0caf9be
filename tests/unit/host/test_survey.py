from __future__ import annotations

from pathlib import Path

import pytest

from aurora.host import survey
from aurora.host.process import Completed
from aurora.host.survey import read_survey
from aurora.host.syscalls import parse_groups
from aurora.paths import Paths

MACHINE = "5bc50f6286dd84deac739d7682561e57"


@pytest.fixture(autouse=True)
def no_other_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "run", lambda _argv, **_more: Completed(0, "systemd 257 (257.13)\n+PAM\n", ""))


def write(root: Path, files: dict[str, str]) -> Paths:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return Paths(root)


def storage(root: Path, files: dict[str, str]) -> tuple[str, str]:
    return read_survey(write(root, files)).journal_storage


def test_nothing_there_is_nothing_found_and_no_fault(tmp_path: Path) -> None:
    found = read_survey(Paths(tmp_path))
    assert (found.files, found.schedulers, found.journal_storage) == ({}, {}, ("auto", ""))
    assert not found.journal_on_disk
    assert found.systemd == "systemd 257 (257.13)"


def test_journald_takes_the_last_word_by_the_names_of_its_drop_ins(tmp_path: Path) -> None:
    files = {
        "etc/systemd/journald.conf": "[Journal]\n#Storage=auto\nStorage=none\n",
        "usr/lib/systemd/journald.conf.d/40-rpi-volatile-storage.conf": "[Journal]\nStorage=volatile\n",
        "etc/systemd/journald.conf.d/10-first.conf": "[Journal]\nStorage=auto\n",
    }
    assert storage(tmp_path, files) == ("volatile", "/usr/lib/systemd/journald.conf.d/40-rpi-volatile-storage.conf")
    own = {"etc/systemd/journald.conf.d/90-persistent.conf": "[Journal]\n Storage = persistent\n"}
    assert storage(tmp_path, own) == ("persistent", "/etc/systemd/journald.conf.d/90-persistent.conf")


def test_a_drop_in_of_the_owner_replaces_the_packages_of_the_same_name(tmp_path: Path) -> None:
    files = {
        "usr/lib/systemd/journald.conf.d/x.conf": "[Journal]\nStorage=volatile\n",
        "etc/systemd/journald.conf.d/x.conf": "[Journal]\n",
    }
    assert storage(tmp_path, files) == ("auto", "")


def test_a_journal_that_is_still_in_memory_is_not_on_disk(tmp_path: Path) -> None:
    disk = {"etc/machine-id": MACHINE, f"var/log/journal/{MACHINE}/system.journal": ""}
    assert read_survey(write(tmp_path, disk)).journal_on_disk
    assert not read_survey(write(tmp_path, {f"run/log/journal/{MACHINE}/system.journal": ""})).journal_on_disk


def test_the_scheduler_of_each_disk_is_the_one_in_brackets(tmp_path: Path) -> None:
    paths = write(tmp_path, {"sys/block/vda/queue/scheduler": "none [mq-deadline] bfq\n"})
    assert read_survey(paths).schedulers == {"vda": "mq-deadline"}


def test_the_hubs_profile_is_read_with_its_mode_and_the_hub_that_runs_with_its_label(tmp_path: Path) -> None:
    assert (read_survey(Paths(tmp_path)).link_profile, read_survey(Paths(tmp_path)).link_label) == (None, "")
    files = {
        "sys/kernel/security/apparmor/profiles": "aurora-link-2 (enforce)\naurora-link (complain)\n",
        "sys/fs/cgroup/system.slice/aurora-link.service/cgroup.procs": "12\n13\n",
        "proc/12/attr/apparmor/current": "aurora-link (complain)\n",
    }
    found = read_survey(write(tmp_path, files))
    assert (found.link_profile, found.link_label) == ("complain", "aurora-link (complain)")
    (tmp_path / "sys/kernel/security/apparmor/profiles").write_text("aurora-link-2 (enforce)\n")
    assert read_survey(Paths(tmp_path)).link_profile == ""


def test_groups_of_system_calls_are_read_as_systemd_prints_them() -> None:
    text = """@default
    # System calls that are always permitted
    exit
    read

@network-io
    # Network or Unix socket IO, should not be needed if not network facing
    @sync
    connect

# Ungrouped System Calls (known but not included in any of the groups except @known):
#   syslog
"""
    assert parse_groups(text) == {
        "@default": frozenset({"exit", "read"}),
        "@network-io": frozenset({"@sync", "connect"}),
    }
