"""From a value in the file to the value in `model`: one converter for each kind of key.

A converter takes whatever TOML or JSON gave and returns what the model holds. It raises ValueError with a
reason that reads after "because", or `Faults` where one value has several; never anything else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum

from aurora import names, quantity
from aurora.manifest.faults import Fault, Faults, kind_of, shown, unfit
from aurora.topics import pattern_fault

__all__ = [
    "boolean",
    "calendar",
    "choice",
    "credential_names",
    "duration",
    "entry",
    "environment",
    "give_up",
    "grants",
    "identifier",
    "integer",
    "key_patterns",
    "module_name",
    "module_names",
    "one_line",
    "score",
    "share",
    "size",
    "topic_patterns",
    "version",
]

DESCRIPTION_MAX_LENGTH = 200
ENTRY_MAX_COUNT = 64
ENTRY_MAX_BYTES = 4096
PROGRAM_MAX_BYTES = 1024
PATH_PART_MAX_BYTES = 255  # NAME_MAX: the kernel has no longer file names
ENVIRONMENT_MAX_COUNT = 128
ENVIRONMENT_MAX_BYTES = 4096
GIVE_UP_MAX = 10_000
GRANTS_MAX_COUNT = 64
CALENDAR_MAX_LENGTH = 128
CREDENTIALS_MAX_COUNT = 32
LIST_MAX_COUNT = 64
QUANTITY_MAX_LENGTH = 64
SHARE_MIN_USEC = 10_000

_VERSION = re.compile(r"[0-9][A-Za-z0-9.+~]{0,63}", re.ASCII)
_IDENTIFIER = re.compile(r"[a-z][a-z0-9-]{0,47}", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_CALENDAR = re.compile(r"[A-Za-z0-9*][A-Za-z0-9 *:,./~_+-]*", re.ASCII)
_CREDENTIAL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", re.ASCII)
_KEY_PATTERN = re.compile(r"[a-z_]{1,32}\.(?:\*|[A-Za-z0-9_]{1,128})", re.ASCII)
_GRANT = re.compile(r"[a-z][a-z0-9.]{0,63}(?::[^\x00-\x20\x7f]{1,256})?", re.ASCII)

# systemd.exec(5), "Environment variables in spawned processes": a module that was told another value than
# systemd meant would talk to the wrong socket or write to the wrong place.
_SYSTEMD_VARIABLES = frozenset(
    {
        "CACHE_DIRECTORY",
        "CONFIGURATION_DIRECTORY",
        "CREDENTIALS_DIRECTORY",
        "FDSTORE",
        "INVOCATION_ID",
        "JOURNAL_STREAM",
        "LOGS_DIRECTORY",
        "LOG_NAMESPACE",
        "MAINPID",
        "MANAGERPID",
        "MEMORY_PRESSURE_WATCH",
        "MEMORY_PRESSURE_WRITE",
        "NOTIFY_SOCKET",
        "RUNTIME_DIRECTORY",
        "STATE_DIRECTORY",
        "SYSTEMD_EXEC_PID",
        "WATCHDOG_PID",
        "WATCHDOG_USEC",
    }
)
_SYSTEMD_PREFIX = "LISTEN_"
_OWN_PREFIX = "AURORA_"


def _unlike(raw: object, wanted: str) -> ValueError:
    return ValueError(f"the value is {kind_of(raw)}, not {wanted}")


def _text(raw: object) -> str:
    if not isinstance(raw, str):
        raise _unlike(raw, "a text")
    return raw


def module_name(raw: object) -> str:
    """A name that follows `names.is_module_name`."""
    text = _text(raw)
    if not names.is_module_name(text):
        raise ValueError(f"{shown(text)} is not a module's name")
    return text


def version(raw: object) -> str:
    """An upstream version of deb-version(7), without epoch and revision."""
    text = _text(raw)
    if _VERSION.fullmatch(text) is None:
        raise ValueError(f"{shown(text)} is not a version")
    return text


def one_line(raw: object) -> str:
    """One line of text, as it will be shown."""
    text = _text(raw)
    faults = []
    if len(text) > DESCRIPTION_MAX_LENGTH:
        faults.append(Fault(f"it has {len(text)} characters, more than {DESCRIPTION_MAX_LENGTH}"))
    if text != text.strip():
        faults.append(Fault("it has white space at an end"))
    if (why := unfit(text)) is not None:
        faults.append(Fault(why))
    if faults:
        raise Faults(faults)
    return text


def boolean(raw: object) -> bool:
    """One of true and false; a number or a text is neither."""
    if not isinstance(raw, bool):
        raise _unlike(raw, "a boolean")
    return raw


def _integer(raw: object, low: int, high: int) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise _unlike(raw, "an integer")
    if not low <= raw <= high:
        # Not shown: Python refuses to write integers of more than some thousand digits.
        raise ValueError(f"the number is not one of {low} to {high}")
    return raw


def integer(low: int, high: int) -> Callable[[object], int]:
    """The converter for whole numbers from `low` to `high`, both included."""
    return lambda raw: _integer(raw, low, high)


def give_up(raw: object) -> int | None:
    """How many starts; None for "never"."""
    if isinstance(raw, str):
        if raw != "never":
            raise ValueError(f'{shown(raw)} is neither a number nor "never"')
        return None
    return _integer(raw, 1, GIVE_UP_MAX)


def identifier(raw: object) -> str:
    """The name of a policy."""
    text = _text(raw)
    if _IDENTIFIER.fullmatch(text) is None:
        raise ValueError(f"{shown(text)} is not a name of lower-case letters, digits and hyphens")
    return text


def choice[Choice: StrEnum](choices: type[Choice]) -> Callable[[object], Choice]:
    """The converter for one of the words of `choices`."""
    words = [str(one) for one in choices]

    def convert(raw: object) -> Choice:
        text = _text(raw)
        if text not in words:
            raise ValueError(f"{shown(text)} is not {', '.join(words[:-1])} or {words[-1]}")
        return choices(text)

    return convert


def _quantity(raw: object) -> str:
    text = _text(raw)
    if len(text) > QUANTITY_MAX_LENGTH or not text.isascii():
        raise ValueError(f"{shown(text)} is not a number and a unit")
    return text


def share(raw: object) -> int:
    """Microseconds of CPU per second: "20%" is 200,000."""
    share_usec = quantity.parse_share(_quantity(raw))
    if share_usec < SHARE_MIN_USEC:
        raise ValueError(f"{raw!r} is less than {quantity.format_share(SHARE_MIN_USEC)}")
    return share_usec


def score(raw: object) -> int:
    """Tenths of an exposure score: "2.0" is 20."""
    return quantity.parse_score(_quantity(raw))


def size(min_bytes: int, max_bytes: int = quantity.MAX_BYTES) -> Callable[[object], int]:
    """The converter for sizes from `min_bytes` to `max_bytes`, to bytes."""

    def convert(raw: object) -> int:
        size_bytes = quantity.parse_size(_quantity(raw))
        if size_bytes < min_bytes:
            raise ValueError(f"{raw!r} is less than {quantity.format_size(min_bytes)}")
        if size_bytes > max_bytes:
            raise ValueError(f"{raw!r} is more than {quantity.format_size(max_bytes)}")
        return size_bytes

    return convert


def duration(low_usec: int, high_usec: int) -> Callable[[object], int]:
    """The converter for times from `low_usec` to `high_usec`, both included, to microseconds."""
    low, high = quantity.format_duration(low_usec), quantity.format_duration(high_usec)

    def convert(raw: object) -> int:
        usec = quantity.parse_duration(_quantity(raw))
        if not low_usec <= usec <= high_usec:
            raise ValueError(f"{raw!r} is not from {low} to {high}")
        return usec

    return convert


def entry(raw: object) -> tuple[str, ...]:
    """The program and its arguments; the program is normalized ("./run.py" is "run.py").

    A relative program is a path that cannot leave the module's folder; an absolute one is the machine's.
    """
    parts = [raw] if isinstance(raw, str) else raw
    if not isinstance(parts, list):
        raise _unlike(raw, "a text or a list of texts")
    faults: list[Fault] = []
    if not 1 <= len(parts) <= ENTRY_MAX_COUNT:
        faults.append(Fault(f"the list has {len(parts)} texts, not 1 to {ENTRY_MAX_COUNT}"))
    found: list[str] = []
    for number, part in enumerate(parts):
        called = "the program" if number == 0 else f"argument {number}"
        if not isinstance(part, str):
            faults.append(Fault(f"{called} is {kind_of(part)}, not a text"))
            continue
        if number == 0:
            part = "/".join(_program_parts(part))  # noqa: PLW2901  # the one that is normalized
            faults.extend(_program_faults(part))
        if (why := unfit(part)) is not None:
            faults.append(Fault(f"{called} is not plain text: {why}"))
        elif len(part.encode()) > ENTRY_MAX_BYTES:
            faults.append(Fault(f"{called} has more than {ENTRY_MAX_BYTES} bytes"))
        found.append(part)
    if faults:
        raise Faults(faults)
    return tuple(found)


def _program_parts(path: str) -> list[str]:
    parts = path.split("/")
    return parts[1:] if parts[0] == "." and len(parts) > 1 and parts[1] != "" else parts


def _program_faults(path: str) -> Iterator[Fault]:
    """What keeps `path` from being a plain path."""
    parts = path.split("/")
    if path.startswith("/"):
        del parts[0]
    if ".." in parts:
        yield Fault(
            f"the program {shown(path)} climbs out of its folder",
            remedy="a file of the module, such as run.py, or an absolute path",
        )
    if path == "":
        yield Fault("the program is empty")
    elif "" in parts or "." in parts:
        yield Fault(f"the program {shown(path)} has an empty part or a dot between its slashes")
    if "\\" in path:
        yield Fault(f"the program {shown(path)} has a backslash", remedy="a slash between folders")
    # Half a surrogate pair has no bytes of its own; that it is there is another fault.
    octets = path.encode(errors="surrogatepass")
    if len(octets) > PROGRAM_MAX_BYTES:
        yield Fault(f"the program {shown(path)} has more than {PROGRAM_MAX_BYTES} bytes")
    elif max(map(len, octets.split(b"/"))) > PATH_PART_MAX_BYTES:
        yield Fault(f"the program {shown(path)} has a file name of more than {PATH_PART_MAX_BYTES} bytes")


def environment(raw: object) -> tuple[tuple[str, str], ...]:
    """Variables and values, sorted by name."""
    if not isinstance(raw, dict):
        raise _unlike(raw, "a table of texts")
    faults: list[Fault] = []
    if len(raw) > ENVIRONMENT_MAX_COUNT:
        faults.append(Fault(f"it has {len(raw)} variables, more than {ENVIRONMENT_MAX_COUNT}"))
    for name, value in raw.items():
        faults.extend(_variable_faults(name, value))
    if faults:
        raise Faults(faults)
    return tuple(sorted(raw.items()))


def _variable_faults(name: str, value: object) -> Iterator[Fault]:
    if _VARIABLE.fullmatch(name) is None:
        yield Fault(
            f"{shown(name)} is not a variable's name",
            name,
            "letters, digits and _, with no digit in front",
        )
    elif name in _SYSTEMD_VARIABLES or name.startswith(_SYSTEMD_PREFIX):
        yield Fault("systemd sets this variable", name, "another name")
    elif name.startswith(_OWN_PREFIX):
        yield Fault(f"names with {_OWN_PREFIX} in front are kept for AuroraOS", name, "another name")
    if not isinstance(value, str):
        yield Fault(f"the value is {kind_of(value)}, not a text", name, "quotes around the value")
    elif (why := unfit(value, allowed="\t")) is not None:
        yield Fault(why, name, "a value of one line, or a file of the module")
    elif len(value.encode()) > ENVIRONMENT_MAX_BYTES:
        yield Fault(f"the value has more than {ENVIRONMENT_MAX_BYTES} bytes", name, "a file of the module")


def calendar(raw: object) -> str:
    """A calendar event of systemd.time(7), as far as its characters go; systemd alone knows the rest."""
    text = _text(raw)
    if len(text) > CALENDAR_MAX_LENGTH or _CALENDAR.fullmatch(text) is None:
        raise ValueError(f"{shown(text)} is not a calendar event")
    return text


def _words(raw: object, kind: str, limit: int, fits: Callable[[str], bool], form: str) -> tuple[str, ...]:
    """A list of different words that `fits`, in the order written."""
    if not isinstance(raw, list):
        raise _unlike(raw, "a list of texts")
    faults: list[Fault] = []
    if len(raw) > limit:
        faults.append(Fault(f"the list has {len(raw)} {kind}s, more than {limit}"))
    found: dict[str, None] = {}
    for number, word in enumerate(raw, 1):
        if not isinstance(word, str):
            faults.append(Fault(f"{kind} {number} is {kind_of(word)}, not a text"))
        elif not fits(word):
            faults.append(Fault(f"{shown(word)} is not a {kind} ({form})"))
        elif word in found:
            faults.append(Fault(f"the {kind} {shown(word)} is there twice", remedy="naming it once"))
        else:
            found[word] = None
    if faults:
        raise Faults(faults)
    return tuple(found)


def grants(raw: object) -> tuple[str, ...]:
    """What is asked beyond the policy, in the order written. Whether a grant exists, `policy` knows."""
    form = "words with points, or words:argument"
    return _words(raw, "grant", GRANTS_MAX_COUNT, lambda w: _GRANT.fullmatch(w) is not None and unfit(w) is None, form)


def module_names(raw: object) -> tuple[str, ...]:
    """Names of other modules."""
    return _words(raw, "module's name", LIST_MAX_COUNT, names.is_module_name, names.NAME_RULE)


def credential_names(raw: object) -> tuple[str, ...]:
    """Names of credentials, which are names of files too."""
    fits = _CREDENTIAL.fullmatch
    form = "letters, digits, _ . and -, at most 64, and no .cred at the end, which marks an encrypted one"
    return _words(
        raw, "credential", CREDENTIALS_MAX_COUNT, lambda w: fits(w) is not None and not w.endswith(".cred"), form
    )


def topic_patterns(*hubs: str) -> Callable[[object], tuple[str, ...]]:
    """Patterns of topics, as subscriptions have them; of the hub's own topics those below `hubs`."""

    def convert(raw: object) -> tuple[str, ...]:
        patterns = _words(raw, "pattern", LIST_MAX_COUNT, lambda _word: True, "")
        faults = [Fault(why, remedy=remedy) for one in patterns for why, remedy in _pattern_faults(one, hubs)]
        if faults:
            raise Faults(faults)
        return patterns

    return convert


def _pattern_faults(pattern: str, hubs: Sequence[str]) -> Iterator[tuple[str, str]]:
    if (fault := pattern_fault(pattern)) is not None:
        yield f"{shown(pattern)} is not a pattern of topics: {fault[0]}", fault[1]
    elif (why := unfit(pattern)) is not None:
        yield f"{shown(pattern)} is not a pattern of topics: {why}", "plain letters"
    elif pattern.startswith("$") and pattern.partition("/")[0] not in hubs:
        yield f"{shown(pattern)} begins with $, and such topics are the hub's own", "leaving it out"


def key_patterns(raw: object) -> tuple[str, ...]:
    """Paths of keys: "table.key" or "table.*". Whether there is such a key, `owner` knows."""
    return _words(raw, "key", LIST_MAX_COUNT, lambda w: _KEY_PATTERN.fullmatch(w) is not None, "TABLE.KEY or TABLE.*")
