"""Takes part in AuroraLink with asyncio: reads numbers from the topic HEAR, and tells each, one larger, to TELL.

For each it asks link-python how many that one has heard; it reads on while it waits for the answer.
"""

import asyncio
import os

from aurora import sdk
from aurora.errors import AuroraError, HostError
from aurora.link.aio import AsyncLink
from aurora.sdk import aio

HEAR = os.environ.get("HEAR", "relay/asyncio")
TELL = os.environ.get("TELL", "relay/js")
COUNT = "relay/python/count"


async def main() -> None:
    # The link connects by itself, and again when the hub was away.
    async with aio.link() as link, asyncio.TaskGroup() as tasks:
        await link.subscribe(HEAR)
        reader = tasks.create_task(relay(link, tasks))
        sdk.ready(f"listens to {HEAR}")
        async for _ in aio.heartbeat(1.0):  # feeds the watchdog, and ends when systemd asks it to
            pass
        reader.cancel()


async def relay(link: AsyncLink, tasks: asyncio.TaskGroup) -> None:
    async for message in link.messages():
        number = message["data"]
        if type(number) is not int:  # true would be one, too
            sdk.log.warning("no number: %r", number)
            continue
        try:
            await link.publish(TELL, number + 1)
        except HostError as error:  # the hub has just gone; Denied would be the manifest's fault
            sdk.log.warning("%d is lost: %s", number, error)
        tasks.create_task(ask(link, number))


async def ask(link: AsyncLink, number: int) -> None:
    try:
        count = await link.request(COUNT, None, deadline_sec=5)
    except AuroraError as error:  # NotFound: it is not there
        sdk.log.info("heard %d, and link-python does not say how many it has: %s", number, error)
    else:
        sdk.log.info("heard %d, and link-python has heard %s", number, count)


if __name__ == "__main__":
    asyncio.run(main())
