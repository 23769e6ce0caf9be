"""From what a policy file holds for a directive to the directive's value, by kind."""

from __future__ import annotations

import errno
import ipaddress
import re

from aurora import quantity
from aurora.directives import CAPABILITIES, Directive, Kind, Value

__all__ = ["LIST_KINDS", "directive_value", "rule_fault"]

LIST_KINDS = frozenset(
    {
        Kind.WORDS,
        Kind.SYSCALLS,
        Kind.FAMILIES,
        Kind.CAPABILITIES,
        Kind.NAMESPACES,
        Kind.ADDRESSES,
        Kind.BINDS,
        Kind.EMPTIED,
        Kind.DEVICES,
        Kind.GROUPS,
        Kind.SOCKETS,
    }
)
"""Kinds whose value is a list, so that a grant can add to it."""

LAN = "lan"
"""Among addresses: the networks that the machine is on."""
LIST_MAX_WORDS = 512
NAMESPACES = frozenset({"cgroup", "ipc", "net", "mnt", "pid", "user", "uts"})
_WORD_PATTERN = {
    Kind.WORDS: re.compile(r"-?[A-Za-z0-9._@:+/-]+", re.ASCII),
    Kind.SYSCALLS: re.compile(r"~?(?:@[a-z-]+|[a-z0-9_]+)(?::[A-Z0-9]+)?", re.ASCII),
    Kind.FAMILIES: re.compile(r"AF_[A-Z0-9]+", re.ASCII),
    Kind.CAPABILITIES: re.compile(r"CAP_[A-Z_]+", re.ASCII),
    Kind.BINDS: re.compile(r"-?/[A-Za-z0-9._@+/-]*", re.ASCII),
    Kind.EMPTIED: re.compile(r"/[A-Za-z0-9._@+/-]*(?::size=[1-9][0-9]{0,8}[KMG])?", re.ASCII),
    Kind.DEVICES: re.compile(r"(?:/dev/[A-Za-z0-9._@+/:-]+|char-[A-Za-z0-9_-]+) r?w?m?", re.ASCII),
    Kind.GROUPS: re.compile(r"[a-z_][a-z0-9_-]{0,30}|of:/dev/[A-Za-z0-9._@+/:-]+", re.ASCII),
    Kind.SOCKETS: re.compile(r"any|[1-9][0-9]{0,4}", re.ASCII),
}
_TEXT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@:/-]*", re.ASCII)
# A rule ends with a comma or is an include; quotes, comments and braces beyond an alternation could end the
# profile early and begin another.
_RULE = re.compile(
    r"(?:include (?:if exists )?<[A-Za-z0-9._/-]+>|(?! *include\b)[^\"#\\\x00-\x1f\x7f]{1,400},)", re.ASCII
)
_ALTERNATION = re.compile(r"\{[^{}\s]*\}")


def directive_value(row: Directive, raw: object) -> Value:
    """The value of `raw` for the directive `row`; ValueError with a reason a user can read."""
    if row.kind in LIST_KINDS:
        return _words(row, raw)
    if row.kind is Kind.SWITCH and raw == "disconnected":
        return "disconnected"
    if row.kind is Kind.SWITCH and not isinstance(raw, bool):
        raise ValueError('must be true or false, or "disconnected"')
    if row.kind in (Kind.FLAG, Kind.SWITCH):
        if not isinstance(raw, bool):
            raise ValueError("must be true or false")
        return raw
    if row.kind is Kind.MODE:
        if not isinstance(raw, int) or isinstance(raw, bool) or not 0 <= raw <= 0o7777:
            raise ValueError("must be a file mode such as 0o077")
        return raw
    if not isinstance(raw, str):
        raise ValueError("must be a text")
    if row.kind is Kind.BYTES:
        return quantity.INFINITY if raw == "infinity" else quantity.parse_size(raw)
    if row.kind is Kind.ERRNO and not isinstance(getattr(errno, raw, None), int):
        raise ValueError(f"{raw!r} is not the name of an errno, such as EPERM")
    if not _TEXT.fullmatch(raw):
        raise ValueError(f"{raw!r} is not a word")
    return raw


def _words(row: Directive, raw: object) -> tuple[str, ...]:
    if not isinstance(raw, list) or not all(isinstance(word, str) for word in raw):
        raise ValueError("must be a list of texts")
    if len(raw) > LIST_MAX_WORDS:
        raise ValueError(f"has {len(raw)} elements, more than {LIST_MAX_WORDS}")
    for word in raw:
        if row.kind is Kind.ADDRESSES:
            if word not in ("any", LAN):
                ipaddress.ip_network(word)
        elif row.kind is Kind.NAMESPACES:
            if word not in NAMESPACES:
                raise ValueError(f"{word!r} is not one of {', '.join(sorted(NAMESPACES))}")
        elif not _WORD_PATTERN[row.kind].fullmatch(word) or ".." in word:
            raise ValueError(f"{word!r} is not what {row.name} lists")
    for word in raw:
        if (why := _word_fault(row.kind, word)) is not None:
            raise ValueError(f"{word!r} {why}")
    if row.kind is Kind.NAMESPACES and not raw:
        # systemd 257 writes an empty list into the unit's file as no restriction at all.
        raise ValueError('must name at least one type; ["uts"] is the strictest that survives daemon-reload')
    if row.kind is Kind.FAMILIES and not raw:
        # systemd takes an empty list for no restriction at all (bus_exec_context_set_transient_property).
        raise ValueError("must name at least one address family, such as AF_UNIX")
    return tuple(raw)


def _word_fault(kind: Kind, word: str) -> str | None:
    """Why a word of the right form is not one that systemd knows or reads alike everywhere, or None."""
    if kind is Kind.CAPABILITIES and word not in CAPABILITIES:
        return "is not a capability"
    if kind is Kind.DEVICES and word.endswith(" "):
        return "has no r, w or m behind the device"  # a unit file would then mean all of them
    if kind is Kind.ADDRESSES and "/" in word and not word.rpartition("/")[2].isdecimal():
        return "has no number of bits behind the slash"  # which is all that systemd reads
    if kind is Kind.ADDRESSES and "%" in word:
        return "has a zone"
    return None


def rule_fault(rule: object) -> str | None:
    """Why `rule` is not one AppArmor rule, or None when it is."""
    if not isinstance(rule, str):
        return "must be a text"
    if not _RULE.fullmatch(rule) or rule[0].isspace():
        return f"{rule!r} is not one rule ending with a comma, or an include"
    bare = rule.replace("@{PROC}", "").replace("@{pid}", "").replace("@{sys}", "").replace("@{run}", "")
    while _ALTERNATION.search(bare):
        bare = _ALTERNATION.sub("", bare)
    if "{" in bare or "}" in bare or "," in bare[:-1]:
        return f"{rule!r} holds more than one rule"
    if not _is_balanced(rule):
        return f"{rule!r} has a bracket that stands alone"
    return None


def _is_balanced(rule: str) -> bool:
    closing = {"(": ")", "[": "]", "{": "}"}
    expected: list[str] = []
    for char in rule:
        if char in closing:
            expected.append(closing[char])
        elif char in closing.values() and (not expected or expected.pop() != char):
            return False
    return not expected
