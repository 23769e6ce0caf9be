"""No file takes more than a few times longer when it is four times as large: what a stranger sends costs no minutes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import pytest

from aurora.errors import InputError
from aurora.manifest import MANIFEST_MAX_BYTES, read_manifest
from aurora.policy import FILE_MAX_BYTES, read_catalogue, read_owner
from aurora.update.keyring import KEY_FILE_MAX_BYTES, RULES_MAX_BYTES, parse_key, parse_rules

LIMIT_SEC = 6
"""For the longest file that is taken, on a machine that may be an emulated one; the worst found here takes a tenth."""
GROWN_TIMES = 4
SLOWER_TIMES = 12
"""Four times the size may take this many times as long; in the square it would be sixteen."""
NOISE_SEC = 0.02
RUNS = 4
"""Of which the quickest counts, for either size: a collection of garbage, or another process, slows single ones."""

GOOD = '[module]\nname = "hello"\nversion = "1"\nentry = "run.py"\n'


def repeated(unit: str, head: str = "", tail: str = "") -> Callable[[int], bytes]:
    """A text of about so many bytes; %d in the unit is a number of its own."""

    def text(size: int) -> bytes:
        count = max(1, (size - len(head) - len(tail)) // (len(unit) + 4 * unit.count("%d")))
        middle = unit * count if "%d" not in unit else "".join(unit % number for number in range(count))
        return (head + middle + tail).encode()[:size]

    return text


GROWING: dict[str, Callable[[int], bytes]] = {
    "dots": repeated(".a", "a", "=1"),
    "quoted dots": repeated(' . "a"', "a", "=1"),
    "tables": repeated("[a%d]\n"),
    "nested tables": repeated("[a%d.b]\n"),
    "tables of tables": repeated("[[a]]\n"),
    "keys": repeated("k%d=1\n", GOOD),
    "keys of one table": repeated("k%d=1\n", "[limits]\n"),
    "dotted keys": repeated("a.k%d=1\n"),
    "the same key": repeated("k=1\n"),
    "brackets": repeated("[", "a="),
    "inline tables": repeated("{a=", "a="),
    "a list": repeated("1,", "a=[", "]"),
    "a list of lists": repeated("[],", "a=[", "]"),
    "a text": repeated("x", 'a="', '"'),
    "escapes": repeated("\\u0041", 'a="', '"'),
    "a long text": repeated("x\n", 'a="""', '"""'),
    "quotes": repeated('"'),
    "a number": repeated("9", "a="),
    "underscores": repeated("1_", "a=", "1"),
    "comments": repeated("#\n"),
    "lines": repeated("\r\n"),
    "spaces": repeated(" ", "a="),
    "arguments": repeated('"a",', "[module]\nentry=[", "]"),
    "grants": repeated('"a%d",', GOOD + "[sandbox]\ngrants=[", "]"),
    "grants that are none": repeated('"A%d",', GOOD + "[sandbox]\ngrants=[", "]"),
    "variables": repeated("V%d='x'\n", GOOD + "[environment]\n"),
    "variables that are none": repeated("'-%d'='x'\n", GOOD + "[environment]\n"),
    "keys of the owner's": repeated('"a.b%d",', GOOD + "owner_may=[", "]"),
    "modules": repeated('"a%d",', GOOD + "[order]\nafter=[", "]"),
    "a description": repeated("\\u202e", GOOD + 'description="', '"'),
    "rules": repeated('"/x%d r,",', "apparmor=[", "]"),
    "a rule": repeated("{", 'apparmor=["/', 'r,"]'),
    "an alternation": repeated("{a,", 'apparmor=["/', '}r,"]'),
    "addresses": repeated('"10.0.0.1",', "[directives]\nIPAddressAllow=[", "]"),
    "an address": repeated("1.", '[directives]\nIPAddressAllow=["', '"]'),
    "calls": repeated('"read",', "[directives]\nSystemCallFilter=[", "]"),
    "patterns": repeated('"*a",', '[[rule]]\nsigners={"*"=1}\npackages=[', "]"),
    "rules of trust": repeated('[[rule]]\npackages=["*"]\nsigners={"*"=1}\n'),
    "features": repeated('"apparmor",', "accept_unenforced=[", "]"),
    "members": repeated('"k%d":1,', "{", '"z":1}'),
    "nested members": repeated('{"a":', "", ""),
    "zeros": repeated("\0"),
    "bytes": lambda size: b"\xff" * size,
}

READERS: dict[str, tuple[Callable[[bytes], object], int]] = {
    "manifest": (lambda data: read_manifest(data, file="module.toml"), MANIFEST_MAX_BYTES),
    "older manifest": (lambda data: read_manifest(data, file="module.json"), MANIFEST_MAX_BYTES),
    "owner's file": (
        lambda data: read_manifest(GOOD.encode(), file="module.toml", owner=(data, "hello.toml")),
        MANIFEST_MAX_BYTES,
    ),
    "policy": (lambda data: read_catalogue([("own.toml", data)]), FILE_MAX_BYTES),
    "grants": (lambda data: read_catalogue([("grants.toml", data)]), FILE_MAX_BYTES),
    "key": (lambda data: parse_key(data, file="own.toml", stem="own"), KEY_FILE_MAX_BYTES),
    "rules of trust": (lambda data: parse_rules(data, file="trust.toml"), RULES_MAX_BYTES),
    "settings": (lambda data: read_owner(data, file="core.toml"), FILE_MAX_BYTES),
}


def seconds(read: Callable[[bytes], object], data: bytes) -> float:
    start = time.process_time()
    with contextlib.suppress(InputError):
        read(data)
    return time.process_time() - start


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("text", GROWING)
def test_time_grows_with_the_size_and_not_with_its_square(reader: str, text: str) -> None:
    read, max_bytes = READERS[reader]
    longest = seconds(read, GROWING[text](max_bytes))
    assert longest < LIMIT_SEC
    if longest > NOISE_SEC * SLOWER_TIMES:
        shorter = min(seconds(read, GROWING[text](max_bytes // GROWN_TIMES)) for _ in range(RUNS))
        longest = min(seconds(read, GROWING[text](max_bytes)) for _ in range(RUNS))
        assert longest < SLOWER_TIMES * max(shorter, NOISE_SEC)
