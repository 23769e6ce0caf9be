"""Properties of many units in one go, through systemctl(1): for the short verbs.

`systemctl show` answers for all units at the price of one small process, whatever their number; asking over D-Bus
from Python costs an import and a round trip for each property. It also works for callers who are not root.
"""

from __future__ import annotations

import os

from aurora.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["show_units"]


def show_units(patterns: Sequence[str], properties: Sequence[str]) -> dict[str, dict[str, str]]:
    """The properties, as systemctl prints them, of every loaded unit that matches a glob pattern, by its name.

    HostError when systemd cannot be asked.
    """
    names = ",".join(("Id", *properties))
    argv = ["systemctl", "show", "--no-pager", "--timestamp=unix", f"--property={names}", "--", *patterns]
    text, status = _output(argv)
    if status != 0:
        raise HostError("ask systemd", f"systemctl ended with status {status}: {text.strip()[:500]}")
    units = {}
    for block in text.split("\n\n"):
        fields = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if "Id" in fields:
            units[fields["Id"]] = fields
    return units


def _output(argv: Sequence[str]) -> tuple[str, int]:
    """What a program prints, and its exit status. Apart from `process`: subprocess costs more than the program."""
    read, write = os.pipe()
    try:
        actions = [(os.POSIX_SPAWN_DUP2, write, 1), (os.POSIX_SPAWN_DUP2, write, 2)]
        pid = os.posix_spawnp(argv[0], list(argv), os.environ, file_actions=actions)
    except OSError as error:
        os.close(read)
        raise HostError("ask systemd", str(error), where=argv[0]) from error
    finally:
        os.close(write)
    with open(read, encoding="utf-8", errors="replace") as file:  # noqa: PTH123  # a descriptor, not a path
        text = file.read()
    return text, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
