"""What a module may do, as its applied plan has it: one small file for each module in /run/aurora/link.

`auroractl` and aurora-core.service write it, atomically and before the module starts, and remove it with the plan; the
hub reads it whenever the module connects. A plan that changes restarts the module, so an open connection's rules do not
change under it.
"""

from __future__ import annotations

import msgspec

from aurora.link.rules import NOTHING, Durable, ModuleRules
from aurora.paths import Paths
from aurora.topics import WhenFull

__all__ = ["FILE_MAX_BYTES", "read_rules"]

FILE_MAX_BYTES = 128 * 1024
"""Far more than a manifest can ask for; a longer file is none of ours."""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    request: tuple[str, ...] = ()
    serve: tuple[str, ...] = ()
    durable: tuple[str, ...] = ()
    durable_size_max_bytes: int = 0
    durable_age_max_msec: int = 0
    durable_full: WhenFull = WhenFull.REFUSE
    retained: tuple[str, ...] = ()

    def rules(self) -> ModuleRules:
        durable = Durable(
            patterns=self.durable,
            size_max_bytes=self.durable_size_max_bytes,
            age_max_msec=self.durable_age_max_msec,
            full=self.durable_full,
        )
        return ModuleRules(
            publish=self.publish,
            subscribe=self.subscribe,
            request=self.request,
            serve=self.serve,
            durable=durable if self.durable else None,
            retained=self.retained,
        )


_decode = msgspec.json.Decoder(_File).decode


def read_rules(paths: Paths, module: str) -> ModuleRules:
    """The module's rules; nothing is allowed when there are none, or when they cannot be read."""
    try:
        with (paths.link_rules / f"{module}.json").open("rb") as file:
            text = file.read(FILE_MAX_BYTES + 1)
        found = _decode(text) if len(text) <= FILE_MAX_BYTES else _File()
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return NOTHING
    return found.rules()
