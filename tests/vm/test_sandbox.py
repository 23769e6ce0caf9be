"""What a module under the policy "strict" can reach, tried from inside, before and after systemd has reloaded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vm.core import START_SEC, Core, Module, folder, tidied
from tests.vm.machine import Machine
from tests.vm.probe import run as probe

PROGRAM = (Path(__file__).parent / "probe" / "run.py").read_text()

VICTIM = Module(
    name=probe.VICTIM,
    program="#!/bin/sh\numask 022\necho secret >$STATE_DIRECTORY/secret\nexec sleep inf\n",
    more="[directories]\nstate = true\n",
)

MORE = """
[environment]
VICTIM_PID = "{pid}"
[start]
readiness = "notify"
timeout = "5min"
[directories]
state = true
[sandbox]
grants = [{grants}]
"""

Results = dict[tuple[str, str], tuple[str, str]]
"""(table, attempt) -> (outcome, detail)"""


def read_results(lines: list[str]) -> Results:
    found = {}
    for line in lines:
        if line.startswith("{"):
            row = json.loads(line)
            found[row["table"], row["attempt"]] = (row["outcome"], row["detail"])
    return found


def probe_module(name: str, pid: str, grants: str, *tables: str) -> Module:
    entry = json.dumps(["run.py", *tables])
    text = f'[module]\nname = "{name}"\nversion = "1"\nentry = {entry}\n' + MORE.format(pid=pid, grants=grants)
    return Module(name=name, entry="run.py", program=PROGRAM, files={"module.toml": text})


def victim_pid(core: Core) -> str:
    """The main process of the victim, which is installed and up then."""
    core.install(VICTIM)
    core.wait_for(VICTIM.name, ActiveState="active")
    return core.show(VICTIM.name, "MainPID")["MainPID"]


@pytest.fixture(scope="module")
def core(vm: Machine) -> Iterator[Core]:
    """With the victim, and two probes that have tried everything: one confined, one that may use loopback."""
    with tidied(vm) as core:
        pid = victim_pid(core)
        core.install(
            probe_module("probe", pid, "", "confined", "allowed"),
            probe_module("local", pid, '"network.loopback"', "loopback-confined", "loopback-allowed"),
        )
        yield core


@pytest.fixture(scope="module")
def first(core: Core) -> Results:
    return read_results(core.said("probe") + core.said("local"))


@pytest.fixture(scope="module")
def after_reload(core: Core, first: Results) -> Results:
    assert first, "the first results are read before there are others"
    core.run("systemctl daemon-reload && systemctl restart aurora@probe aurora@local", timeout_sec=2 * START_SEC)
    runs = core.invocations("probe", "local")
    return read_results(core.said("probe", runs["probe"]) + core.said("local", runs["local"]))


@pytest.fixture(scope="module")
def unconfined(core: Core) -> Results:
    pid = core.show(VICTIM.name, "MainPID")["MainPID"]
    script = (
        f"cd {folder('probe')} && VICTIM_PID={pid} STATE_DIRECTORY=/root python3 -B run.py {' '.join(probe.TABLES)}"
    )
    return read_results(core.run(script).stdout.splitlines())


def names(*tables: str) -> list[tuple[str, str]]:
    return [(table, attempt.name) for table in tables for attempt in probe.TABLES[table]]


@pytest.mark.parametrize(("table", "attempt"), names("confined", "loopback-confined"))
def test_a_module_cannot(first: Results, table: str, attempt: str) -> None:
    outcome, detail = first[table, attempt]
    assert outcome == "refused", detail


@pytest.mark.parametrize(("table", "attempt"), names("confined", "loopback-confined"))
def test_after_a_daemon_reload_and_a_restart_a_module_still_cannot(
    after_reload: Results, table: str, attempt: str
) -> None:
    outcome, detail = after_reload[table, attempt]
    assert outcome == "refused", detail


@pytest.mark.parametrize(("table", "attempt"), names(*probe.TABLES))
def test_outside_the_sandbox_one_could(unconfined: Results, table: str, attempt: str) -> None:
    outcome, detail = unconfined[table, attempt]
    assert outcome == "done", detail


@pytest.mark.parametrize(("table", "attempt"), names("allowed", "loopback-allowed"))
def test_a_module_can(first: Results, after_reload: Results, table: str, attempt: str) -> None:
    for results in (first, after_reload):
        outcome, detail = results[table, attempt]
        assert outcome == "done", detail


def test_two_modules_have_two_users_and_neither_is_root(core: Core) -> None:
    modules = (VICTIM.name, "probe", "local")
    pids = {values["MainPID"] for values in core.show_all(modules, "MainPID").values()}
    users = core.run("stat -c %u " + " ".join(f"/proc/{pid}" for pid in pids)).stdout.split()
    assert len(set(users)) == len(modules)
    assert "0" not in users


def test_each_module_runs_under_its_own_enforced_profile(core: Core) -> None:
    for name in (VICTIM.name, "probe"):
        pid = core.show(name, "MainPID")["MainPID"]
        assert core.run(f"cat /proc/{pid}/attr/apparmor/current").stdout.strip() == f"aurora.{name} (enforce)"


@pytest.mark.parametrize("module", ["probe", VICTIM.name])
def test_systemd_finds_a_python_and_a_shell_module_safe(core: Core, module: str) -> None:
    done = core.run(f"systemd-analyze security --no-pager --threshold=10 aurora@{module}", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    verdict = done.stdout.rpartition("Overall exposure level")[2].partition(":")[2].split()
    assert float(verdict[0]) <= 1.0


def test_what_was_refused_is_in_the_kernels_log_with_the_modules_name(core: Core, first: Results) -> None:
    assert first["confined", "read the journal"][0] == "refused"
    denied = core.run("journalctl -q -b --no-pager _TRANSPORT=kernel + _TRANSPORT=audit -g 'apparmor=.DENIED'").stdout
    assert 'profile="aurora.probe"' in denied
