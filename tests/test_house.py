"""The structure of the tree, held as data and compared with the tree itself.

Each check collects every fault it finds, as `file:line: what`, so that one run tells all of them.
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

import aurora
from aurora.manifest import KEYS

ROOT = Path(__file__).resolve().parents[1]

LEVELS: tuple[frozenset[str], ...] = (
    frozenset({"value", "errors", "quantity", "text", "names", "identity", "topics", "paths", "directives"}),
    frozenset({"manifest", "policy"}),
    frozenset({"plan"}),
    frozenset({"emit"}),
    frozenset({"host"}),
    frozenset({"runtime", "update", "link"}),
    frozenset({"cli", "sdk"}),
)
"""The rooms, from the ground up. An import goes down, or stays in its room."""

SIBLINGS = {
    ("identity", "names"): "an identity is all names of a module and its user, which needs a digest",
    ("errors", "value"): "a problem is a value",
    ("errors", "text"): "what an error shows was written by strangers, and every error is shown",
}
"""Imports between rooms of one level that are let through, and why."""

PURE = frozenset({"manifest", "policy", "plan", "emit"})
"""Rooms that touch nothing: no file, no clock, no other process, no chance."""
IMPURE = frozenset(
    {"glob", "io", "logging", "os", "random", "secrets", "shutil", "signal", "socket", "subprocess", "sys", "tempfile",
     "threading", "time"}
)  # fmt: skip
ONLY_HOST = frozenset({"PyKCS11", "pystemd", "pyroute2", "subprocess", "ctypes"})

LAZY = {
    ("aurora/cli/gate.py", "aurora.cli.admission"): "most of what apt installs is not ours",
    ("aurora/cli/core.py", "aurora.cli.durable"): "hardly any run purges a module",
    ("aurora/cli/install.py", "aurora.cli.durable"): "only --purge does",
    ("aurora/link/writer.py", "aurora.link.ledger"): "most hubs keep nothing, and SQLite takes a megabyte",
    ("aurora/cli/credential.py", "getpass"): "only to ask somebody for a secret",
    ("aurora/cli/install.py", "aurora.cli.sign"): "the cryptography library costs more than a start of Python",
    ("aurora/cli/key.py", "aurora.update.tokens"): "most keys are in files, and it loads PyKCS11",
    ("aurora/cli/key.py", "getpass"): "only to ask somebody for a secret",
    ("aurora/cli/main.py", "aurora.cli.parser"): "argparse costs half a Python start-up",
    ("aurora/cli/main.py", "json"): "short verbs do without",
    ("aurora/cli/render.py", "json"): "short verbs do without",
    ("aurora/paths.py", "pathlib"): "short verbs do without",
    ("aurora/sdk/__init__.py", "aurora.link.backoff"): "most modules talk with nobody",
    ("aurora/sdk/__init__.py", "aurora.link.client"): "most modules talk with nobody",
    ("aurora/sdk/__init__.py", "aurora.link.lasting"): "most modules talk with nobody",
    ("aurora/runtime/folders.py", "aurora.host.exposure"): "only where a score is asked for: it costs a process",
    ("aurora/runtime/folders.py", "aurora.host.netlink"): "pyroute2 costs nine starts of Python",
    ("aurora/cli/render.py", "unicodedata"): "only for text beyond ASCII",
    ("aurora/cli/sign.py", "aurora.update.tokens"): "most keys are in files, and it loads PyKCS11",
    ("aurora/cli/sources.py", "aurora.cli.sign"): "the cryptography library costs more than a start of Python",
    ("aurora/cli/status.py", "aurora.host.journal"): "only the full view reads the journal, which costs a process",
    ("aurora/link/gates.py", "aurora.link"): "a hub without the reader of the owner's file is smaller",
    ("aurora/link/ways.py", "aurora.link"): "the owner's file is read only where a web page comes",
    ("aurora/link/ways.py", "aurora.link.websocket"): "4 MB of memory, until somebody comes by WebSocket",
}
"""Imports inside functions, each with its reason. One that is gone from the code has to go from here."""
EXITS = {("aurora/host/inside.py", "os._exit"): "a forked child that cannot become its program ends there"}
"""Ends of a process that are no main's."""
DYNAMIC = {"aurora/cli/main.py", "aurora/cli/slots.py"}
"""Files that import by a name they hold as data: the code of a verb."""

MUTABLE = {("aurora/host/fake.py", "_Unit"): "a unit's state changes"}
"""Data classes that are not frozen."""

MODULE_MAX_LINES = 400
FUNCTION_MAX_LINES = 50

