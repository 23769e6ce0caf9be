"""Both sides of the contract: systemd in memory, and with --real this machine's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from aurora.host.fake import FakeSystemd
from aurora.host.systemd import Systemd
from tests.contract.units import DEADLINE_SEC, PATTERN

REAL_ONLY = "test_real.py"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--real", action="store_true", help="also ask this machine's own systemd; needs root")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if collection_path.name == REAL_ONLY and not config.getoption("--real", default=False):
        return True
    return None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "systemd" in metafunc.fixturenames:
        real = metafunc.config.getoption("--real", default=False)
        only_real = Path(metafunc.definition.path).name == REAL_ONLY
        sides = [*([] if only_real else ["fake"]), *(["real"] if real else [])]
        metafunc.parametrize("systemd", sides, indirect=True)


@pytest.fixture
def systemd(request: pytest.FixtureRequest) -> Iterator[Systemd]:
    """One side of the contract. What a test started is gone afterwards, and that it is gone is checked."""
    if request.param == "fake":
        side: Systemd = FakeSystemd()
    else:
        from aurora.host.dbus import connect  # noqa: PLC0415  # the fake's side does without pystemd

        side = connect()
    try:
        yield side
        names = [row.name for row in side.list_units([PATTERN])]
        side.stop(names, deadline_sec=DEADLINE_SEC)
        side.reset_failed(names)
        assert not side.list_units([PATTERN])
    finally:
        side.close()
