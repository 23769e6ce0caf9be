from __future__ import annotations

from dataclasses import replace

import pytest

from aurora.errors import Refused
from aurora.plan import NETWORKS, Plan
from tests.unit.examples import ALL_FEATURES, plan


def granted(*grants: str, **facts: object) -> Plan:
    names = ", ".join(f'"{grant}"' for grant in grants)
    machine = replace(ALL_FEATURES, **facts)  # type: ignore[arg-type]  # the facts that a test names
    return plan(f"[sandbox]\ngrants = [{names}]", facts=machine)


def test_the_lan_is_the_networks_that_the_machine_is_on() -> None:
    made = granted("network.lan", networks=("192.168.1.0/24", "fd00::/64"))
    assert made.settings["IPAddressAllow"] == ("192.168.1.0/24", "fd00::/64", "224.0.0.0/24", "ff02::/16")
    assert made.follows == (NETWORKS,)
    assert granted("network.lan", networks=()).settings["IPAddressAllow"] == ("224.0.0.0/24", "ff02::/16")


def test_a_plan_without_the_lan_follows_nothing() -> None:
    assert granted("network.internet", networks=("10.0.0.0/8",)) == granted("network.internet", networks=())
    assert granted("network.internet").follows == ()


def test_a_device_brings_the_group_that_it_belongs_to() -> None:
    made = granted("device:/dev/ttyUSB0", groups=frozenset({"modem"}), device_groups={"/dev/ttyUSB0": "modem"})
    assert made.settings["SupplementaryGroups"] == ("modem",)


def test_a_device_that_is_not_there_brings_the_group_that_such_devices_have() -> None:
    assert granted("device:/dev/ttyUSB0").settings["SupplementaryGroups"] == ("dialout",)
    assert "SupplementaryGroups" not in granted("device:/dev/something").settings


def test_a_device_of_roots_own_group_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        granted("device:/dev/rtc0", groups=frozenset({"root"}), device_groups={"/dev/rtc0": "root"})
    assert "belongs to root's own group" in str(caught.value)


def test_each_group_that_the_machine_lacks_is_told() -> None:
    with pytest.raises(Refused) as caught:
        granted("device:gpio", "device:spi", groups=frozenset({"dialout"}))
    whys = [problem.why for problem in caught.value.problems]
    assert [why.split(",")[0] for why in whys] == ["this machine has no group gpio", "this machine has no group spi"]
