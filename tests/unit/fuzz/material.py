"""Hostile files, made from the tables that read them, so that a new key is fuzzed by itself."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping

from hypothesis import strategies as st

from aurora.directives import DIRECTIVES, SANDBOX, Directive
from aurora.errors import InputError
from aurora.manifest import KEYS, OLDER_KEYS, REQUIRED, Key, TomlType, read_manifest

PRINTED = "a Z0.,;:#%$'\"\\{}[]()<>=/@-_~!*^|&é世\U0001f600"
"""What means something to a unit file, to AppArmor or to a shell; and plain text."""
HARMFUL = "\t\n\r\x1b\x00\x7f\x85\u2028\u202e"
"""What means something to a terminal, or ends a line."""
PRINTED_PIECES = (
    "%n", "%%", "%h", "${HOME}", "$HOME", "[Service]", "\\", "\\\\", " ;", "; /bin/sh", '"', "'", "\\x0a",
    "\\n", "#", "}", "},", "{", "/** rwix,", "..", "../..", "./", "/etc/shadow", "//", "-", "--", "aurora",
    "yes", "no", "0", "-1", "infinity", "99999999999999999999", "1e9", "64M", "20%", "10s", "never", "strict",
    "network.loopback", "root", "LD_PRELOAD", "READ=1", "aurora@x.service", "x.slice", " ",
)  # fmt: skip
HARMFUL_PIECES = (
    "\nExecStart=/bin/sh", "\n[Service]\nUser=root", "\\\n", "},\nprofile evil {", "\u001b[2J",
    "\u001b]0;x\u0007",
)  # fmt: skip
PIECES = PRINTED_PIECES + HARMFUL_PIECES
CHARACTERS = PRINTED + HARMFUL

printed = st.lists(st.sampled_from(PRINTED_PIECES) | st.text(PRINTED, max_size=4), max_size=4).map("".join)
harmful = st.lists(st.sampled_from(PIECES) | st.text(CHARACTERS, max_size=4), max_size=5).map("".join)
texts = printed | printed | harmful
"""Texts that would like to be more than text; of the harmful ones few are taken."""
numbers = st.integers(-2, 200) | st.sampled_from([2**31, 2**63, 2**64, -(2**63), 10**18])
anything = st.recursive(
    st.booleans() | numbers | st.floats() | texts | st.dates() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
"""Every type that TOML has."""


def example(row: Key) -> object:
    """The value that documents show for a key."""
    return tomllib.loads(row.example) if row.name == "*" else tomllib.loads(f"x = {row.example}")["x"]


def values(row: Key) -> st.SearchStrategy[object]:
    """Values for a key: mostly of its type, often as in its example, sometimes of any other."""
    near = st.just(example(row))
    match row.type:
        case TomlType.BOOLEAN:
            own: st.SearchStrategy[object] = st.booleans()
        case TomlType.INTEGER:
            own = numbers
        case TomlType.INTEGER_OR_TEXT:
            own = numbers | texts
        case TomlType.TEXTS:
            own = st.lists(texts | names, max_size=4)
        case TomlType.TEXT_OR_TEXTS:
            own = texts | st.lists(texts, min_size=1, max_size=4).map(lambda words: ["run.py", *words])
        case TomlType.TABLE:
            own = st.dictionaries(names.map(str.upper) | texts, texts, max_size=4)
        case _:
            own = texts | mutated(str(example(row)))
    return near | own | near | own | anything


def mutated(text: str) -> st.SearchStrategy[str]:
    """A text with a piece put into it somewhere."""
    return st.builds(
        lambda place, piece: text[:place] + piece + text[place:],
        st.integers(0, len(text)),
        st.sampled_from(PIECES) | st.text(CHARACTERS, max_size=2),
    )


names = st.text("ab1-_Z.", min_size=1, max_size=6) | st.sampled_from(["hello", "a" * 48, "a" * 49, "x-1", "api-key"])


@st.composite
def manifests(draw: st.DrawFn) -> dict[str, object]:
    """The tables of a module.toml: what is required, and some other keys; few of them with hostile values."""
    tables: dict[str, dict[str, object]] = {}
    free = st.sampled_from(FREE)
    chosen = draw(st.lists(free | free | free | st.sampled_from(KEYS), max_size=5, unique_by=lambda row: row.path))
    hostile = draw(st.lists(st.sampled_from(KEYS), max_size=2, unique_by=lambda row: row.path))
    for row in (*(row for row in KEYS if row.default is REQUIRED), *chosen):
        _put(tables, row, example(row))
    for row in hostile:
        _put(tables, row, draw(values(row)))
    if draw(st.integers(0, 19)) == 19:
        tables[draw(texts)] = draw(anything)
    return dict(tables)


def _put(tables: dict[str, dict[str, object]], row: Key, value: object) -> None:
    if row.name != "*":
        tables.setdefault(row.table, {})[row.name] = value
    elif isinstance(value, dict):
        tables[row.table] = value


_usual = st.fixed_dictionaries({"name": st.just("hello"), "version": st.just("1"), "entry": st.just("run.py") | texts})
older_manifests = st.builds(
    lambda usual, more: {**usual, **more},
    _usual,
    st.dictionaries(st.sampled_from(OLDER_KEYS) | texts, texts | anything, max_size=1) | st.fixed_dictionaries({}),
)
"""The members of a module.json."""


def _is_free(row: Key) -> bool:
    """Whether a key can be given beside those that are required, and any other."""
    tables: dict[str, dict[str, object]] = {}
    for one in (*(one for one in KEYS if one.default is REQUIRED), row):
        _put(tables, one, example(one))
    try:
        read_manifest(toml(dict(tables)), file="module.toml")
    except InputError:
        return False
    return True


# Policies and grants


WORDS: Mapping[str, tuple[str, ...]] = {
    "words": ("native", "/run", "-/run", "a:b", "+/x", "-"),
    "groups": ("audio", "of:/dev/null", "root", "0"),
    "syscalls": ("@system-service", "~@privileged", "read", "read:EPERM", "~read:0", "@known", "1"),
    "families": ("AF_UNIX", "AF_INET", "AF_FOO", "AF_0"),
    "capabilities": ("CAP_KILL", "CAP_FOO", "CAP_", "CAP_SYS_ADMIN"),
    "namespaces": ("uts", "net", "time", "user"),
    "addresses": ("any", "lan", "127.0.0.0/8", "10.0.0.1", "::1/128", "10.0.0.0/255.0.0.0", "10.0.0.0/0.0.0.255",
                  "fe80::1%eth0", "fe80::%eth0/64", "::ffff:1.2.3.4", "1", "0.0.0.0/0", "2001:DB8::/32"),
    "binds": ("/run/x", "-/run/x", "/", "/a+b", "/x:/y"),
    "emptied": ("/run", "/", "/x:rw", "/dev/shm:size=8M", "/x:size=0K"),
    "devices": ("/dev/null rw", "/dev/null ", "/dev/null", "char-rtc r", "/dev/x mw", "/dev/a b rw"),
    "sockets": ("any", "8080", "65536", "0"),
}  # fmt: skip
"""Of each kind of list, by its name: words that are taken, and words that nearly are."""
SCALARS = (
    "strict", "tmpfs", "full", "invisible", "EPERM", "EWOULDBLOCK", "EFOO", "errorcode", "64M", "infinity",
    "-", "a:b",
)  # fmt: skip
RULES = (
    "/x r,", "/{a,b} r,", "include <abstractions/base>", "network inet stream,", "deny /x w,", "@{PROC}/** r,",
    "/x r, }\nprofile evil {", "unix (connect) peer=(addr=@x),", "#include <x>", "/x r,#", "^hat {",
    "change_profile,", "/a\\,b r,", "/x -> evil,", "all,", "audit allow /x rw,", "mount,", "userns,",
)  # fmt: skip
words = st.sampled_from([word for some in WORDS.values() for word in some]) | texts
_tokens = st.sampled_from([*"/ax ,{}()[]=*@-<>^|\"'#\\", "r,", "rw,", "profile ", "include ", "@{", "deny ", "->"])
rules = (
    st.sampled_from(RULES)
    | st.sampled_from(RULES)
    | texts.map(lambda text: f"{text},")
    | st.lists(_tokens, max_size=10).map("".join)
)


def directive_values(row: Directive) -> st.SearchStrategy[object]:
    """Values for a directive of a policy, mostly of the type that it has."""
    kind = row.kind.value
    if kind in WORDS:
        one = st.sampled_from(WORDS[kind])
        own: st.SearchStrategy[object] = st.lists(one, max_size=3) | st.lists(one | words, max_size=3)
    elif kind == "flag":
        own = st.booleans()
    elif kind == "switch":
        own = st.booleans() | st.just("disconnected")
    elif kind == "mode":
        own = numbers
    else:
        own = st.sampled_from(SCALARS) | st.sampled_from(SCALARS) | texts
    return own | own | own | anything


def _directives(names: list[str]) -> st.SearchStrategy[dict[str, object]]:
    known = st.sampled_from(names)
    chosen = st.lists(known | known | known | st.sampled_from(sorted(DIRECTIVES)) | texts, max_size=3)
    return chosen.flatmap(
        lambda chosen: st.fixed_dictionaries(
            {name: directive_values(DIRECTIVES[name]) if name in DIRECTIVES else anything for name in chosen}
        )
    )


directives = _directives(sorted(SANDBOX))
lists = _directives(sorted(name for name in SANDBOX if DIRECTIVES[name].kind.value in WORDS))
policies = st.fixed_dictionaries(
    {"directives": directives},
    optional={"description": printed, "apparmor": st.lists(rules, max_size=2), "add": lists, "x": anything},
)
"""A policy file's tables."""
grants = st.dictionaries(
    st.sampled_from(["network.loopback", "a.b", "read:PATH"]) | texts,
    st.fixed_dictionaries(
        {},
        optional={"description": printed, "apparmor": st.lists(rules, max_size=1), "set": directives, "add": lists,
                  "remove": lists},
    ),
    max_size=2,
)  # fmt: skip
"""A grants file's tables."""
owners = st.fixed_dictionaries(
    {},
    optional={
        "accept_unenforced": st.lists(st.sampled_from(["apparmor", "memory"]) | texts, max_size=3) | anything,
        "grants_never": st.lists(texts, max_size=2) | anything,
        "exposure_max": texts | numbers | anything,
        "y": anything,
    },
)
"""The owner's core.toml."""


# As TOML


def toml(tables: Mapping[str, object]) -> bytes:
    """A document of TOML that says this."""
    own = [f"{_key(name)} = {_toml(value)}\n" for name, value in tables.items() if not isinstance(value, dict)]
    for name, value in tables.items():
        if isinstance(value, dict):
            own.append(f"[{_key(name)}]\n")
            own += [f"{_key(key)} = {_toml(inner)}\n" for key, inner in value.items()]
    return "".join(own).encode("utf-8", "surrogatepass")


def _key(name: str) -> str:
    return _toml(name)


def _toml(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return '"' + "".join(_char(char) for char in value) + '"'
        case list():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{_key(name)} = {_toml(inner)}" for name, inner in value.items()) + "}"
        case int() | float():
            return str(value)
        case _:
            return str(value.isoformat())  # type: ignore[attr-defined]  # a date or a time


def _char(char: str) -> str:
    if char in '"\\' or ord(char) < 0x20 or ord(char) == 0x7F:
        return f"\\u{ord(char):04X}"
    return char


FREE = [row for row in KEYS if _is_free(row)]
"""Keys whose examples contradict nothing."""
