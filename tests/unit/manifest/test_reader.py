from __future__ import annotations

import json
import time
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.errors import InputError, NotFound, Problem
from aurora.manifest import (
    KEYS,
    MANIFEST_MAX_BYTES,
    Directories,
    Limits,
    Manifest,
    ModuleKind,
    Order,
    Readiness,
    Restart,
    RestartPolicy,
    SafeState,
    Sandbox,
    Schedule,
    Start,
    Stop,
    StopSignal,
    Update,
    find_manifest,
    read_manifest,
    to_json,
)
from aurora.manifest.reader import PROBLEMS_MAX

from .reading import FILE, MINIMAL, problem_of, problems_of, read

JSON = "hello/module.json"
SECOND = 1_000_000

FULL = """
[module]
name = "hello"
version = "1.0.2"
description = "Says hello"
kind = "service"
owner_may = ["limits.*", "start.timeout"]
entry = ["./run.py", "--loud"]

[environment]
WORDS = "hello world"
A = "1"

[credentials]
names = ["api-key", "cert.pem"]

[limits]
cpu = "20%"
memory_max = "64M"
memory_high = "48M"
tasks = 32
cpu_weight = 50
io_weight = 20
io_read_max = "10M"
io_write_max = "2M"
state_max = "50M"
cache_max = "20M"
logs_max = "4M"

[start]
readiness = "notify"
timeout = "30s"

[stop]
signal = "SIGINT"
timeout = "5s"

[watchdog]
timeout = "10s"

[restart]
policy = "always"
delay = "2s"
delay_max = "1min"
steps = 5
give_up_after = 10
give_up_within = "10min"

[order]
after = ["clock"]
requires = ["broker", "store"]

[safe_state]
command = ["run.py", "--safe"]

[update]
window = "5min"
restarts_max = 1
memory_growth = "8M"
check = "check.py"
snapshot = true

[directories]
state = true
cache = true
logs = true
runtime = true

[sandbox]
policy = "network"
grants = ["network.loopback", "device:/dev/ttyUSB0"]
"""
NO_SCHEDULE = Schedule(calendar=None, interval_usec=None, jitter_usec=0, catch_up=False)
OWNER_MAY = ("environment.*", "limits.*", "restart.*", "schedule.*", "start.timeout", "stop.*", "watchdog.*")
FULL_MANIFEST = Manifest(
    name="hello",
    version="1.0.2",
    description="Says hello",
    kind=ModuleKind.SERVICE,
    entry=("run.py", "--loud"),
    owner_may=("limits.*", "start.timeout"),
    environment=(("A", "1"), ("WORDS", "hello world")),
    credentials=("api-key", "cert.pem"),
    limits=Limits(
        cpu_share_usec=200_000,
        memory_max_bytes=64 << 20,
        memory_high_bytes=48 << 20,
        tasks_max=32,
        cpu_weight=50,
        io_weight=20,
        io_read_max_bytes=10 << 20,
        io_write_max_bytes=2 << 20,
        state_max_bytes=50 << 20,
        cache_max_bytes=20 << 20,
        logs_max_bytes=4 << 20,
    ),
    start=Start(readiness=Readiness.NOTIFY, timeout_usec=30 * SECOND),
    stop=Stop(signal=StopSignal.INT, timeout_usec=5 * SECOND),
    watchdog_usec=10 * SECOND,
    restart=Restart(
        policy=RestartPolicy.ALWAYS,
        delay_usec=2 * SECOND,
        delay_max_usec=60 * SECOND,
        growth_steps=5,
        give_up_after=10,
        give_up_within_usec=600 * SECOND,
    ),
    schedule=NO_SCHEDULE,
    order=Order(after=("clock",), requires=("broker", "store")),
    safe_state=SafeState(command=("run.py", "--safe"), module=None),
    update=Update(
        window_usec=300 * SECOND, restarts_max=1, memory_growth_bytes=8 << 20, check=("check.py",), snapshot=True
    ),
    directories=Directories(state=True, cache=True, logs=True, runtime=True),
    sandbox=Sandbox(policy="network", grants=("network.loopback", "device:/dev/ttyUSB0")),
)
SMALL_MANIFEST = Manifest(
    name="hello",
    version="1.0",
    description="",
    kind=ModuleKind.SERVICE,
    entry=("run.py",),
    owner_may=OWNER_MAY,
    environment=(),
    credentials=(),
    limits=Limits(
        cpu_share_usec=None,
        memory_max_bytes=None,
        memory_high_bytes=None,
        tasks_max=256,
        cpu_weight=None,
        io_weight=None,
        io_read_max_bytes=None,
        io_write_max_bytes=None,
        state_max_bytes=None,
        cache_max_bytes=None,
        logs_max_bytes=None,
    ),
    start=Start(readiness=Readiness.EXEC, timeout_usec=90 * SECOND),
    stop=Stop(signal=StopSignal.TERM, timeout_usec=15 * SECOND),
    watchdog_usec=None,
    restart=Restart(
        policy=RestartPolicy.ON_FAILURE,
        delay_usec=1 * SECOND,
        delay_max_usec=60 * SECOND,
        growth_steps=6,
        give_up_after=None,
        give_up_within_usec=600 * SECOND,
    ),
    schedule=NO_SCHEDULE,
    order=Order(after=(), requires=()),
    safe_state=SafeState(command=None, module=None),
    update=Update(window_usec=60 * SECOND, restarts_max=0, memory_growth_bytes=16 << 20, check=None, snapshot=False),
    directories=Directories(state=False, cache=False, logs=False, runtime=False),
    sandbox=Sandbox(policy="strict", grants=()),
)


