from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite", action="store_true", help="write the golden files anew, to be read before a commit")


@pytest.fixture
def rewrite(request: pytest.FixtureRequest) -> bool:
    """Whether the files are to be written instead of compared."""
    return bool(request.config.getoption("--rewrite", default=False))
