"""What a module's package may hold, decided from its members before one of them is written. Pure.

A package holds one module's folder and the owner's file for it, and no maintainer scripts:

    usr/lib/aurora/modules/NAME/...     files and folders, no links, nothing setuid
    etc/aurora/modules/NAME.toml
    control, conffiles, md5sums         beside them, in the control archive
"""

from __future__ import annotations

from aurora.errors import Problem
from aurora.host.files import FOLDER_MAX_BYTES, FOLDER_MAX_DEPTH, FOLDER_MAX_ENTRIES
from aurora.names import is_module_name, package_name
from aurora.update.package import MODULES_FOLDER, OWNER_FOLDER
from aurora.update.tar import NAME_MAX_BYTES, Kind, Member

__all__ = ["CONTROL_MAX_BYTES", "CONTROL_NAMES", "Contents", "control_problems"]

CONTROL_NAMES = frozenset({"conffiles", "control", "md5sums"})
"""What the control archive may hold."""
CONTROL_MAX_BYTES = 8 << 20
"""All of it together; md5sums has a line for each file."""
PROBLEMS_MAX_COUNT = 50
"""More are not said."""
PART_MAX_BYTES = 255  # NAME_MAX of the kernel
_WHAT = "take the package"
_REMEDY = "auroractl pack DIR, which makes one"


class Contents:
    """The members of a data archive, added as they come; what is against them, and which module they are."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._count = 0
        self._total_bytes = 0
        self._has_payload = False
        self._kinds: dict[tuple[str, ...], Kind] = {}
        self._above: set[tuple[str, ...]] = set()
        self._modules: dict[str, None] = {}
        self.problems: list[Problem] = []
        self.full = False
        """Whether a bound is passed, so that reading on serves nothing."""

    def add(self, member: Member) -> None:
        """Judge the next member."""
        shown = ascii(member.name.decode(errors="replace"))
        self._count += 1
        if self._count > FOLDER_MAX_ENTRIES:
            self._stop(f"it holds more than {FOLDER_MAX_ENTRIES} files and folders")
            return
        self._total_bytes += member.size_bytes
        if self._total_bytes > FOLDER_MAX_BYTES:
            self._stop(f"with {shown} it unpacks to more than {FOLDER_MAX_BYTES} bytes")
            return
        parts, why = _parts(member.name)
        faults = [why] if why else []
        if member.kind not in (Kind.FILE, Kind.FOLDER):
            faults.append(f"it is {member.kind}, and a module has files and folders only")
        if member.mode & 0o7000:
            faults.append("it is setuid, setgid or sticky")
        if parts is not None:
            faults += self._place_faults(parts, member.kind)
            self._kinds.setdefault(parts, member.kind)
            self._above.update(parts[:depth] for depth in range(1, len(parts)))
        for fault in faults:
            self._say(fault, shown)

    def _place_faults(self, parts: tuple[str, ...], kind: Kind) -> list[str]:
        faults = []
        if parts in self._kinds:
            faults.append("it is there twice")
        if kind is not Kind.FOLDER and parts in self._above:
            faults.append("something else is below it, and it is no folder")
        if any(self._kinds.get(parts[:depth], Kind.FOLDER) is not Kind.FOLDER for depth in range(1, len(parts))):
            faults.append("it is below something that is not a folder")
        module = _module_of(parts, kind)
        if module is None:
            faults.append(f"it is outside /{MODULES_FOLDER}/NAME and is not /{OWNER_FOLDER}/NAME.toml")
        elif module:
            self._modules[module] = None
            self._has_payload |= self.path_in_module(parts) is not None
            first = next(iter(self._modules))
            if module != first:
                faults.append(f"it belongs to another module than {first}")
        return faults

    def end(self) -> str:
        """The module's name, once all have been added; empty where no member tells it."""
        if not self._has_payload and not self.problems:
            self._say("it holds no module", "")
        return next(iter(self._modules), "")

    @staticmethod
    def path_in_module(parts: tuple[str, ...]) -> tuple[str, ...] | None:
        """The part of a path that is below the module's folder; None where it is not in one."""
        top = tuple(MODULES_FOLDER.split("/"))
        return parts[len(top) + 1 :] if parts[: len(top)] == top and len(parts) > len(top) else None

    def _say(self, why: str, shown: str) -> None:
        if len(self.problems) < PROBLEMS_MAX_COUNT:
            where = f"{self._where}, member {shown}" if shown else self._where
            self.problems.append(Problem(_WHAT, why, where, _REMEDY))

    def _stop(self, why: str) -> None:
        self.full = True
        self.problems = self.problems[: PROBLEMS_MAX_COUNT - 1]
        self._say(why, "")


