"""Manifests read for a test: the smallest one, and what is wrong with others."""

from __future__ import annotations

import pytest

from aurora.errors import InputError, Problem
from aurora.manifest import Manifest, read_manifest

FILE = "hello/module.toml"
MINIMAL = '[module]\nname = "hello"\nversion = "1.0"\nentry = "run.py"\n'


def read(more: str = "", *, minimal: str = MINIMAL) -> Manifest:
    """The smallest manifest and `more` below it."""
    return read_manifest((minimal + more).encode(), file=FILE)


def problems_of(data: bytes | str, *, file: str = FILE) -> tuple[Problem, ...]:
    """The problems for which `data` is refused."""
    octets = data.encode() if isinstance(data, str) else data
    with pytest.raises(InputError) as caught:
        read_manifest(octets, file=file)
    return caught.value.problems


def problem_of(data: bytes | str, *, file: str = FILE) -> Problem:
    """The only problem for which `data` is refused."""
    (problem,) = problems_of(data, file=file)
    return problem
