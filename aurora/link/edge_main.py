"""aurora-edge: a device in the broadcast group of older clients, connected for as long as it runs."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Sequence

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidURI, WebSocketException

from aurora import __version__
from aurora.errors import AuroraError, InputError
from aurora.link.backoff import STEADY_SEC, delay_sec
from aurora.link.edge import ABOUT, DEFAULT_ADDRESS, ENVIRONMENT, answer, checked, hello

__all__ = ["main", "take_part"]

MESSAGE_MAX_BYTES = 1024 * 1024
TIMEOUT_SEC = 20.0
"""For the handshake, between pings, and for each of their answers."""

_log = logging.getLogger("aurora.edge")


async def take_part(address: str, name: str) -> None:
    """Connect, and take part, again and again until cancelled; InputError when the address is none."""
    failures = 0
    while True:
        begun = time.monotonic()
        try:
            async with connect(
                address, compression=None, proxy=None, max_size=MESSAGE_MAX_BYTES, open_timeout=TIMEOUT_SEC,
                ping_interval=TIMEOUT_SEC, ping_timeout=TIMEOUT_SEC, close_timeout=1, user_agent_header="aurora-edge",
            ) as connection:  # fmt: skip
                _log.info("connected to %s as %s", address, name)
                await _talk(connection, name)
            why = "the hub ended the connection"
        except InvalidURI as error:
            raise InputError("connect", str(error), where="$AURORA_LINK", remedy=DEFAULT_ADDRESS) from None
        except (OSError, WebSocketException) as error:  # TimeoutError is an OSError
            why = str(error)
        failures = 1 if time.monotonic() - begun >= STEADY_SEC else failures + 1
        delay = delay_sec(failures, random.random())  # noqa: S311  # only to spread devices
        _log.warning("not connected: %s; again in %.1f s", why, delay)
        await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=delay)


async def _talk(connection: ClientConnection, name: str) -> None:
    await connection.send(hello(name))
    async for text in connection:
        if said := answer(text, name, int(time.time() * 1000)):
            await connection.send(said)


async def _until_told(address: str, name: str) -> None:
    task = asyncio.create_task(take_part(address, name))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    await asyncio.wait([task])
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error


def _parser() -> argparse.ArgumentParser:
    variables = "\n".join(f"  {name}\n      {doc}" for name, doc in ENVIRONMENT)
    parser = argparse.ArgumentParser(
        prog="aurora-edge", description="\n\n".join(ABOUT), epilog=f"environment:\n{variables}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"aurora-edge {__version__}")
    return parser


def main(argv: Sequence[str]) -> int:
    """Take part until SIGTERM or SIGINT."""
    _parser().parse_args(argv)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    logging.getLogger("websockets").setLevel(logging.WARNING)
    try:
        address, name = checked(
            os.environ.get("AURORA_LINK") or DEFAULT_ADDRESS, os.environ.get("AURORA_EDGE_ID") or socket.gethostname()
        )
        asyncio.run(_until_told(address, name))
    except AuroraError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_status
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
