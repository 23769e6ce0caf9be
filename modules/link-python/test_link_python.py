from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def test_it_answers_how_many_it_has_heard(start: Callable[..., Any], systemd: Any, hub: Any) -> None:
    with hub.up():
        start(HERE, AURORA_LINK=hub.address)
        systemd.wait_for("READY=1")
        with hub.client() as root:
            assert root.request("relay/python/count", None, deadline_sec=30) == 0
            root.subscribe("relay/asyncio")
            for number in (1, 5):
                root.publish("relay/python", number)
                assert next(root.messages(within_sec=30))["data"] == number + 1
            assert root.request("relay/python/count", None, deadline_sec=30) == 2


def test_the_watchdog_is_fed_while_nothing_comes(start: Callable[..., Any], systemd: Any, hub: Any) -> None:
    with hub.up():
        start(HERE, AURORA_LINK=hub.address, WATCHDOG_USEC="2000000")
        systemd.wait_for("READY=1")
        systemd.wait_for("WATCHDOG=1")
        systemd.wait_for("WATCHDOG=1")
