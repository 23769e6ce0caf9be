from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def test_shellcheck_finds_nothing() -> None:
    done = subprocess.run(["shellcheck", "run.sh"], cwd=HERE, check=False, capture_output=True, text=True)
    assert done.stdout == ""


def test_what_its_manifest_does_not_allow_is_said(start: Callable[..., Any], hub: Any) -> None:
    with hub.up():
        program = start(HERE, AURORA_LINK=hub.address, HEAR="site/other")
        assert "cannot subscribe 'site/other', because the manifest of link-shell" in program.log_line("refused")


def test_without_a_hub_it_tries_again_and_a_stop_ends_it(start: Callable[..., Any], hub: Any) -> None:
    program = start(HERE, AURORA_LINK=hub.address)
    assert program.log_line("away") == "<4>AuroraLink is away; again in 1 s"
    assert program.log_line("away") == "<4>AuroraLink is away; again in 2 s"
    assert program.stop() == 0