def _parts(name: bytes) -> tuple[tuple[str, ...] | None, str]:
    """The parts of a member's path, or why it has none."""
    if len(name) > NAME_MAX_BYTES or max(map(len, name.split(b"/"))) > PART_MAX_BYTES:
        return None, f"its name has more than {NAME_MAX_BYTES} bytes, or {PART_MAX_BYTES} between two slashes"
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return None, "its name is not UTF-8"
    if not text.isprintable() or "\\" in text:
        return None, "its name is not plain text"
    if text.startswith("/"):
        return None, "its name is absolute"
    parts = tuple(part for part in text.removeprefix("./").removesuffix("/").split("/") if text not in (".", "./"))
    if any(part in ("", ".", "..") for part in parts):
        return None, "its name has an empty part or dots between slashes"
    if len(parts) > MODULES_FOLDER.count("/") + 2 + FOLDER_MAX_DEPTH:
        return None, f"it is nested deeper than {FOLDER_MAX_DEPTH} folders"
    return parts, ""


def _module_of(parts: tuple[str, ...], kind: Kind) -> str | None:
    """The module that a path belongs to; empty for a folder above modules; None for what belongs to none."""
    for folder in (MODULES_FOLDER, OWNER_FOLDER):
        top = tuple(folder.split("/"))
        if parts == top[: len(parts)]:
            return "" if kind is Kind.FOLDER else None
        if parts[: len(top)] != top:
            continue
        name = parts[len(top)]
        if folder == OWNER_FOLDER:
            if len(parts) > len(top) + 1 or kind is Kind.FOLDER or not name.endswith(".toml"):
                return None
            name = name.removesuffix(".toml")
        elif len(parts) == len(top) + 1 and kind is Kind.FILE:
            return None
        return name if is_module_name(name) else None
    return None


def control_problems(files: dict[str, bytes], others: list[str], module: str, where: str) -> list[Problem]:
    """What is against a control archive with these `files`, and `others` that cannot be, for the package of a module.

    An empty `module` is one that the data does not tell: its names are not compared then.
    """
    problems: list[Problem] = []

    def say(why: str, member: str = "") -> None:
        if len(problems) < PROBLEMS_MAX_COUNT:
            at = f"{where}, control member {member!a}" if member else where
            problems.append(Problem(_WHAT, why, at, _REMEDY))

    for name in others:
        say("a module's package has only control, conffiles and md5sums there, as files, and no scripts", name)
    if "control" not in files:
        say("it has no control file")
        return problems
    named = _packages(files["control"])
    if module and named != [package_name(module)]:
        shown = ascii(", ".join(named)[:100])
        say(f"it names the package {shown}, and its module wants {package_name(module)}", "control")
    conffile = f"/{OWNER_FOLDER}/{module}.toml".encode()
    if module and any(line.strip() not in (b"", conffile) for line in files.get("conffiles", b"").splitlines()):
        say(f"a configuration file is named that is not {conffile.decode()}", "conffiles")
    return problems


def _packages(control: bytes) -> list[str]:
    """Values of every field Package (deb-control(5); names of fields may have capitals anywhere)."""
    fields = (line.partition(b":") for line in control.splitlines())
    return [value.strip().decode(errors="replace") for name, _, value in fields if name.strip().lower() == b"package"]
