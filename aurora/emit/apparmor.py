"""A plan's AppArmor profile, as text for apparmor_parser(8)."""

from __future__ import annotations

from aurora.names import LINK_SOCKET
from aurora.plan import Plan

__all__ = ["apparmor_text"]

_HEAD = "abi <abi/4.0>,\ninclude <tunables/global>\n"


def apparmor_text(plan: Plan, *, complain: bool = False) -> str:
    """The profile of a plan that has one; ValueError for one that has none. `complain`: it logs and lets through.

    Paths come from `names` and `paths` alone, so they hold no character that means something to AppArmor.
    """
    if plan.profile is None:
        raise ValueError(f"the plan of {plan.module} has no profile")
    folder = plan.folder
    own = [
        f"{folder}/ r,",
        f"{folder}/** mrix,",
        *(f"{directory}/{{,**}} rwkl," for directory in plan.writable),
        *([f"{LINK_SOCKET} rw,"] if plan.link else []),
        *([f"/run/credentials/{plan.unit}/{{,*}} r,"] if plan.credentials else []),
    ]
    # attach_disconnected: a file inherited from outside the module's mount namespace has no path inside it;
    # its rules are those for the path from the root of its own file system.
    flags = "attach_disconnected,complain" if complain else "attach_disconnected"
    lines = [
        f"profile {plan.profile} flags=({flags}) {{",
        *(f"  {r}" for r in (*plan.apparmor, *own)),
        "}",
    ]
    return _HEAD + "\n".join(lines) + "\n"
