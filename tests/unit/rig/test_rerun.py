"""A test under which the emulation breaks is run again, with all that was set up set up afresh; no other is."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

CONFTEST = """
import itertools, pytest
from tests.vm import rerun
from tests.vm.errors import EmulationBroke

numbers = itertools.count(1)

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    return rerun.run(item, nextitem)

@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    rerun.note(item, call)
    return (yield)

class Machine:
    def __init__(self):
        self.number = next(numbers)
        self.broken = False
    def run(self, breaks=False):
        self.broken = self.broken or breaks
        if self.broken:
            raise EmulationBroke("run", "the machine went off")

@pytest.fixture(scope="session")
def vm():
    return Machine()

@pytest.fixture(scope="module")
def core(vm):
    yield vm
    vm.run()
"""

TESTS = """
runs = []

def test_before(core):
    assert core.number == 1

def test_breaks_once(core):
    runs.append("once")
    core.run(breaks=core.number == 1)
    assert core.number == 2

def test_after(core):
    assert core.number == 2

def test_breaks_always(core):
    runs.append("always")
    core.run(breaks=True)

def test_fails(core):
    runs.append("fails")
    core.run()
    assert core.number == 0

def test_how_often_each_ran():
    assert runs == ["once", "once", "always", "always", "always", "fails"]
"""


@pytest.fixture
def outcomes(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--junitxml=report.xml", str(tmp_path)]
    path = f"{Path(__file__).parents[3]}:{os.environ.get('PYTHONPATH', '')}"
    environment = {**os.environ, "PYTHONPATH": path}
    subprocess.run(command, cwd=tmp_path, env=environment, check=False, capture_output=True)
    cases = ET.parse(tmp_path / "report.xml").getroot().iter("testcase")
    return {case.get("name", ""): "passed" if len(case) == 0 else case[0].tag for case in cases}


def test_a_test_is_run_again_exactly_when_the_emulation_broke(outcomes: dict[str, str]) -> None:
    failed = {name for name, outcome in outcomes.items() if outcome != "passed"}
    assert failed == {"test_breaks_always", "test_fails"}
