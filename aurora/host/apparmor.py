"""AppArmor profiles in the kernel, through apparmor_parser(8)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from aurora.errors import HostError
from aurora.host.files import locked, write_atomic
from aurora.host.process import run
from aurora.paths import Paths

__all__ = ["Compiled", "compile_profiles", "is_as_compiled", "load_profiles", "loaded_profiles", "unload_profiles"]

_PARSER = "/usr/sbin/apparmor_parser"
_KERNEL_LIST = "sys/kernel/security/apparmor/profiles"


class Compiled(NamedTuple):
    """A profile as the parser has it compiled for this kernel."""

    text: str
    binary: bytes


def loaded_profiles(paths: Paths) -> frozenset[str]:
    """Names of the profiles that the kernel holds; empty without AppArmor. Only root may read it."""
    try:
        lines = (paths.root / _KERNEL_LIST).read_text(errors="replace").splitlines()
    except OSError:
        return frozenset()
    return frozenset(line.rpartition(" (")[0] for line in lines)


def load_profiles(paths: Paths, texts: Mapping[str, str], compiled: Mapping[str, Compiled] | None = None) -> None:
    """Load or replace profiles (name -> text); HostError when the parser refuses one.

    Those that `compile_profiles` gave go to the kernel as they are, all others in one run of the parser.

    A profile that the kernel holds with the same text is left alone. Replacing takes effect on running
    processes at once and never leaves one unconfined. Compiled profiles are cached across boots.
    """
    # A parser whose caller was killed goes on, and must not load its profiles after ours.
    with locked(paths.profiles_lock) as lock:
        loaded = loaded_profiles(paths)
        wanted = {
            name: text for name, text in texts.items() if name not in loaded or _content(paths.profiles / name) != text
        }
        if wanted:
            _load(paths, wanted, compiled or {}, lock)


def compile_profiles(paths: Paths, texts: Mapping[str, str]) -> dict[str, Compiled]:
    """Compile profiles (name -> text) while others of these names are in use, so that loading them takes no time.

    HostError when the parser refuses one. What the kernel holds stays. Until they are loaded `is_as_compiled` says no.
    One that was compiled for several kernels is left out: which of them is this one's, the parser knows.
    """
    with locked(paths.profiles_lock) as lock:
        wanted = {name: text for name, text in texts.items() if _content(paths.profiles / name) != text}
        if not wanted or not loaded_profiles(paths):
            return {}
        sources = [str(_source(paths, name, text)) for name, text in wanted.items()]
        # Also what is compiled: whether that is as fresh as all that it includes, the parser looks.
        run([*_parse(paths), "--skip-kernel-load", *sources], keeps=[lock])
        found = {}
        for name, text in wanted.items():
            files = list((paths.cache / "apparmor").glob(f"*/{name}"))
            with suppress(OSError):  # then the parser says so when it is loaded
                if len(files) == 1 and (binary := files[0].read_bytes()):
                    found[name] = Compiled(text, binary)
        return found


def _parse(paths: Paths) -> list[str]:
    cache = paths.cache / "apparmor"
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HostError("make a folder", str(error), where=str(cache)) from error
    return [_PARSER, "--replace", "--write-cache", f"--cache-loc={cache}"]


def _load(paths: Paths, wanted: Mapping[str, str], compiled: Mapping[str, Compiled], lock: int) -> None:
    sources = {name: _source(paths, name, text) for name, text in wanted.items()}
    for name in wanted:
        (paths.profiles / name).unlink(missing_ok=True)  # which one the kernel has is not known until the parser ends
    ready = {name: one for name, one in compiled.items() if wanted.get(name) == one.text}
    left = [str(file) for name, file in sources.items() if name not in ready or not _replaced(paths, ready[name])]
    if left:
        run([*_parse(paths), *left], keeps=[lock])
    for name, text in wanted.items():
        write_atomic(paths.profiles / name, text.encode(), durable=False)


def _replaced(paths: Paths, one: Compiled) -> bool:
    """Give a profile to the kernel, which takes it in one piece or not at all; whether it did."""
    try:
        handle = os.open(paths.root / "sys/kernel/security/apparmor/.replace", os.O_WRONLY | os.O_CLOEXEC)
        try:
            return os.write(handle, one.binary) == len(one.binary)
        finally:
            os.close(handle)
    except OSError:
        return False  # the parser has words for it


def _source(paths: Paths, name: str, text: str) -> Path:
    """The profile as a file for the parser, which takes a compiled one only while its source is not newer.

    So a file that holds the text already is left as it is; for another text what was compiled is removed, as the
    clock of a machine without a battery can make the new file look older than it.
    """
    source = paths.profile_sources / name
    if _content(source) != text:
        _remove_cached(paths, name)
        write_atomic(source, text.encode(), durable=False)
    return source


def _remove_cached(paths: Paths, name: str) -> None:
    (paths.profile_sources / name).unlink(missing_ok=True)
    # The parser names what it has compiled after the file that it read.
    for compiled in (paths.cache / "apparmor").glob(f"*/{name}"):
        compiled.unlink(missing_ok=True)


def unload_profiles(paths: Paths, names: frozenset[str]) -> None:
    """Remove profiles from the kernel.

    Only for profiles that no process runs under: removing one in use would leave its process unconfined.
    """
    with locked(paths.profiles_lock):
        loaded = loaded_profiles(paths)
        for name in sorted(names):
            if name in loaded:
                try:
                    remove = paths.root / "sys/kernel/security/apparmor/.remove"
                    remove.write_bytes(name.encode())
                except OSError as error:
                    raise HostError(f"remove the AppArmor profile {name}", str(error)) from error
            (paths.profiles / name).unlink(missing_ok=True)
            _remove_cached(paths, name)


def is_as_compiled(paths: Paths, name: str) -> bool | None:
    """Whether the kernel's profile is, byte for byte, the one that was compiled last; None when it cannot be told.

    The kernel keeps a digest of what it was given. Only root may read it.
    """
    folder = paths.root / "sys/kernel/security/apparmor/policy/profiles"
    try:
        own = [file for file in folder.glob(f"{name}.*") if (_content(file / "name") or "").strip() == name]
        digests = {_content(file / "raw_sha256") for file in own}
        files = (paths.cache / "apparmor").glob(f"*/{name}")
        compiled = {hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    except OSError:
        return None
    known = {digest.strip() for digest in digests if digest is not None}
    return known <= compiled if known and compiled else None


def _content(file: Path) -> str | None:
    try:
        return file.read_text()
    except OSError:
        return None
