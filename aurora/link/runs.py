"""Which modules run, as systemd has it: a link in /run/systemd/units for each run that goes on, which journald reads.

It is there from the start of a module's unit until that is inactive or failed, also while it waits to be restarted. So
the hub asks nobody, and nothing has to run for it.
"""

from __future__ import annotations

from contextlib import suppress

from aurora.names import module_of_unit
from aurora.paths import Paths

__all__ = ["read_runs"]

_BEGIN = "invocation:"


def read_runs(paths: Paths) -> dict[str, str] | None:
    """The InvocationID of each module that runs, by its name; None when that cannot be read."""
    found: dict[str, str] = {}
    try:
        places = list((paths.root / "run/systemd/units").iterdir())
    except OSError:
        return None
    for place in places:
        module = module_of_unit(place.name.removeprefix(_BEGIN)) if place.name.startswith(_BEGIN) else None
        if module is not None:
            with suppress(OSError):  # it has ended meanwhile
                found[module] = str(place.readlink())
    return found