def test_a_full_manifest_is_read() -> None:
    assert read(FULL, minimal="") == FULL_MANIFEST


def test_what_is_left_out_has_its_default() -> None:
    assert read() == SMALL_MANIFEST


def test_an_older_manifest_means_the_same() -> None:
    older = {"name": "hello", "version": "1.0", "entry": "run.py"}
    assert read_manifest(json.dumps(older).encode(), file=JSON) == SMALL_MANIFEST
    described = json.dumps(older | {"description": "Says hello"}).encode()
    assert read_manifest(described, file=JSON).description == "Says hello"


def test_a_manifest_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        read().name = "other"  # type: ignore[misc]  # that it cannot be done is what is tried
    hash(read())


def test_inline_tables_dotted_keys_and_windows_line_ends_are_toml_too() -> None:
    text = 'module = {name = "hello", version = "1.0", entry = "run.py"}\nlimits.tasks = 256\n'
    assert read(text, minimal="") == SMALL_MANIFEST
    assert read(MINIMAL.replace("\n", "\r\n"), minimal="") == SMALL_MANIFEST


def test_an_empty_environment_and_empty_tables_are_fine() -> None:
    assert read("[environment]\n[limits]\n") == SMALL_MANIFEST


def test_a_manifest_can_be_shown_as_json() -> None:
    shown = json.loads(json.dumps(to_json(FULL_MANIFEST)))
    assert shown["environment"] == {"A": "1", "WORDS": "hello world"}
    assert shown["entry"] == ["run.py", "--loud"]
    assert shown["limits"]["memory_max_bytes"] == 64 << 20
    assert shown["restart"]["policy"] == "always"
    assert to_json(FULL_MANIFEST) == shown


def test_many_problems_are_told_at_once_in_the_order_of_their_lines() -> None:
    text = """\
[module]
name = "a/b"
version = 1.0
entry = "../run.py"
nmae = "x"

[limits]
memory_max = "64 megabytes"
tasks = true

[environment]
"a b" = "x"

[watchdog]
timeout = "10s"

[sandbx]
"""
    name_rule = "lower-case letters, digits and single hyphens, a letter first, at most 48"
    version_rule = "a digit first, then letters, digits and . + ~, at most 64"
    what = "read the manifest"
    assert problems_of(text) == (
        Problem(
            what,
            "'a/b' is not a module's name",
            f"{FILE}, line 2, key module.name",
            f'a text such as "hello" ({name_rule})',
        ),
        Problem(
            what,
            "the value is a decimal number, not a text",
            f"{FILE}, line 3, key module.version",
            f'a text such as "1.0.2" ({version_rule})',
        ),
        Problem(
            what,
            "the program '../run.py' climbs out of its folder",
            f"{FILE}, line 4, key module.entry",
            "a file of the module, such as run.py, or an absolute path",
        ),
        Problem(what, "[module] has no such key", f"{FILE}, line 5, key module.nmae", "name"),
        Problem(
            what,
            "'64 megabytes' is not a size (a number and B, K, M, G or T, such as 64M)",
            f"{FILE}, line 8, key limits.memory_max",
            'a text such as "64M" (1M or more)',
        ),
        Problem(
            what,
            "the value is a boolean, not an integer",
            f"{FILE}, line 9, key limits.tasks",
            "an integer such as 32 (1 to 65536)",
        ),
        Problem(
            what,
            "'a b' is not a variable's name",
            f"{FILE}, line 12, key environment.'a b'",
            "letters, digits and _, with no digit in front",
        ),
        Problem(
            what,
            "it needs a module that talks to systemd, and start.readiness is exec",
            f"{FILE}, line 15, key watchdog.timeout",
            'readiness = "notify" below [start]',
        ),
        Problem(what, "there is no such table", f"{FILE}, line 17, key sandbx", "[sandbox]"),
    )


