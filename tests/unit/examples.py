"""Values that many tests start from: the shipped policies, a small manifest, its plan."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from aurora.identity import installed
from aurora.manifest import Manifest, read_manifest
from aurora.plan import Facts, Feature, Plan, make_plan
from aurora.policy import Catalogue, read_catalogue, resolve

CHECKOUT = Path(__file__).resolve().parents[2]
POLICIES = CHECKOUT / "policies"

EVERY: frozenset[Feature] = frozenset(Feature)
ALL_FEATURES = Facts(
    features=EVERY,
    accepted=frozenset(),
    networks=("192.168.1.0/24",),
    groups=frozenset({"dialout", "gpio", "i2c", "spi", "video", "render", "plugdev"}),
)
"""A machine that can enforce everything."""


@cache
def shipped() -> Catalogue:
    """The policies and grants of the package."""
    return read_catalogue((file.name, file.read_bytes()) for file in sorted(POLICIES.glob("*.toml")))


def manifest(more: str = "", *, name: str = "hello", version: str = "1.0", entry: str = '"run.py"') -> Manifest:
    """A small manifest and `more` below it."""
    text = f'[module]\nname = "{name}"\nversion = "{version}"\nentry = {entry}\n{more}'
    return read_manifest(text.encode(), file="module.toml")


def plan(
    more: str = "",
    *,
    name: str = "hello",
    version: str = "1.0",
    entry: str = '"run.py"',
    facts: Facts = ALL_FEATURES,
    folder: str = "/var/lib/aurora-core/modules/hello/a",
) -> Plan:
    """The plan of the same, with the shipped policies."""
    read = manifest(more, name=name, version=version, entry=entry)
    policy = resolve(shipped(), read.sandbox.policy, read.sandbox.grants, where="module.toml")
    return make_plan(read, policy, facts, identity=installed(name), folder=folder)
