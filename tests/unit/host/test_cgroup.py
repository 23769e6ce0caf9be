from __future__ import annotations

from pathlib import Path

import pytest

from aurora.host.cgroup import Pressure, Usage, read_pressure, read_run, read_usage

GROUP = "/aurora.slice/aurora-hello.slice/aurora@hello.service"
NOTHING = Usage(None, None, None, None, None, None, None)
FULL = {
    "memory.current": "4096\n",
    "memory.max": "67108864\n",
    "memory.events": "low 0\nhigh 3\nmax 9\noom 2\noom_kill 1\n",
    "cpu.stat": "usage_usec 1234567\nuser_usec 1000000\nsystem_usec 234567\n",
    "cpu.max": "20000 100000\n",
    "pids.current": "3\n",
    "pids.max": "256\n",
}


def usage(root: Path, content: dict[str, str]) -> Usage:
    folder = root / f"sys/fs/cgroup{GROUP}"
    folder.mkdir(parents=True)
    for name, text in content.items():
        (folder / name).write_text(text)
    return read_usage(GROUP, root=str(root))


def test_figures_are_read_with_their_limits(tmp_path: Path) -> None:
    assert usage(tmp_path, FULL) == Usage(
        memory_bytes=4096,
        memory_max_bytes=64 << 20,
        cpu_usec=1_234_567,
        cpu_share_usec=200_000,
        tasks=3,
        tasks_max=256,
        oom_kills=1,
    )


def test_no_limit_is_none(tmp_path: Path) -> None:
    found = usage(tmp_path, {**FULL, "memory.max": "max\n", "cpu.max": "max 100000\n", "pids.max": "max\n"})
    assert (found.memory_max_bytes, found.cpu_share_usec, found.tasks_max) == (None, None, None)
    assert (found.memory_bytes, found.tasks) == (4096, 3)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("memory.current", {"memory_bytes"}),
        ("memory.max", {"memory_max_bytes"}),
        ("memory.events", {"oom_kills"}),
        ("cpu.stat", {"cpu_usec"}),
        ("cpu.max", {"cpu_share_usec"}),
        ("pids.current", {"tasks"}),
        ("pids.max", {"tasks_max"}),
    ],
)
def test_a_file_that_is_not_there_or_empty_leaves_only_its_own_figure_out(
    tmp_path: Path, name: str, fields: set[str]
) -> None:
    without = usage(tmp_path / "without", {key: text for key, text in FULL.items() if key != name})
    empty = usage(tmp_path / "empty", {**FULL, name: ""})
    assert without == empty
    assert {field for field, value in without._asdict().items() if value is None} == fields


def test_a_cgroup_that_is_gone_has_no_figures(tmp_path: Path) -> None:
    assert read_usage(GROUP, root=str(tmp_path)) == NOTHING


def test_pressure_is_that_of_some_task_in_the_last_ten_seconds(tmp_path: Path) -> None:
    line = "some avg10={} avg60=9.00 avg300=9.00 total=9\nfull avg10=7.00 avg60=9.00 avg300=9.00 total=9\n"
    usage(tmp_path, {"cpu.pressure": line.format("12.50"), "memory.pressure": line.format("0.00"), "io.pressure": ""})
    assert read_pressure(GROUP, root=str(tmp_path)) == Pressure(cpu=12.5, memory=0.0, io=None)
    assert read_pressure("/gone", root=str(tmp_path)) == Pressure(None, None, None)


def test_a_cgroup_that_is_made_anew_is_another_run(tmp_path: Path) -> None:
    usage(tmp_path, {})
    first = read_run(GROUP, root=str(tmp_path))
    assert first == read_run(GROUP, root=str(tmp_path)) != 0
    folder = tmp_path / f"sys/fs/cgroup{GROUP}"
    folder.rename(folder.with_name("old"))
    assert read_run(GROUP, root=str(tmp_path)) == 0
    folder.mkdir()
    assert read_run(GROUP, root=str(tmp_path)) not in (0, first)


@pytest.mark.parametrize("group", ["", "/", "relative"])
def test_the_figures_of_the_whole_machine_are_never_taken_for_a_modules(tmp_path: Path, group: str) -> None:
    root = tmp_path / "sys/fs/cgroup"
    root.mkdir(parents=True)
    (root / "memory.current").write_text("1")
    (root / "cpu.pressure").write_text("some avg10=1.00 avg60=0.00 avg300=0.00 total=0")
    assert read_usage(group, root=str(tmp_path)) == NOTHING
    assert read_pressure(group, root=str(tmp_path)) == Pressure(None, None, None)
