from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def test_what_its_manifest_does_not_allow_is_said(
    start: Callable[..., Any], built: Callable[[Path], Path], hub: Any
) -> None:
    with hub.up():
        program = start(built(HERE), AURORA_LINK=hub.address, HEAR="site/other")
        assert "cannot subscribe 'site/other', because the manifest of link-c" in program.log_line("refused")


def test_without_a_hub_it_tries_again(start: Callable[..., Any], built: Callable[[Path], Path], hub: Any) -> None:
    program = start(built(HERE), AURORA_LINK=hub.address)
    assert program.log_line() == "<4>AuroraLink is away; again in 1 s"
    assert program.log_line() == "<4>AuroraLink is away; again in 2 s"


def test_an_address_that_is_too_long_is_none(
    start: Callable[..., Any], built: Callable[[Path], Path], systemd: Any
) -> None:
    program = start(built(HERE), AURORA_LINK="unix:/" + "x" * 200, NOTIFY_SOCKET="@" + "x" * 200)
    assert program.log_line() == "<4>AuroraLink is away; again in 1 s"
