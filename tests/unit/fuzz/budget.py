"""How many examples the fuzzers try: few in every run, many with HYPOTHESIS_PROFILE=long."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
TIMES_LONGER = 20


def tries(count: int) -> settings:
    """Settings for about `count` examples in a quick run."""
    return settings(
        max_examples=count * TIMES_LONGER if LONG else count,
        deadline=None,
        # A module's folder is made for each example by hand; hypothesis cannot know.
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    )
