from __future__ import annotations

import pytest

from aurora.manifest import RestartPolicy
from aurora.quantity import parse_duration

from .reading import MINIMAL, problem_of, problems_of, read


def conflict(more: str) -> tuple[str, str]:
    """The key at which `more` is refused, and why."""
    problem = problem_of(MINIMAL + more)
    assert problem.remedy
    return problem.where.rpartition("key ")[2], problem.why


def restart(**keys: object) -> str:
    lines = [f"{key} = {value}" if isinstance(value, int) else f'{key} = "{value}"' for key, value in keys.items()]
    return "\n".join(["[restart]", *lines])


def test_a_module_is_not_killed_before_it_is_slowed() -> None:
    key, why = conflict('[limits]\nmemory_high = "65M"\nmemory_max = "64M"')
    assert (key, why) == (
        "limits.memory_high",
        "65M is more than limits.memory_max, 64M: the module would be killed before it is slowed",
    )


@pytest.mark.parametrize(
    "more", ['memory_high = "64M"\nmemory_max = "64M"', 'memory_high = "64M"', 'memory_max = "64M"']
)
def test_other_limits_of_memory_agree(more: str) -> None:
    read(f"[limits]\n{more}")


@pytest.mark.parametrize("start", ["", '[start]\nreadiness = "exec"\n'])
def test_a_watchdog_needs_a_module_that_talks(start: str) -> None:
    key, why = conflict(f'{start}[watchdog]\ntimeout = "10s"')
    assert key == "watchdog.timeout"
    assert "start.readiness is exec" in why


def test_a_watchdog_of_a_module_that_talks_is_right() -> None:
    manifest = read('[watchdog]\ntimeout = "10s"\n[start]\nreadiness = "notify"')
    assert manifest.watchdog_usec == 10_000_000


def test_a_contradiction_with_a_key_that_cannot_be_read_is_not_guessed() -> None:
    (problem,) = problems_of(MINIMAL + '[watchdog]\ntimeout = "10s"\n[start]\nreadiness = "notfy"')
    assert "'notfy'" in problem.why


@pytest.mark.parametrize(
    "keys",
    [
        {"delay": "1s"},
        {"delay_max": "1h"},
        {"steps": 3},
        {"steps": 0},
        {"give_up_after": 5},
        {"give_up_after": "never"},
        {"give_up_within": "1h"},
    ],
)
def test_nothing_about_restarts_can_be_declared_where_there_are_none(keys: dict[str, object]) -> None:
    (key,) = keys
    assert conflict(restart(policy="no", **keys)) == (
        f"restart.{key}",
        'it has no effect where restart.policy is "no"',
    )


def test_waits_of_restarts_that_there_are_not_are_not_compared() -> None:
    problems = problems_of(MINIMAL + restart(policy="no", delay="2s", delay_max="1s", give_up_after=9))
    assert ["no effect" in problem.why for problem in problems] == [True, True, True]


def test_a_module_may_do_without_restarts() -> None:
    assert read(restart(policy="no")).restart.policy is RestartPolicy.NO


@pytest.mark.parametrize(
    ("keys", "delay", "delay_max", "steps"),
    [
        ({}, "1s", "1min", 6),
        ({"delay": "10s"}, "10s", "1min", 6),
        ({"delay": "1min"}, "1min", "1min", 0),
        ({"delay": "2min"}, "2min", "2min", 0),
        ({"delay": "0s"}, "0s", "0s", 0),
        ({"delay": "0s", "steps": 0}, "0s", "0s", 0),
        ({"steps": 0}, "1s", "1s", 0),
        ({"steps": 3}, "1s", "1min", 3),
        ({"delay_max": "1s"}, "1s", "1s", 0),
        ({"delay_max": "1s", "steps": 0}, "1s", "1s", 0),
        ({"delay_max": "1h"}, "1s", "1h", 6),
        ({"delay": "1min", "delay_max": "1h", "steps": 100}, "1min", "1h", 100),
    ],
)
def test_what_is_left_out_of_a_growing_wait_follows_from_the_rest(
    keys: dict[str, object], delay: str, delay_max: str, steps: int
) -> None:
    found = read(restart(**keys)).restart
    assert (found.delay_usec, found.delay_max_usec, found.growth_steps) == (
        parse_duration(delay),
        parse_duration(delay_max),
        steps,
    )


@pytest.mark.parametrize(
    ("keys", "at", "why"),
    [
        ({"delay": "2s", "delay_max": "1s"}, "delay_max", "1s is shorter than restart.delay, which is 2s"),
        (
            {"delay_max": "500ms"},
            "delay_max",
            "500ms is shorter than restart.delay, which is 1s by default",
        ),
        ({"delay": "0s", "delay_max": "1s"}, "delay", "a wait of 0s cannot grow, and delay_max or steps ask for that"),
        ({"delay": "0s", "steps": 3}, "delay", "a wait of 0s cannot grow, and delay_max or steps ask for that"),
        (
            {"delay": "2min", "steps": 3},
            "steps",
            "it has no effect where delay and delay_max are both 2min",
        ),
        (
            {"delay_max": "1s", "steps": 3},
            "steps",
            "it has no effect where delay and delay_max are both 1s",
        ),
        (
            {"delay_max": "1h", "steps": 0},
            "delay_max",
            "it has no effect where restart.steps is 0: the wait stays at delay",
        ),
    ],
)
def test_a_wait_that_could_not_grow_as_declared_is_refused(keys: dict[str, object], at: str, why: str) -> None:
    assert conflict(restart(**keys)) == (f"restart.{at}", why)


