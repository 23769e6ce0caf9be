from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

HERE = Path(__file__).resolve().parent
ALWAYS_NUMBERS = (
    "time_unix_sec",
    "uptime_sec",
    "cpu_percent",
    "cpu_count",
    "load_1min",
    "load_5min",
    "load_15min",
    "memory_total_bytes",
    "memory_available_bytes",
    "memory_used_bytes",
    "memory_used_percent",
    "swap_total_bytes",
    "swap_used_bytes",
)
NULL_WHERE_ABSENT = (
    "cpu_frequency_mhz",
    "disks",
    "disk_read_bytes",
    "disk_written_bytes",
    "temperatures_celsius",
    "network",
)


@pytest.fixture
def hoststat(start: Callable[..., Any]) -> Any:
    return start(HERE, INTERVAL_SEC="0.2")


def test_each_line_is_json_with_the_same_names(hoststat: Any) -> None:
    lines = [json.loads(hoststat.output_line()) for _ in range(3)]
    for line in lines:
        assert sorted(line) == sorted(ALWAYS_NUMBERS + NULL_WHERE_ABSENT)
        assert all(isinstance(line[name], int | float) for name in ALWAYS_NUMBERS)
    times = [line["time_unix_sec"] for line in lines]
    assert times == sorted(set(times))


def test_the_figures_are_those_of_this_machine(hoststat: Any) -> None:
    line = json.loads(hoststat.output_line())
    assert line["memory_total_bytes"] == psutil.virtual_memory().total
    assert line["memory_used_bytes"] + line["memory_available_bytes"] == line["memory_total_bytes"]
    assert abs(line["memory_used_percent"] - 100 * line["memory_used_bytes"] / line["memory_total_bytes"]) < 0.1
    assert 0 <= line["cpu_percent"] <= 100
    assert line["cpu_count"] == os.cpu_count()
    assert abs(line["time_unix_sec"] - time.time()) < 30
    root = line["disks"][0]
    assert root["mount"] == "/"
    assert root["total_bytes"] == psutil.disk_usage("/").total
    interfaces = [interface["interface"] for interface in line["network"]]
    assert interfaces == sorted(psutil.net_io_counters(pernic=True))


def test_counters_only_grow(hoststat: Any) -> None:
    first, second = (json.loads(hoststat.output_line()) for _ in range(2))
    before = {interface["interface"]: interface["received_bytes"] for interface in first["network"]}
    after = {interface["interface"]: interface["received_bytes"] for interface in second["network"]}
    assert all(after[name] >= count for name, count in before.items() if name in after)


@pytest.mark.usefixtures("hoststat")
def test_it_tells_systemd_that_it_is_up_and_alive_and_how_the_machine_is(systemd: Any) -> None:
    systemd.wait_for("READY=1")
    systemd.wait_for("WATCHDOG=1")
    assert "STATUS=cpu " in systemd.wait_for(" %, load ")


def test_a_stop_ends_it_at_once(hoststat: Any, systemd: Any) -> None:
    hoststat.output_line()
    assert hoststat.stop() == 0
    systemd.wait_for("STOPPING=1")


# Stands in front of the real psutil and takes functions away from it.
BARE_PSUTIL = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("psutil", REAL + "/__init__.py", submodule_search_locations=[REAL])
psutil = sys.modules["psutil"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(psutil)

def no_frequency():
    raise NotImplementedError("no frequency here")

def no_swap():
    raise PermissionError(13, "Permission denied", "/proc/meminfo")

psutil.cpu_freq = no_frequency
psutil.swap_memory = no_swap
psutil.sensors_temperatures = dict
psutil.disk_io_counters = lambda: None
del psutil.net_io_counters
"""


def test_what_the_machine_lacks_is_null_and_the_reason_is_logged_once(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    real = str(Path(psutil.__file__).parent)
    (tmp_path / "psutil.py").write_text(f"REAL = {real!r}\n{BARE_PSUTIL}")
    program = start(HERE, INTERVAL_SEC="0.1", PYTHONPATH=f"{tmp_path}:{HERE.parent.parent}")
    lines = [json.loads(program.output_line()) for _ in range(3)]
    absent = {*NULL_WHERE_ABSENT, "swap_total_bytes", "swap_used_bytes"} - {"disks"}
    for line in lines:
        assert {name for name, value in line.items() if value is None} == absent
    reasons = [program.log_line("no figure") for _ in range(3)]
    assert [reason.split(":")[0] for reason in reasons] == [
        "<4>no figure for cpu_frequency_mhz",
        "<4>no figure for swap",
        "<4>no figure for network",
    ]
    assert program.stop() == 0


def test_each_reading_is_on_aurora_link_as_in_the_journal_and_the_last_one_stays(
    start: Callable[..., Any], hub: Any
) -> None:
    with hub.up():
        program = start(HERE, INTERVAL_SEC="0.2", AURORA_LINK=hub.address)
        program.output_line()
        printed = json.loads(program.output_line())
        with hub.client() as root:
            root.subscribe("hoststat/#")
            messages = root.messages(within_sec=30)
            last = next(messages)
            assert (last["topic"], last["from"], last["retained"]) == ("hoststat/figures", "hoststat", True)
            assert last["data"].keys() == printed.keys()
            printed_later = [json.loads(program.output_line()) for _ in range(3)]
            told_later = [next(messages)["data"] for _ in range(3)]
            assert any(line in told_later for line in printed_later)


def test_without_the_hub_it_goes_on_says_so_once_and_is_there_again_with_it(
    start: Callable[..., Any], hub: Any
) -> None:
    program = start(HERE, INTERVAL_SEC="0.1", AURORA_LINK=hub.address)
    for number in range(2):
        lines = [json.loads(program.output_line()) for _ in range(4)]
        assert len(lines) == 4
        with hub.up(), hub.client() as root:
            root.subscribe("hoststat/figures")
            next(root.messages(within_sec=30))
            assert program.log_line("AuroraLink").startswith("<4>cannot " + ("reach", "talk with")[number])
            assert program.log_line("AuroraLink") == "<6>connected with AuroraLink again, as hoststat"
    assert program.stop() == 0


def test_what_its_manifest_does_not_allow_is_said_once(start: Callable[..., Any], hub: Any) -> None:
    with hub.up():
        program = start(HERE, INTERVAL_SEC="0.1", AURORA_LINK=hub.address, AURORA_MODULE="hello")
        for _ in range(3):
            program.output_line()
        assert program.log_line("no reading on AuroraLink").startswith("<4>no reading on AuroraLink: cannot publish")
        assert program.stop() == 0
        assert [line for line in program.log_lines() if "AuroraLink" in line] == []