ENTRIES = frozenset(
    {".ci", ".gitignore", "LICENSE", "Makefile", "README.md", "aurora", "debian", "modules", "policies",
     "pyproject.toml", "tests", "units"}
)  # fmt: skip
"""What the top of the tree holds, beside what git ignores."""
IGNORED = re.compile(r"\.git|\.(mypy|pytest|ruff)_cache|\.hypothesis|\.pybuild|build|dist|.*\.egg-info|__pycache__")
SHAPELESS = re.compile(r"(^|_)(utils?|helpers?|managers?|misc|common)($|_)", re.IGNORECASE)
# In pieces, so that this file is not the first to be found.
FORBIDDEN = re.compile("|".join(("/wor" + "k/", r"pypi\." + "org", "python" + "hosted", r"deb\." + r"debian\.org")))


@dataclass(frozen=True, kw_only=True)
class Module:
    """One file of the program."""

    path: str
    """Relative to the top."""
    name: str
    """As it is imported."""

    @cached_property
    def text(self) -> str:
        return (ROOT / self.path).read_text()

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def room(self) -> str:
        return self.name.partition(".")[2].partition(".")[0]

    @cached_property
    def imports(self) -> list[tuple[int, str, str]]:
        """Line, module, and the name taken from it (empty for `import x`), wherever the import stands."""
        found = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found += [(node.lineno, alias.name, "") for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                found += [(node.lineno, "." * node.level + (node.module or ""), alias.name) for alias in node.names]
        return found

    @cached_property
    def house_imports(self) -> list[tuple[int, str, str]]:
        """The same of our own modules; a module taken from its package counts as a module."""
        return [
            (line, f"{source}.{name}", "") if f"{source}.{name}" in BY_NAME else (line, source, name)
            for line, source, name in self.imports
            if source in BY_NAME
        ]

    @cached_property
    def exported(self) -> list[str] | None:
        for node in self.tree.body:
            if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]:
                return list(ast.literal_eval(node.value))
        return None

    @cached_property
    def defined(self) -> set[str]:
        """Names at the module's top, imported ones included."""
        found = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.col_offset == 0:
                found.add(node.id)
        for top in self.tree.body:
            if isinstance(top, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
                found.add(top.name)
            elif isinstance(top, ast.TypeAlias):
                found.add(top.name.id)
            elif isinstance(top, ast.ImportFrom | ast.Import):
                found |= {alias.asname or alias.name for alias in top.names}
        return found


def program() -> list[Module]:
    """Every file of the program."""
    found = []
    for path in sorted((ROOT / "aurora").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found.append(Module(path=str(path.relative_to(ROOT)), name=name))
    return found


MODULES = program()
BY_NAME = {module.name: module for module in MODULES}
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}


def room_of(name: str) -> str:
    return name.partition(".")[2].partition(".")[0]


def calls(module: Module) -> Iterator[tuple[int, str]]:
    """Line and spelling of everything that is called."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            yield node.lineno, ast.unparse(node.func)


# Rooms


def test_every_file_is_in_a_room_and_every_room_is_there() -> None:
    assert {module.room for module in MODULES} - {""} == set(LEVEL)


def test_the_map_in_the_programs_docstring_is_this_one() -> None:
    assert aurora.__doc__ is not None
    level = -1
    found: list[set[str]] = [set() for _ in LEVELS]
    for match in re.finditer(r"^    (?:L(\d) | {2}) +([a-z]+) {2,}\S", aurora.__doc__, re.MULTILINE):
        level = int(match[1]) if match[1] else level
        found[level].add(match[2])
    assert tuple(map(frozenset, found)) == LEVELS


def test_imports_only_go_down() -> None:
    faults = []
    for module in MODULES:
        for line, source, _ in module.house_imports:
            here, there = module.room, room_of(source)
            if here in ("", there) or there == "":
                continue
            if LEVEL[there] > LEVEL[here]:
                faults.append(f"{module.path}:{line}: {here} imports upward, from {there}")
            elif LEVEL[there] == LEVEL[here] and (here, there) not in SIBLINGS:
                faults.append(f"{module.path}:{line}: {here} imports from its sibling {there}")
    assert faults == []


def test_the_top_of_the_program_imports_nothing() -> None:
    assert BY_NAME["aurora"].imports == []


def test_no_import_is_relative() -> None:
    assert [(m.path, line) for m in MODULES for line, source, _ in m.imports if source.startswith(".")] == []


def test_no_two_files_import_one_another_however_long_the_way() -> None:
    edges = {module.name: {source for _, source, _ in module.house_imports} for module in MODULES}
    done: set[str] = set()

    def cycle_from(name: str, way: tuple[str, ...]) -> tuple[str, ...]:
        if name in way:
            return (*way[way.index(name) :], name)
        for other in () if name in done else edges[name]:
            if found := cycle_from(other, (*way, name)):
                return found
        done.add(name)
        return ()

    assert [found for name in edges if (found := cycle_from(name, ()))] == []


def test_imports_inside_functions_are_those_with_a_reason() -> None:
    found = set()
    for module in MODULES:
        for function in ast.walk(module.tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                for node in ast.walk(function):
                    if isinstance(node, ast.ImportFrom):
                        found.add((module.path, node.module or "."))
                    elif isinstance(node, ast.Import):
                        found |= {(module.path, alias.name) for alias in node.names}
    assert found == set(LAZY)


def test_only_verbs_are_imported_by_a_name_that_is_data() -> None:
    names = {"import_module", "importlib.import_module", "__import__", "exec", "eval"}
    assert {module.path for module in MODULES for _, called in calls(module) if called in names} == DYNAMIC


def test_only_the_host_room_knows_other_processes_and_systemd() -> None:
    faults = [
        f"{module.path}:{line}: {source}"
        for module in MODULES
        for line, source, _ in module.imports
        if source.partition(".")[0] in ONLY_HOST and module.room != "host"
    ]
    assert faults == []


def pure_files() -> set[str]:
    """Files that a room which is not pure as a whole calls so, in its docstring."""
    found = set()
    for module in MODULES:
        if module.path.endswith("/__init__.py"):
            doc = ast.get_docstring(module.tree) or ""
            names = re.findall(r"^ *([a-z_]+) {2,}\S.* {2,}PURE$", doc, re.MULTILINE)
            found |= {f"{module.name}.{name}" for name in names}
    return found


def test_what_a_room_calls_pure_is_there() -> None:
    assert pure_files() - set(BY_NAME) == set()
    assert {"aurora.link.topics", "aurora.update.members"} <= pure_files()


def test_pure_rooms_and_files_touch_nothing() -> None:
    faults = []
    pure = pure_files()
    for module in MODULES:
        if module.room in PURE or module.name in pure:
            for line, source, name in module.imports:
                if source.partition(".")[0] in IMPURE or (source, name) in (("pathlib", "Path"), ("pathlib", "")):
                    faults.append(f"{module.path}:{line}: {source} {name}")
            faults += [f"{module.path}:{line}: open" for line, called in calls(module) if called == "open"]
    assert faults == []


def test_only_the_command_line_prints_and_only_a_main_exits() -> None:
    faults = []
    exits = set()
    for module in MODULES:
        mains = [node for node in module.tree.body if isinstance(node, ast.If) and "__main__" in ast.unparse(node.test)]
        for line, called in calls(module):
            if called == "print" and module.room != "cli":
                faults.append(f"{module.path}:{line}: print")
            in_main = any(main.lineno <= line <= (main.end_lineno or 0) for main in mains)
            if called in ("sys.exit", "exit", "quit", "os._exit", "SystemExit") and not in_main:
                exits.add((module.path, called))
    assert faults == []
    assert exits == set(EXITS)


def test_nothing_waits_by_sleeping() -> None:
    assert [(m.path, line) for m in MODULES for line, called in calls(m) if called.rpartition(".")[2] == "sleep"] == []


# Sizes, names, exports


def test_no_file_and_no_function_is_too_long() -> None:
    faults = []
    for module in MODULES:
        if (count := len(module.text.splitlines())) > MODULE_MAX_LINES:
            faults.append(f"{module.path}: {count} lines")
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                count = (node.end_lineno or 0) - node.lineno + 1
                if count > FUNCTION_MAX_LINES:
                    faults.append(f"{module.path}:{node.lineno}: {node.name} has {count} lines")
    assert faults == []


def test_what_a_file_offers_is_listed_and_there() -> None:
    faults = []
    for module in MODULES:
        public = {name for name in module.defined if not name.startswith("_")}
        if module.exported is None:
            if public:
                faults.append(f"{module.path}: no __all__")
            continue
        faults += [f"{module.path}: {name} is not there" for name in set(module.exported) - module.defined]
        faults += [f"{module.path}: {name} is private" for name in module.exported if name.startswith("_")]
        if len(set(module.exported)) != len(module.exported):
            faults.append(f"{module.path}: a name is listed twice")
    assert faults == []


def test_a_room_takes_from_another_only_what_that_one_offers() -> None:
    faults = []
    for module in MODULES:
        taken = [(line, source, name) for line, source, name in module.house_imports if name]
        whole = {source.rpartition(".")[2]: source for _, source, name in module.house_imports if not name}
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in whole:
                taken.append((node.lineno, whole[node.value.id], node.attr))
        for line, source, name in taken:
            if room_of(source) not in ("", module.room) and name not in (BY_NAME[source].exported or ()):
                faults.append(f"{module.path}:{line}: {source} does not offer {name}")
    assert faults == []


def test_names_say_what_a_thing_is() -> None:
    faults = [module.path for module in MODULES if any(map(SHAPELESS.search, module.name.split(".")))]
    for module in MODULES:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", node.name)
                if SHAPELESS.search(words):
                    faults.append(f"{module.path}:{node.lineno}: {node.name}")
    assert faults == []


def test_data_is_frozen_and_keyword_only() -> None:
    found = set()
    for module in MODULES:
        for node in ast.walk(module.tree):
            for decorator in node.decorator_list if isinstance(node, ast.ClassDef) else []:
                text = ast.unparse(decorator)
                if text.partition("(")[0] == "dataclass" and not ("frozen=True" in text and "kw_only=True" in text):
                    found.add((module.path, getattr(node, "name", "")))
    assert found == set(MUTABLE)


# The tree


def sources() -> list[Path]:
    """Every text file of the tree that git would hold."""
    found = []
    for entry in sorted(ROOT.iterdir()):
        if entry.name in ENTRIES:
            files = [entry] if entry.is_file() else sorted(entry.rglob("*"))
            found += [file for file in files if file.is_file() and not _ignored(file)]
    return found


def _ignored(file: Path) -> bool:
    return file.suffix == ".pyc" or any(IGNORED.fullmatch(part) for part in file.relative_to(ROOT).parts[:-1])


def test_the_top_of_the_tree_holds_these_and_nothing_else() -> None:
    assert {entry.name for entry in ROOT.iterdir() if not IGNORED.fullmatch(entry.name)} == ENTRIES


def test_the_readme_shows_every_folder_of_the_tree() -> None:
    tree = (ROOT / "README.md").read_text().partition("## The tree")[2].partition("## ")[0]
    shown = set(re.findall(r"^ {4}([a-z]+)/ {2,}\S", tree, re.MULTILINE))
    assert shown == {entry for entry in ENTRIES if (ROOT / entry).is_dir() and not entry.startswith(".")}


def test_nothing_names_the_place_where_it_was_written_or_a_registry() -> None:
    faults = []
    for file in sources():
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
            if FORBIDDEN.search(line):
                faults.append(f"{file.relative_to(ROOT)}:{number}: {line.strip()[:80]}")
    assert faults == []


def test_every_exception_from_a_linter_has_its_reason_beside_it() -> None:
    # It names its rules, and then says why.
    rules = r"(:\s*[A-Z]+\d+(, [A-Z]+\d+)*|\[[a-z-]+(, ?[a-z-]+)*\])"
    bare = re.compile(rf"#\s*(noqa|type:\s*ignore)(?!{rules}\s+(# )?\S)")
    faults = []
    for file in sources():
        if file.suffix == ".py" and file != Path(__file__):
            for number, line in enumerate(file.read_text().splitlines(), 1):
                if bare.search(line):
                    faults.append(f"{file.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert faults == []


def test_every_rule_that_is_switched_off_and_every_dependency_has_its_reason() -> None:
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    settings = tomllib.loads("\n".join(lines))
    lists = [settings["tool"]["ruff"]["lint"]["ignore"], settings["project"]["dependencies"]]
    named = [name for one in lists for name in one]
    assert named
    for name in named:
        (line,) = [line for line in lines if f'"{name}"' in line]
        assert "#" in line, line


# Tables and units


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.path)
def test_every_key_of_a_manifest_is_explained_by_an_example_that_is_right(key: object) -> None:
    row = next(one for one in KEYS if one is key)
    assert row.doc.endswith(".")
    raw = tomllib.loads(f"x = {row.example}")["x"] if row.name != "*" else tomllib.loads(row.example)
    assert row.convert(raw) is not None


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is in the build tree")
def test_systemd_has_nothing_against_our_units(tmp_path: Path) -> None:
    units = sorted((ROOT / "units").iterdir())
    assert units
    for unit in units:
        # The program itself is not installed where this runs.
        (tmp_path / unit.name).write_text(unit.read_text().replace("/usr/bin/auroractl", "/bin/true"))
    line = ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / unit.name) for unit in units)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
