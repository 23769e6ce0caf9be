"""Takes part in AuroraLink by aurora.sdk: reads numbers from the topic HEAR, and tells each, one larger, to TELL.

It also answers how many it has heard: `auroractl link req relay/python/count null`.
"""

import os

from aurora import sdk
from aurora.errors import HostError

HEAR = os.environ.get("HEAR", "relay/python")
TELL = os.environ.get("TELL", "relay/asyncio")
COUNT = "relay/python/count"


def main() -> None:
    count = 0
    with sdk.link() as link:  # it connects by itself, and again when the hub was away
        link.subscribe(HEAR)
        link.serve(COUNT)
        sdk.ready(f"listens to {HEAR}")
        for _ in sdk.heartbeat(0.1):
            # Not for longer than a stop may take to be noticed.
            for message in link.messages(within_sec=1.0):
                if message["type"] == "req":
                    link.reply(message, count)
                elif type(number := message["data"]) is int:  # true would be one, too
                    count += 1
                    try:
                        link.publish(TELL, number + 1)
                    except HostError as error:  # the hub has just gone; Denied would be the manifest's fault
                        sdk.log.warning("%d is lost: %s", number, error)
                    sdk.log.info("heard %d", number)
                else:
                    sdk.log.warning("no number: %r", number)


if __name__ == "__main__":
    main()
