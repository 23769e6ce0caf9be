"""What a module may do, as its applied plan has it: one small file for each module in /run/aurora/link.

`auroractl` and aurora-core.service write it, atomically and before the module starts, and remove it with the plan; the
hub reads it whenever the module connects. A plan that changes restarts the module, so an open connection's rules do not
change under it. Where a module wants what others send to it approved counts for as long as its file is there: also
while it does not run, as what is kept or queued then would reach it later.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

from aurora.errors import InputError
from aurora.link.rules import NOTHING, Durable, ModuleRules
from aurora.paths import Paths
from aurora.topics import WhenFull

__all__ = ["FILE_MAX_BYTES", "Marks", "read_rules"]

FILE_MAX_BYTES = 128 * 1024
"""Far more than a manifest can ask for; a longer file is none of ours."""
_SETTLED_NSEC = 1_000_000_000
"""Longer than a tick of the clock by which the kernel says when a folder was changed."""
_END = ".json"


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
    approve: tuple[str, ...] = ()
    approve_all: tuple[str, ...] = ()

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
            approve=self.approve + self.approve_all,
        )


_decode = msgspec.json.Decoder(_File).decode


def read_rules(paths: Paths, module: str) -> ModuleRules:
    """The module's rules; nothing is allowed when there are none, or when they cannot be read."""
    try:
        return _read(paths.link_rules / f"{module}{_END}").rules()
    except (OSError, InputError):
        return NOTHING


def _read(place: Path) -> _File:
    with place.open("rb") as file:
        text = file.read(FILE_MAX_BYTES + 1)
    try:
        if len(text) <= FILE_MAX_BYTES:
            return _decode(text)
        why = f"it has more than {FILE_MAX_BYTES} bytes"
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        why = str(error)
    remedy = f"auroractl restart {place.name.removesuffix(_END)}, which writes it anew"
    raise InputError("read the rules of a module", why, where=str(place), remedy=remedy)


class Marks:
    """Where manifests want what any module sends approved, when called: of all modules that systemd holds.

    The folder is looked through when something in it has changed, and as long as that is not certain; a file is read
    when it is another one. There are as many files as modules (`records.MODULES_MAX` at most).
    """

    def __init__(self, paths: Paths) -> None:
        self._folder = paths.link_rules
        self._seen: tuple[int, ...] = ()
        """Of the folder as it was looked through; empty where that is to be done again."""
        self._files: dict[str, tuple[tuple[int, ...], tuple[str, ...]]] = {}
        """What each was when it was read, and the patterns in it."""
        self._patterns: tuple[str, ...] = ()

    def __call__(self) -> tuple[str, ...]:
        """The patterns of now, each once. OSError or InputError when one of the files cannot be read."""
        try:
            folder = self._folder.stat()
        except FileNotFoundError:  # systemd holds no module with a [link] table
            self._seen, self._files, self._patterns = (), {}, ()
            return ()
        seen = (folder.st_dev, folder.st_ino, folder.st_mtime_ns)
        if seen != self._seen:
            self._seen = ()
            settled = time.time_ns() - folder.st_mtime_ns > _SETTLED_NSEC
            self._files = self._look()
            self._patterns = tuple(dict.fromkeys(one for _, found in self._files.values() for one in found))
            # A change within the same tick would not show.
            self._seen = seen if settled else ()
        return self._patterns

    def _look(self) -> dict[str, tuple[tuple[int, ...], tuple[str, ...]]]:
        found: dict[str, tuple[tuple[int, ...], tuple[str, ...]]] = {}
        with os.scandir(self._folder) as entries:
            for entry in sorted(entries, key=lambda one: one.name):
                if not entry.name.endswith(_END):  # what is being written begins with a dot, and ends otherwise
                    continue
                try:
                    now = entry.stat()
                    stamp = (now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)
                    known = self._files.get(entry.name)
                    if known is None or known[0] != stamp:
                        known = (stamp, _read(Path(entry.path)).approve_all)
                    found[entry.name] = known
                except FileNotFoundError:
                    continue  # it was removed meanwhile
        return found
