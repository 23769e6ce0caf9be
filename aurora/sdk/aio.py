"""What the author of a module with asyncio imports beside `aurora.sdk`: the beat and AuroraLink.

    import asyncio
    from aurora import sdk
    from aurora.sdk import aio

    async def main():
        async with aio.link() as link, asyncio.TaskGroup() as tasks:
            await link.subscribe("site/lamp")
            reader = tasks.create_task(read(link))    # async for message in link.messages(): ...
            sdk.ready()
            async for _ in aio.heartbeat(5):
                await link.publish("site/wind", 3.5)
            reader.cancel()

    asyncio.run(main())

The beat is one of the loop: a callback or a task that holds the loop up for longer than the watchdog's timeout gets
the module restarted, as a turn that hangs does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from aurora import sdk
from aurora.link.aio import AsyncLink
from aurora.link.backoff import Absence
from aurora.link.client import here
from aurora.sdk.turns import STOP_SIGNALS, Turns

__all__ = ["heartbeat", "link"]


def link(*, timeout_sec: float = 15.0) -> AsyncLink:
    """AuroraLink, for as long as the body of an `async with` runs: `sdk.link` says what it does, and what it raises.

    Each call waits for its answer, `timeout_sec` at most; any number of tasks may ask at a time, one reads `messages`.
    """
    return AsyncLink(here(), Absence(sdk.log.warning, sdk.log.info), timeout_sec=timeout_sec)


async def heartbeat(interval_sec: float | None = None) -> AsyncIterator[None]:
    """Yield at once, then every `interval_sec`, until SIGTERM or SIGINT; then say STOPPING=1 and end the loop.

    As `sdk.heartbeat` in all else: what feeds the watchdog and when, the interval where none is given, turns that
    overrun. For the loop of the main thread; the handlers of both signals are taken away at the end.
    """
    turns = Turns(interval_sec, sdk.watchdog_interval_sec())
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, told.set)
    try:
        while not told.is_set():
            sdk.alive()
            if wait_sec := turns.wait_sec(loop.time()):
                with suppress(TimeoutError):
                    await asyncio.wait_for(told.wait(), wait_sec)
            else:
                yield
        sdk.stopping()
    finally:
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)
