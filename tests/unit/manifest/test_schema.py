from __future__ import annotations

import tomllib

import pytest

from aurora.manifest import KEYS, OLDER_KEYS, REQUIRED, Key, TomlType, to_json

from .reading import read

ROWS = pytest.mark.parametrize("row", KEYS, ids=[row.path for row in KEYS])


def example_of(row: Key) -> object:
    if row.name == "*":
        return tomllib.loads(row.example)
    return tomllib.loads(f"x = {row.example}")["x"]


def leaves(tree: object, path: str = "") -> dict[str, object]:
    if isinstance(tree, dict) and path != ".environment":
        return {key: leaf for name in tree for key, leaf in leaves(tree[name], f"{path}.{name}").items()}
    return {path: tree}


@ROWS
def test_the_example_of_each_key_is_one_that_it_takes(row: Key) -> None:
    row.convert(example_of(row))


@ROWS
def test_the_default_of_each_key_is_what_the_model_holds(row: Key) -> None:
    if row.default is not REQUIRED:
        hash(row.default)
        assert not isinstance(row.default, list | dict)


@ROWS
def test_each_key_has_a_doc_that_is_a_sentence(row: Key) -> None:
    assert row.doc.endswith(".")


@ROWS
def test_each_key_with_a_bounded_value_says_so(row: Key) -> None:
    if row.type in {TomlType.INTEGER, TomlType.INTEGER_OR_TEXT, TomlType.TEXTS, TomlType.TABLE}:
        assert row.bound


def test_no_key_is_there_twice() -> None:
    assert len({row.path for row in KEYS}) == len(KEYS)


def test_the_keys_of_a_table_stand_together() -> None:
    tables = [row.table for row in KEYS]
    changes = [one for one, before in zip(tables, ["", *tables], strict=False) if one != before]
    assert len(changes) == len(set(tables))


def test_the_older_form_has_all_that_is_required() -> None:
    known = {row.name for row in KEYS if row.table == "module"}
    required = {row.name for row in KEYS if row.default is REQUIRED}
    assert required <= set(OLDER_KEYS) <= known


def test_there_are_as_many_keys_as_values_in_the_model() -> None:
    assert len(leaves(to_json(read()))) == len(KEYS)


CHANGES = {
    "module.name": '"other"',
    "module.version": '"2"',
    "module.description": '"Other"',
    "module.entry": '"other.py"',
    "module.kind": '"oneshot"',
    "module.owner_may": "[]",
    "environment": 'A = "1"',
    "credentials.names": '["key"]',
    "limits.cpu": '"1%"',
    "limits.memory_max": '"1M"',
    "limits.memory_high": '"1M"',
    "limits.tasks": "1",
    "limits.cpu_weight": "7",
    "limits.io_weight": "7",
    "limits.io_read_max": '"1M"',
    "limits.io_write_max": '"1M"',
    "limits.state_max": '"4M"',
    "limits.cache_max": '"4M"',
    "limits.logs_max": '"4M"',
    "start.readiness": '"notify"',
    "start.timeout": '"1s"',
    "stop.signal": '"SIGINT"',
    "stop.timeout": '"1s"',
    "watchdog.timeout": '"1s"',
    "restart.policy": '"no"',
    "restart.delay": '"2s"',
    "restart.delay_max": '"2min"',
    "restart.steps": "7",
    "restart.give_up_after": "3",
    "restart.give_up_within": '"1h"',
    "schedule.calendar": '"daily"',
    "schedule.interval": '"1h"',
    "schedule.jitter": '"1s"',
    "schedule.catch_up": "true",
    "order.after": '["broker"]',
    "order.requires": '["broker"]',
    "safe_state.command": '["run.py", "--safe"]',
    "safe_state.module": '"other"',
    "update.window": '"1h"',
    "update.restarts_max": "3",
    "update.memory_growth": '"1M"',
    "update.check": '["run.py", "--check"]',
    "update.snapshot": "true",
    "directories.state": "true",
    "directories.cache": "true",
    "directories.logs": "true",
    "directories.runtime": "true",
    "sandbox.policy": '"other"',
    "sandbox.grants": '["x"]',
    "sandbox.exposure_max": '"2.0"',
    "link.publish": '["a/b"]',
    "link.subscribe": '["a/#"]',
    "link.request": '["a"]',
    "link.serve": '["a/+"]',
    "link.durable": '["a/b"]',
    "link.durable_size_max": '"1M"',
    "link.durable_age_max": '"1h"',
    "link.durable_full": '"drop-oldest"',
    "link.retained": '["a/b"]',
    "link.approve": '["a/b"]',
}
NEEDS = {
    "watchdog.timeout": {"start.readiness"},
    "restart.give_up_within": {"restart.give_up_after"},
    "limits.state_max": {"directories.state"},
    "update.snapshot": {"directories.state"},
    "limits.cache_max": {"directories.cache"},
    "limits.logs_max": {"directories.logs"},
    "module.kind": {"restart.policy"},  # its default depends on the kind
    "link.durable": {"link.publish"},
    "link.durable_size_max": {"link.publish", "link.durable"},
    "link.durable_age_max": {"link.publish", "link.durable"},
    "link.durable_full": {"link.publish", "link.durable"},
    "link.retained": {"link.publish"},
    "link.approve": {"link.publish"},
    "schedule.calendar": {"module.kind"},
    "schedule.interval": {"module.kind"},
    "schedule.jitter": {"module.kind", "schedule.calendar"},
    "schedule.catch_up": {"module.kind", "schedule.calendar"},
}
REQUIRED_LINES = {"module.name": '"hello"', "module.version": '"1.0"', "module.entry": '"run.py"'}


def manifest_with(keys: dict[str, str]) -> dict[str, object]:
    lines = []
    for path, value in (REQUIRED_LINES | keys).items():
        lines.append(f"environment.{value}" if path == "environment" else f"{path} = {value}")
    return leaves(to_json(read("\n".join(lines), minimal="")))


@ROWS
def test_each_key_sets_one_value_of_the_model_and_no_other(row: Key) -> None:
    needed = {path: CHANGES[path] for path in NEEDS.get(row.path, ())}
    before = manifest_with(needed)
    after = manifest_with(needed | {row.path: CHANGES[row.path]})
    assert sum(before[path] != after[path] for path in before) == 1