@pytest.mark.parametrize("keys", [{}, {"give_up_after": "never"}])
def test_a_window_needs_a_number_of_starts(keys: dict[str, object]) -> None:
    key, why = conflict(restart(give_up_within="1h", **keys))
    assert key == "restart.give_up_within"
    assert "no effect" in why


@pytest.mark.parametrize(
    ("keys", "needed"),
    [
        ({"give_up_after": 20, "delay": "1min"}, "20min"),
        ({"give_up_after": 3, "delay": "10s", "steps": 0, "give_up_within": "29s"}, "30s"),
        # 1 s and 10 s while it grows, then 100 s each
        ({"give_up_after": 4, "delay_max": "100s", "steps": 2, "give_up_within": "3min"}, "3min 31s"),
    ],
)
def test_starts_that_can_never_fall_into_the_window_are_refused(keys: dict[str, object], needed: str) -> None:
    key, why = conflict(restart(**keys))
    assert key == "restart.give_up_after"
    assert f"take {needed} of waiting alone" in why
    assert why.endswith("by default") == ("give_up_within" not in keys)


@pytest.mark.parametrize(
    "keys",
    [
        {"give_up_after": 10},
        {"give_up_after": 10, "delay": "1min"},
        {"give_up_after": 3, "delay": "10s", "steps": 0, "give_up_within": "30s"},
        {"give_up_after": 4, "delay_max": "100s", "steps": 2, "give_up_within": "3min 31s"},
        {"give_up_after": 10_000, "delay": "0s"},
        {"give_up_after": 1, "give_up_within": "1s"},
        {"give_up_after": 10_000, "delay": "1s", "steps": 0, "give_up_within": "7d"},
    ],
)
def test_starts_that_can_fall_into_the_window_are_right(keys: dict[str, object]) -> None:
    assert read(restart(**keys)).restart.give_up_after == keys["give_up_after"]


def test_a_safe_state_is_a_command_or_a_module() -> None:
    key, why = conflict('[safe_state]\ncommand = "safe.py"\nmodule = "other"')
    assert (key, why) == ("safe_state.module", "safe_state.command is there too, and one of them has to do")
    read('[safe_state]\ncommand = "safe.py"')
    read('[safe_state]\nmodule = "other"')


def test_a_module_is_not_its_own_safe_state() -> None:
    key, why = conflict('[safe_state]\nmodule = "hello"')
    assert (key, why) == ("safe_state.module", "it is the module itself, which has just failed")


@pytest.mark.parametrize(
    ("text", "key", "why"),
    [
        ("[update]\nsnapshot = true", "update.snapshot", "it has no effect where the module has no state directory"),
        ('[update]\nwindow = "0s"\nrestarts_max = 1', "update.restarts_max",
         "it has no effect where update.window is 0s"),
        ('[update]\nwindow = "0s"\nmemory_growth = "1M"', "update.memory_growth",
         "it has no effect where update.window is 0s"),
        ('kind = "oneshot"\n[update]\nmemory_growth = "1M"', "update.memory_growth",
         "a oneshot that has ended holds no memory"),
        ('[restart]\npolicy = "no"\n[update]\nrestarts_max = 1', "update.restarts_max",
         'none happens where restart.policy is "no"'),
    ],
)  # fmt: skip
def test_what_an_update_could_not_be_judged_by_is_told(text: str, key: str, why: str) -> None:
    assert conflict(text) == (key, why)
    read('[update]\nwindow = "0s"\ncheck = "check.py"')


@pytest.mark.parametrize("key", ["durable", "retained"])
def test_only_what_may_be_published_is_kept(key: str) -> None:
    where, why = conflict(f'[link]\npublish = ["a/+"]\n{key} = ["a/b", "a/#"]')
    assert where == f"link.{key}"
    assert "may not publish all of 'a/#'" in why
    read(f'[link]\npublish = ["x", "a/#"]\n{key} = ["a/b", "a/+", "a/#"]')


@pytest.mark.parametrize("key", ["publish", "subscribe", "request", "serve"])
def test_what_has_to_be_approved_is_what_the_module_sends_or_gets(key: str) -> None:
    where, why = conflict(f'[link]\n{key} = ["a/+"]\napprove = ["a/b", "a/#"]')
    assert where == "link.approve"
    assert "all of 'a/#' is nothing that the module publishes" in why
    link = read(f'[link]\n{key} = ["x", "a/#"]\napprove = ["a/b", "a/#"]').link
    if key in ("subscribe", "serve"):
        assert (link.approve_own, link.approve_all) == ((), ("a/b", "a/#")), "what others send to it"
    else:
        assert (link.approve_own, link.approve_all) == (("a/b", "a/#"), ()), "what it sends, and nobody else"


def test_a_module_that_may_read_everything_does_not_thereby_name_the_hubs_own_topics_for_approval() -> None:
    where, _ = conflict('[link]\nsubscribe = ["$sys/#"]\napprove = ["$sys/hub"]')
    assert where == "link.approve"


@pytest.mark.parametrize("line", ['durable_size_max = "1M"', 'durable_age_max = "1d"', 'durable_full = "refuse"'])
def test_what_bounds_durable_topics_needs_some(line: str) -> None:
    where, why = conflict(f'[link]\npublish = ["a"]\n{line}')
    assert where == f"link.{line.partition(' ')[0]}"
    assert "no topic is durable" in why
