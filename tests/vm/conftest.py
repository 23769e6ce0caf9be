"""What tests in this directory are given, and the rule that each of them really runs.

`vm` is one throw-away machine for the whole session, with this tree's package installed by apt and really booted;
where the session is spread over processes (pytest-xdist), each of them has one. A test that reboots it, cuts its
power or installs something leaves it working. `other_vm` boots more of them, `token_vm` one with a TPM.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests.vm import debiandir, flavours, hostpackages, kept, layer, rerun
from tests.vm.image import image
from tests.vm.machine import Machine
from tests.vm.package import packages

HERE = Path(__file__).parent

USUAL_SEC = 30
"""What a test without a `deadline` mark is reckoned to take where the order of files is decided."""

DEADLINE_SEC = 300
"""What one test may take when it has no `deadline` mark; the boot of the session's machine does not count."""

_missed: list[str] = []
"""The tests here that were collected and not run."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the rig."""
    parser.addoption("--kept", metavar="NAME", help="use, and leave running, the kept machine of that name")
    parser.addoption("--source", type=Path, default=debiandir.CHECKOUT, help="test the packages of this tree")
    parser.addoption(
        "--cuts", type=int, default=1, metavar="N", help="run each test that cuts the power at random N times"
    )
    parser.addoption("--browsers", action="store_true", help="run the tests that need a web browser, and no others")


def pytest_configure(config: pytest.Config) -> None:
    """Marks of the rig."""
    config.addinivalue_line("markers", "many_cuts: run where --cuts asks for more than one")
    config.addinivalue_line("markers", "browsers: run where --browsers asks for it")
    config.addinivalue_line("markers", f"deadline(seconds): how long the test may take, instead of {DEADLINE_SEC}")


class AtOnce:
    """Says what a test has recorded, and how it failed, when it ends: a run of hours may be cut short."""

    def __init__(self, terminal: Any) -> None:
        self._terminal = terminal

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """After the line that says whether it passed."""
        if report.when == "call":
            for name, value in report.user_properties:
                self._terminal.write_line(f"{report.nodeid} {report.outcome}; {name}: {value}")
        if report.failed:
            self._terminal.write_line(f"{report.nodeid} failed so:\n{report.longreprtext}")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Report as it goes, but not in a process that another one reports for (pytest-xdist)."""
    if not hasattr(session.config, "workerinput"):
        session.config.pluginmanager.register(AtOnce(session.config.pluginmanager.get_plugin("terminalreporter")))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each moment at which the power is cut is one run of its test."""
    if "cut" in metafunc.fixturenames:
        metafunc.parametrize("cut", range(1, metafunc.config.getoption("--cuts") + 1))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that may take longest come first, so that several machines end together.

    What is about nothing but many random moments is there only where `--cuts` asks for many.
    """
    if items and items[0].config.getoption("--cuts") == 1:
        items[:] = [item for item in items if item.get_closest_marker("many_cuts") is None]
    if items:
        browsers = items[0].config.getoption("--browsers")
        items[:] = [item for item in items if browsers == (item.get_closest_marker("browsers") is not None)]
    allowed: Counter[Path] = Counter()
    for item in items:
        mark = item.get_closest_marker("deadline")
        allowed[item.path] += mark.args[0] if mark else USUAL_SEC
    items.sort(key=lambda item: -allowed[item.path])


@pytest.fixture(scope="session")
def vm(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """The session's machine."""
    hostpackages.ensure_packages()
    source: Path = request.config.getoption("--source").resolve()
    built = packages(source)
    base = image(flavours.flavour("default"), source)
    name: str | None = request.config.getoption("--kept")
    if name is not None:
        yield kept.ensure(name, base, built)
        return
    with layer.throw_away(base, built) as machine:
        _make_room(machine)
        machine.boot()
        yield machine


def _make_room(machine: Machine) -> None:
    """Give it one processor where machines run side by side: those of several have to wait for each other, which takes
    a fifth to a third more of this machine's time for the same work."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        machine.processors = 1


@pytest.fixture
def other_vm(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Machine]]:
    """Boots a machine of the flavour named, for this test only: `other_vm("without")`."""
    with contextlib.ExitStack() as opened:
        yield lambda name: opened.enter_context(_booted(request, name))


@pytest.fixture(scope="module")
def token_vm(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A machine with a TPM, for the tests of one file."""
    with _booted(request, "token") as machine:
        yield machine


@pytest.fixture(scope="module")
def browser_vm(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A machine with a web browser and Node, for the tests of one file."""
    with _booted(request, "browser") as machine:
        yield machine


@contextlib.contextmanager
def _booted(request: pytest.FixtureRequest, name: str) -> Iterator[Machine]:
    source: Path = request.config.getoption("--source").resolve()
    with layer.throw_away(image(flavours.flavour(name), source), packages(source)) as machine:
        _make_room(machine)
        machine.boot(f"booting {name}")
        yield machine


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """A test under which the emulation breaks is run again on another machine."""
    return rerun.run(item, nextitem)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Bound each test's time: a machine that hangs fails its test, not the whole run."""
    mark = item.get_closest_marker("deadline")
    seconds: float = mark.args[0] if mark else DEADLINE_SEC

    def late(_number: int, _frame: FrameType | None) -> None:
        pytest.fail(f"not over after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test here that was skipped, or was expected to fail, did not show what it is for: it failed."""
    rerun.note(item, call)
    report = yield
    if _is_here(item) and (report.skipped or hasattr(report, "wasxfail")):
        reason = getattr(report, "wasxfail", "") or report.longrepr or "it passed"
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} did not run or was expected to fail, which a VM test may not: {reason}"
        if hasattr(report, "wasxfail"):
            del report.wasxfail
    return report


def pytest_deselected(items: list[pytest.Item]) -> None:
    """To run some tests only, name them (FILE::TEST); -k and -m would leave a run that looks whole."""
    _missed.extend(item.nodeid for item in items if _is_here(item))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A run that left tests here out has failed."""
    sent: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if sent is not None:  # one process of several: the first one sums up
        sent["missed"] = _missed
    elif _missed and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """What another process left out: each of them collects, and leaves out, the same."""
    _missed.extend(name for name in getattr(node, "workeroutput", {}).get("missed", ()) if name not in _missed)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say which tests were left out."""
    for name in _missed:
        terminalreporter.write_line(f"FAILED {name} - deselected, which a VM test may not be")


def _is_here(item: pytest.Item) -> bool:
    return item.path.is_relative_to(HERE)