@pytest.mark.parametrize("row", KEYS, ids=[row.path for row in KEYS])
def test_a_wrong_type_is_told_with_file_line_key_and_remedy(row: object) -> None:
    assert row in KEYS
    name = row.table if row.name == "*" else row.path  # type: ignore[attr-defined]  # a row of KEYS
    lines = [f"{key} = 2025-01-01" if key == name else f"{key} = {value}" for key, value in REQUIRED_LINES.items()]
    if name not in REQUIRED_LINES:
        lines.append(f"{name} = 2025-01-01")
    problem = problem_of("\n".join(lines))
    line = 1 + next(number for number, text in enumerate(lines) if text.startswith(f"{name} = 2025"))
    assert problem.why.startswith(("the value is a date or time, not", "it is a date or time, not"))
    assert problem.where == f"{FILE}, line {line}, key {name}"
    assert problem.remedy


REQUIRED_LINES = {"module.name": '"hello"', "module.version": '"1.0"', "module.entry": '"run.py"'}


@pytest.mark.parametrize("left_out", list(REQUIRED_LINES))
def test_a_required_key_that_is_missing_is_told_with_a_line_to_write(left_out: str) -> None:
    lines = [f"{key} = {value}" for key, value in REQUIRED_LINES.items() if key != left_out]
    problem = problem_of("\n".join(lines))
    assert problem.why == "the key is missing"
    assert problem.where == f"{FILE}, line 1, key {left_out}"
    assert problem.remedy.startswith(f"{left_out.removeprefix('module.')} = ")


def test_an_empty_file_lacks_every_required_key() -> None:
    assert [problem.where for problem in problems_of("")] == [
        f"{FILE}, key module.name",
        f"{FILE}, key module.version",
        f"{FILE}, key module.entry",
    ]


def test_a_value_where_a_table_belongs_is_told_once() -> None:
    problem = problem_of("module = 1")
    assert problem.why == "it is an integer, not a table"
    assert problem.remedy == "[module] on a line of its own"
    assert "a list, not a table" in problem_of("[[module]]").why


def test_a_key_above_all_tables_is_told_its_table() -> None:
    problem = problem_of('description = "x"\n' + MINIMAL)
    assert problem.why == "there is no such key outside the tables"
    assert problem.remedy == "description below [module]"


def test_a_list_of_texts_in_place_of_a_text_is_called_that() -> None:
    assert problem_of(MINIMAL + 'description = ["a", "b"]').why == "the value is a list of texts, not a text"


def test_more_problems_than_can_be_read_are_counted() -> None:
    problems = problems_of(MINIMAL + "".join(f"key{number} = 1\n" for number in range(80)))
    assert len(problems) == PROBLEMS_MAX + 1
    assert problems[-1].why == "it has 30 more problems"


def test_as_many_problems_as_can_be_read_are_all_told() -> None:
    problems = problems_of(MINIMAL + "".join(f"key{number} = 1\n" for number in range(PROBLEMS_MAX)))
    assert [problem.why for problem in problems] == ["[module] has no such key"] * PROBLEMS_MAX


def test_a_key_that_could_harm_a_terminal_is_shown_in_ascii_and_cut() -> None:
    escape = problem_of(MINIMAL + '"\\u001b[31m" = 1')
    assert str(escape).isprintable()
    long = problem_of(MINIMAL + "x" * 60_000 + " = 1")
    assert len(str(long)) < 300


@pytest.mark.parametrize(
    "flood",
    [
        "".join(f"key{number} = 1\n" for number in range(5_000)),
        "".join(f"[t{number}]\n" for number in range(8_000)),
        "[environment]\n" + "".join(f"LISTEN_{number} = 1\n" for number in range(3_500)),
        "[sandbox]\ngrants = [" + "1," * 30_000 + "]",
        "description = '" + "\u202e" * 20_000 + "'",
    ],
)
def test_a_flood_of_problems_takes_no_more_than_a_moment(flood: str) -> None:
    text = MINIMAL + flood
    assert len(text.encode()) <= MANIFEST_MAX_BYTES
    start = time.process_time()
    problems = problems_of(text)
    assert time.process_time() - start < 2
    assert len(problems) <= PROBLEMS_MAX + 1


