"""Where the core's own code is: in the active slot, or else where dpkg has put it. Itself it is in neither.

The pointer is read once in a process, and the slot that it names goes on its path, not the pointer: what is imported
later is of the same version as what was imported first, whatever is swapped meanwhile.
"""

import os

__all__ = ["places"]

PACKAGED = "/usr/lib/python3/dist-packages"
CORE = "/var/lib/aurora-core/core"
SLOTS = ("a", "b")


def places(root: str = "") -> list[str]:
    """What goes on sys.path, behind the standard library: dpkg's copy comes last, and is what runs where no slot does.

    AURORA_SLOT=none in the environment leaves the slots out.
    """
    packaged = root + PACKAGED
    try:
        slot = os.readlink(f"{root}{CORE}/active")  # noqa: PTH115  # pathlib costs more than all of this
    except OSError:
        return [packaged]
    if slot not in SLOTS or os.environ.get("AURORA_SLOT") == "none":
        return [packaged]
    # A slot without code in it is passed over by the import system itself.
    return [f"{root}{CORE}/{slot}", packaged]
