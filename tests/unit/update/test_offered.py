from __future__ import annotations

from aurora.update.offered import Offer, choose

INSTALLED = {"aurora-module-hello": "1.2", "aurora-module-lamp": "2.0", "aurora-core": "0.1.0"}


def offer(package: str, version: str, architecture: str = "all") -> Offer:
    return Offer(f"/stick/{package}_{version}.deb", package, version, architecture)


def taken(*offers: Offer) -> tuple[list[tuple[str, str]], list[str]]:
    found = choose(offers, INSTALLED, architecture="arm64")
    return [(one.package, one.version) for one in found.offers], list(found.passed)


def test_what_is_newer_is_taken_and_of_several_the_newest() -> None:
    hello = [offer("aurora-module-hello", version) for version in ("1.9", "1.10", "1.3", "1.0")]
    lamp = offer("aurora-module-lamp", "2.1", "arm64")
    assert taken(lamp, *hello) == ([("aurora-module-hello", "1.10"), ("aurora-module-lamp", "2.1")], [])


def test_what_is_not_newer_and_what_is_not_ours_is_passed_in_silence() -> None:
    others = [offer("nginx", "9"), offer("aurora-coreutils", "9"), offer("aurora-core", "0.1.0")]
    assert taken(offer("aurora-module-hello", "1.2"), offer("aurora-module-lamp", "2.0~rc1"), *others) == ([], [])


def test_what_its_owner_may_have_expected_is_told() -> None:
    found, passed = taken(
        offer("aurora-module-new", "1"),
        offer("aurora-module-hello", "2", "amd64"),
        offer("aurora-module-lamp", "x y"),
        offer("aurora-core", "0.2"),
    )
    assert found == []
    assert [line.partition(": ")[2].split(";")[0] for line in passed] == [
        "it is for amd64, and this machine is arm64",
        "its version is none",
        "aurora-module-new is not installed",
        "the core itself is updated by apt install /stick/aurora-core_0.2.deb",
    ]


def test_one_for_another_machine_does_not_hide_that_for_this_one() -> None:
    both = [offer("aurora-module-hello", "2", machine) for machine in ("amd64", "arm64")]
    assert taken(*both)[0] == taken(*reversed(both))[0] == [("aurora-module-hello", "2")]


def test_a_module_whose_version_is_none_of_dpkgs_may_have_any() -> None:
    found = choose([offer("aurora-module-hello", "1")], {"aurora-module-hello": "first"}, architecture="amd64")
    assert len(found.offers) == 1
