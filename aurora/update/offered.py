"""Packages that lie in a folder -> those to update to. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from aurora.names import CORE_PACKAGE, package_name
from aurora.update.versions import is_older, is_version

__all__ = ["Chosen", "Offer", "choose"]

_OF_MODULES = package_name("")


class Offer(NamedTuple):
    """A package of a folder, as it speaks of itself: what is chosen is judged as any other."""

    shown: str
    """Its file."""
    package: str
    version: str
    architecture: str


class Chosen(NamedTuple):
    """What came of the packages of a folder."""

    offers: tuple[Offer, ...]
    """One of each module: the newest, which is newer than what is installed."""
    passed: tuple[str, ...]
    """What its owner may have expected of others, and why it is not to be."""


def choose(offers: Iterable[Offer], installed: Mapping[str, str], *, architecture: str) -> Chosen:
    """Of our packages those that are newer than what is installed; `installed` has the version of each package.

    Packages of others and those that are not newer are passed over in silence.
    """
    best: dict[str, Offer] = {}
    passed: list[str] = []
    for offer in offers:
        if offer.package != CORE_PACKAGE and not offer.package.startswith(_OF_MODULES):
            continue
        if not is_version(offer.version):
            passed.append(f"{offer.shown}: its version is none")
        elif offer.architecture not in ("all", architecture):
            passed.append(f"{offer.shown}: it is for {offer.architecture}, and this machine is {architecture}")
        elif offer.package not in best or is_older(best[offer.package].version, offer.version):
            best[offer.package] = offer
    newest = []
    for package, offer in sorted(best.items()):
        before = installed.get(package)
        if before is None:
            passed.append(f"{offer.shown}: {package} is not installed; auroractl install {offer.shown} does that")
        elif not is_version(before) or is_older(before, offer.version):
            newest.append(offer)
    core = [offer for offer in newest if offer.package == CORE_PACKAGE]
    passed += [f"{offer.shown}: the core itself is updated by apt install {offer.shown}" for offer in core]
    return Chosen(tuple(offer for offer in newest if offer not in core), tuple(passed))
