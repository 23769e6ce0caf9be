from __future__ import annotations

from typing import Any

from aurora.link.bounds import Bounds

from .talking import ALL, ROOT, Hub

ASK = {"type": "req", "topic": "$sys/subscriptions", "id": "q", "data": None}


def listed(hub: Hub) -> dict[str, Any]:
    root = hub.join(ROOT)
    hub.say(root, ASK)
    (answer,) = hub.read(root)
    hub.router.disconnect(root)
    return dict(answer["data"])


def test_who_has_lost_most_comes_first_and_further_ones_are_counted() -> None:
    hub = Hub(bounds=Bounds(subscriptions_listed_max=2), slow=ALL, pub=ALL)
    slow, pub = hub.join("slow"), hub.join("pub")
    for topic in ("a", "b", "c"):
        hub.say(slow, {"type": "sub", "topic": topic, "queue_messages": 1})
    hub.say(pub, *({"topic": topic, "data": 1} for topic in "bccb" for _ in range(1 + (topic == "c"))))
    found = listed(hub)
    assert [(one["topic"], one["reader"], one["waiting"], one["dropped"]) for one in found["subscriptions"]] == [
        ("c", "slow", 1, 3),
        ("b", "slow", 1, 1),
    ]
    assert found["left_out"] == 1


def test_modules_are_not_told() -> None:
    hub = Hub(one=ALL)
    one = hub.join("one")
    hub.say(one, ASK)
    assert hub.codes(one) == ["denied"]


def test_it_takes_no_data() -> None:
    hub = Hub()
    root = hub.join(ROOT)
    hub.say(root, {**ASK, "data": {"x": 1}})
    assert hub.codes(root) == ["bad-member"]