def test_all_problems_of_an_older_manifest_are_told_at_once() -> None:
    text = '{\n"name": "a/b",\n"version": 1.0,\n"limits": {},\n"entri": "x",\n"description": 1,\n"description": "a"}'
    assert [(problem.why, problem.where) for problem in problems_of(text, file=JSON)] == [
        ("'a/b' is not a module's name", f"{JSON}, line 2, key name"),
        ("the value is a decimal number, not a text", f"{JSON}, line 3, key version"),
        ("module.json has no such key", f"{JSON}, line 4, key limits"),
        ("module.json has no such key", f"{JSON}, line 5, key entri"),
        ("the key is there twice", f"{JSON}, line 7, key description"),
        ("the key is missing", f"{JSON}, key entry"),
    ]


def test_a_key_that_an_older_manifest_lacks_is_told_as_json() -> None:
    assert [problem.remedy for problem in problems_of("{}", file=JSON)] == [
        '"name": "hello"',
        '"version": "1.0.2"',
        '"entry": "run.py"',
    ]


def test_what_an_older_manifest_lacks_the_newer_has() -> None:
    older = '{"name": "hello", "version": "1", "entry": "run.py", "limits": {}}'
    assert problem_of(older, file=JSON).remedy == (
        "a module.toml in its place: module.json has only name, version, entry, description"
    )


def test_the_newer_manifest_is_found() -> None:
    assert find_manifest(["run.py", "module.toml"], folder="hello") == "module.toml"


def test_the_older_manifest_is_found() -> None:
    assert find_manifest(["module.json", "Module.toml"], folder="hello") == "module.json"


def test_two_manifests_are_refused_as_they_could_disagree() -> None:
    with pytest.raises(InputError, match=r"both module\.toml and module.json"):
        find_manifest(["module.json", "module.toml"], folder="hello")


def test_a_folder_without_a_manifest_is_told_by_name() -> None:
    with pytest.raises(NotFound, match=r"neither module\.toml nor module\.json, at hello;"):
        find_manifest([], folder="hello")


def outcome(data: bytes, file: str) -> None:
    """A manifest or an InputError: anything else fails the test."""
    try:
        read_manifest(data, file=file)
    except InputError as error:
        for problem in error.problems:
            assert problem.what == "read the manifest"
            assert problem.why
            assert problem.remedy
            assert problem.where.startswith(file)
            assert len(str(problem)) < 1_000
            assert str(problem).isprintable()


@given(st.binary(max_size=300), st.sampled_from([FILE, JSON]))
def test_any_bytes_are_a_manifest_or_an_input_error(data: bytes, file: str) -> None:
    outcome(data, file)


TEXTS = ["", "a", "1.0", "run.py", "../x", "\0", "64M", "10s", "0s", "1h", "20%", "no", "notify", "never"]
NO_TEXTS = ["0", "1", "-1", "9" * 20, "1.5", "nan", "true", "[]", "['a']", "{}", "[1,'a']", "{a=1}", "2025-01-01"]
TOML_VALUES = st.sampled_from([*map(json.dumps, TEXTS), *NO_TEXTS, "x", '"', "'''\na\n'''"])
UNKNOWN_KEYS = ["module", "limits", "x", "module.x", '"a\\nb"', "a.b.c", "", "[x]"]
TOML_KEYS = st.sampled_from(
    [row.path for row in KEYS if row.name != "*"] + ["environment.A", "environment.LISTEN_X", *UNKNOWN_KEYS]
)


@given(st.lists(st.tuples(TOML_KEYS, TOML_VALUES), max_size=8, unique_by=lambda line: line[0]))
def test_any_toml_like_text_is_a_manifest_or_an_input_error(lines: list[tuple[str, str]]) -> None:
    text = "\n".join(f"{key} = {value}" for key, value in lines)
    outcome(text.encode(), FILE)
    outcome(f"{text}\n{MINIMAL}".encode(), FILE)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(["name", "version", "entry", "description"]) | st.text(), JSON_VALUES))
def test_any_json_is_a_manifest_or_an_input_error(content: dict[str, object]) -> None:
    outcome(json.dumps(content).encode(), JSON)


@given(st.lists(st.sampled_from(FULL.splitlines()), max_size=40))
def test_any_mix_of_good_lines_is_a_manifest_or_an_input_error(lines: list[str]) -> None:
    outcome("\n".join(lines).encode(), FILE)
