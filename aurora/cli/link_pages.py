"""The manual pages of AuroraLink and of its client for devices."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

from aurora import link
from aurora.cli.places import LINK_ABOUT, LINK_PROGRAMS
from aurora.cli.roff import bold, code, page, prose, references, tagged
from aurora.link.edge import ABOUT, ENVIRONMENT

__all__ = ["man_edge", "man_link"]


def _protocol() -> Iterator[str]:
    """The protocol as the docstring of `aurora.link` has it: prose, examples, and words with what they mean."""
    for block in (inspect.getdoc(link) or "").partition("---\n")[2].strip("\n").split("\n\n"):
        lines = block.splitlines()
        if lines[0].startswith("    "):
            yield from code(line.strip() for line in lines)
        elif re.match(r"\S+ {2,}\S", lines[0]):
            for entry in re.split(r"\n(?=\S)", block):
                word, _, about = entry.partition(" ")
                yield from tagged(bold(word), prose(" ".join(about.split())))
        else:
            yield from (".PP", *prose(" ".join(lines)))


def man_link(date: str = "") -> str:
    """auroralink(7); `date` is its day, YYYY-MM-DD."""
    body = [".SH NAME", r"auroralink \- the local message hub of AuroraOS Core", ".SH DESCRIPTION"]
    body += [line for text in LINK_ABOUT for line in (".PP", *prose(text))][1:]
    body += [".SH PROTOCOL", *list(_protocol())[1:], ".SH EXAMPLES", "In two terminals:"]
    body += code(("sudo auroractl link sub 'site/#'", "sudo auroractl link pub site/lamp '{\"on\": true}'"))
    body += ["By hand, without any program of ours:"]
    body += code(('echo \'{"topic":"site/lamp","data":1}\' | sudo socat - UNIX-CONNECT:/run/aurora/link.sock',))
    body += [".PP", *prose(LINK_PROGRAMS)]
    body += [".SH SEE ALSO", *references(("auroractl", 1), ("aurora-edge", 1), ("aurora.module", 5))]
    return page("auroralink", 7, date, body)


def man_edge(date: str = "") -> str:
    """aurora-edge(1); `date` is its day, YYYY-MM-DD."""
    body = [".SH NAME", r"aurora\-edge \- a device on AuroraLink"]
    body += [".SH SYNOPSIS", f"{bold('aurora-edge')} [{bold('--help')}] [{bold('--version')}]", ".SH DESCRIPTION"]
    body += [line for text in ABOUT for line in (".PP", *prose(text))][1:]
    body += [".SH ENVIRONMENT"]
    for name, about in ENVIRONMENT:
        body += tagged(bold(name), prose(about))
    body += [".SH EXIT STATUS", *prose("0 when it was told to end, 65 when the environment is wrong.")]
    body += [".SH EXAMPLES", "Under a name of its own:", *code(("AURORA_EDGE_ID=edge-1 aurora-edge",))]
    body += [".SH SEE ALSO", *references(("auroralink", 7))]
    return page("aurora-edge", 1, date, body)
