from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
Start = Callable[..., Any]

FAKE_DF = """#!/bin/sh
for path; do :; done
[ -e "$DF_FIGURES$path" ] || exit 1
echo 'Filesystem 1024-blocks Used Available Capacity Mounted on'
cat "$DF_FIGURES$path"
"""


class Disks:
    """File systems with the figures that a test gives them, seen through a df in front of the real one."""

    def __init__(self, folder: Path) -> None:
        self.figures = folder / "figures"
        self.figures.mkdir()
        self.programs = folder / "bin"
        self.programs.mkdir()
        (self.programs / "df").write_text(FAKE_DF)
        (self.programs / "df").chmod(0o755)
        self.variables = {
            "PATH": f"{self.programs}:/usr/sbin:/usr/bin:/sbin:/bin",
            "DF_FIGURES": str(self.figures),
            "INTERVAL_SEC": "1",
        }

    def has(self, path: str, percent: int, device: str = "/dev/sda1") -> None:
        new = self.figures / "new"
        new.write_text(f"{device} 1000000 1 102400 {percent}% {path}\n")
        new.rename(f"{self.figures}{path}")


@pytest.fixture
def disks(tmp_path: Path) -> Disks:
    return Disks(tmp_path)


def test_it_reports_the_real_disk(start: Start, systemd: Any) -> None:
    program = start(HERE, WARN_USED_PERCENT="101")
    said = systemd.wait_for("READY=1")
    line = program.log_line()
    assert re.fullmatch(r"<6>/ on \S+: \d+ % used, \d+ MiB free", line)
    used, free = shutil.disk_usage("/").used, shutil.disk_usage("/").free
    percent, free_mib = map(int, re.findall(r"(\d+) [%M]", line))
    assert abs(percent - 100 * used / (used + free)) < 3
    assert abs(free_mib * 1024**2 / free - 1) < 0.1
    assert f"STATUS=/ {percent} % used" in said


def test_it_warns_at_the_threshold_and_when_there_is_room_again(start: Start, disks: Disks) -> None:
    disks.has("/x", 89)
    program = start(HERE, WATCH_PATHS="/x", **disks.variables)
    assert program.log_line() == "<6>/x on /dev/sda1: 89 % used, 100 MiB free"
    disks.has("/x", 90)
    assert program.log_line() == (
        "<4>/x on /dev/sda1 is nearly full: 90 % used, 100 MiB free; the threshold is 90 % used"
    )
    disks.has("/x", 50)
    assert program.log_line() == "<6>/x on /dev/sda1 has room again: 50 % used, 100 MiB free"


def test_a_value_that_swings_around_the_threshold_warns_once(start: Start, disks: Disks, systemd: Any) -> None:
    disks.has("/x", 90)
    program = start(HERE, WATCH_PATHS="/x", **disks.variables)
    assert program.log_line().startswith("<4>")
    for percent in (89, 91, 88):
        disks.has("/x", percent)
        systemd.wait_for(f"STATUS=/x {percent} % used")
    disks.has("/x", 87)
    assert "has room again: 87 %" in program.log_line()


def test_each_file_system_is_watched_once_and_by_itself(start: Start, disks: Disks) -> None:
    disks.has("/x", 10)
    disks.has("/same", 10)
    disks.has("/y z", 10, device="/dev/sdb1")
    program = start(HERE, WATCH_PATHS="/x:/same:/y z", **disks.variables)
    assert program.log_line().startswith("<6>/x on /dev/sda1:")
    assert program.log_line().startswith("<6>/y z on /dev/sdb1:")
    disks.has("/y z", 95, device="/dev/sdb1")
    assert program.log_line().startswith("<4>/y z on /dev/sdb1 is nearly full")


def test_a_path_that_is_not_there_is_said_once_and_picked_up_when_it_comes(
    start: Start, disks: Disks, systemd: Any
) -> None:
    program = start(HERE, WATCH_PATHS="/x", **disks.variables)
    assert program.log_line() == "<4>cannot watch /x, because it is not there, or not in the sandbox's view"
    systemd.wait_for("WATCHDOG=1")
    systemd.wait_for("WATCHDOG=1")
    disks.has("/x", 10)
    assert "has room again" in program.log_line()


def test_the_empty_place_that_the_sandbox_puts_over_a_hidden_path_is_not_taken_for_a_disk(
    start: Start, disks: Disks
) -> None:
    disks.has("/home", 0, device="tmpfs")
    program = start(HERE, WATCH_PATHS="/home", **disks.variables)
    assert program.log_line() == "<4>cannot watch /home, because it is not there, or not in the sandbox's view"


def test_a_stop_ends_it_at_once_however_long_its_interval(start: Start, systemd: Any) -> None:
    program = start(HERE, INTERVAL_SEC="3600")
    systemd.wait_for("READY=1")
    assert program.stop() == 0
    assert program.log_line("stopped") == "<6>stopped watching"


def test_the_watchdog_is_fed_twice_as_often_as_it_wants(start: Start, systemd: Any) -> None:
    start(HERE, INTERVAL_SEC="3600", WATCHDOG_USEC="2000000")
    systemd.wait_for("READY=1")
    systemd.wait_for("WATCHDOG=1")
    systemd.wait_for("WATCHDOG=1")


@pytest.mark.parametrize("variable", ["INTERVAL_SEC", "WARN_USED_PERCENT"])
def test_a_setting_that_is_no_number_is_refused_with_a_remedy(start: Start, variable: str) -> None:
    program = start(HERE, **{variable: "often"})
    assert program.status() == 78
    line = program.log_line()
    assert line.startswith(f'<3>cannot use {variable}, because "often" is not a whole number')
    assert "; try " in line


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing() -> None:
    done = subprocess.run(["shellcheck", "run.sh"], cwd=HERE, check=False, capture_output=True, text=True)
    assert done.stdout == ""
