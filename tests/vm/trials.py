"""Versions of the core as dpkg leaves them behind, laid down in seconds instead of minutes: for tests of their trials.

What dpkg does itself, unpacking and Debian's compiling, is left out; the package's script ends in the same few lines.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

from tests.vm.core import Core

__all__ = ["CODE", "CORE", "TRY", "Change", "changed", "known", "lay_down", "put_back", "version_of"]

CORE = "/var/lib/aurora-core/core"
"""Where its slots are."""
CODE = "usr/lib/python3/dist-packages/aurora"
"""Where dpkg has its code, below the root."""
TRY = "systemctl start aurora-core-trial.service"
"""Shell. Again, it waits until what the first has brought about has ended."""
_PACKAGED = "/var/lib/aurora-test/core-packaged"
"""That as it was before."""

Change = tuple[str, str]
"""A file of the code, and lines at its end."""


def version_of(tag: str) -> str:
    """What the version of that tag is called."""
    return f"0+{tag}"


def changed(code: str, tag: str, changes: Sequence[Change]) -> str:
    """Shell that makes another version of the code in `code`; `tag`, which sh expands, makes it differ from others."""
    lines = [f"printf '%s\\n' {shlex.quote(text)} >>{code}/{file}" for file, text in changes]
    lines.append(f'echo "# {tag}" >>{code}/errors.py')
    return "\n".join(lines)


def lay_down(tag: str, *changes: Change) -> str:
    """Shell that has dpkg's code be another version, which is wanted, and not tried yet; whole whenever it ends."""
    return f"""
[ -d {_PACKAGED} ] || {{ cp -a /{CODE} {_PACKAGED}.new; mv {_PACKAGED}.new {_PACKAGED}; }}
rm -rf /{CODE}.new /{CODE}.old
cp -a {_PACKAGED} /{CODE}.new
{changed(f"/{CODE}.new", tag, changes)}
sync
[ ! -d /{CODE} ] || mv /{CODE} /{CODE}.old
mv /{CODE}.new /{CODE}
echo {version_of(tag)} >{CORE}/wanted.new
mv {CORE}/wanted.new {CORE}/wanted
sync
rm -rf /{CODE}.old
"""


def put_back() -> str:
    """Shell that has it be as it was, and in use; nothing where none was laid down."""
    return f"""
[ -d {_PACKAGED} ] || exit 0
rm -rf /{CODE} /{CODE}.new /{CODE}.old
mv {_PACKAGED} /{CODE}
dpkg-query -W -f '${{Version}}\\n' aurora-core >{CORE}/wanted
{TRY}
"""


def known(core: Core) -> dict[str, Any]:
    """What `auroractl update status` knows of the core's own code."""
    found: dict[str, Any] = json.loads(core.run("auroractl update status --json").stdout)["core"]
    return found
