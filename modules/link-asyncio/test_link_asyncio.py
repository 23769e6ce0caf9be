from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def test_it_asks_the_other_one_and_does_without_when_that_is_not_there(
    start: Callable[..., Any], systemd: Any, hub: Any
) -> None:
    with hub.up(), hub.client() as root:
        program = start(HERE, AURORA_LINK=hub.address)
        systemd.wait_for("READY=1")
        root.publish("relay/asyncio", 1)
        assert "does not say how many it has" in program.log_line("heard 1")
        start(HERE.parent / "link-python", AURORA_LINK=hub.address)
        systemd.wait_for("READY=1")
        root.publish("relay/asyncio", 2)
        assert program.log_line("heard 2") == "<6>heard 2, and link-python has heard 0"


def test_it_reads_on_while_it_waits_for_an_answer(start: Callable[..., Any], systemd: Any, hub: Any) -> None:
    with hub.up(), hub.client() as root:
        root.serve("relay/python/count")
        root.subscribe("relay/js")
        program = start(HERE, AURORA_LINK=hub.address)
        systemd.wait_for("READY=1")
        asked = []
        for number in (1, 2):
            root.publish("relay/asyncio", number)
        for message in root.messages(within_sec=30):
            if message["type"] == "req":
                asked.append(message)
                if len(asked) == 2:
                    break
        for message, count in zip(asked, ("first", "second"), strict=True):
            root.reply(message, count)
        assert program.log_line("heard 1") == "<6>heard 1, and link-python has heard first"
        assert program.log_line("heard 2") == "<6>heard 2, and link-python has heard second"


def test_the_watchdog_is_fed_while_nothing_comes(start: Callable[..., Any], systemd: Any, hub: Any) -> None:
    with hub.up():
        start(HERE, AURORA_LINK=hub.address, WATCHDOG_USEC="2000000")
        systemd.wait_for("READY=1")
        systemd.wait_for("WATCHDOG=1")
        systemd.wait_for("WATCHDOG=1")
