from __future__ import annotations

import datetime
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.manifest import KEYS, values
from aurora.manifest.faults import Faults
from aurora.manifest.model import Readiness

from ..test_names import BAD_NAMES

TEXT_ONLY = [
    values.module_name,
    values.version,
    values.one_line,
    values.identifier,
    values.share,
    values.size(1),
    values.duration(0, 10),
    values.choice(Readiness),
]
NO_TEXTS = [
    (1, "an integer"),
    (True, "a boolean"),
    (1.5, "a decimal number"),
    (None, "null"),
    ([], "an empty list"),
    (["a"], "a list of texts"),
    (["a", 1], "a list"),
    ({}, "a table"),
    (datetime.date(2025, 1, 1), "a date or time"),
]


def reasons(convert: Callable[[object], object], raw: object) -> list[str]:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # what it says is what is returned
        convert(raw)
    error = caught.value
    return [fault.reason for fault in error.faults] if isinstance(error, Faults) else [str(error)]


@pytest.mark.parametrize("convert", TEXT_ONLY)
@pytest.mark.parametrize(("raw", "kind"), NO_TEXTS)
def test_another_type_in_place_of_a_text_is_called_by_its_name(
    convert: Callable[[object], object], raw: object, kind: str
) -> None:
    assert reasons(convert, raw) == [f"the value is {kind}, not a text"]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_would_break_a_unit_name_is_refused(name: str) -> None:
    assert "is not a module's name" in reasons(values.module_name, name)[0]


def test_a_look_alike_letter_is_shown_by_its_number() -> None:
    assert reasons(values.module_name, "h\u0435llo") == ["'h\\u0435llo' is not a module's name"]


def test_a_long_text_is_cut_where_it_is_shown() -> None:
    assert len(reasons(values.module_name, "x" * 60_000)[0]) < 100


@pytest.mark.parametrize("text", ["1", "1.0.2", "1.0~rc1", "2025.01+dfsg", "0" * 64])
def test_upstream_versions_of_debian_are_versions(text: str) -> None:
    assert values.version(text) == text


@pytest.mark.parametrize("text", ["", "v1", "1-2", "1:2", "1.0 ", "1.0\n", "1/2", "\u0661", "1\u00e9", "0" * 65])
def test_what_dpkg_would_read_otherwise_is_no_version(text: str) -> None:
    assert "is not a version" in reasons(values.version, text)[0]


@pytest.mark.parametrize(
    "text", ["", "Says hello", "Sagt \u201eHallo\u201c", "x" * 200, "\u65e5\u672c", "caf\u00e9 \U0001f980"]
)
def test_a_description_is_one_line_of_any_language(text: str) -> None:
    assert values.one_line(text) == text


@pytest.mark.parametrize(
    "character", ["\0", "\n", "\t", "\x1b", "\x7f", "\x85", "\x9b", "\u2028", "\u202e", "\u2066", "\ud800", "\ufffe"]
)
def test_no_text_has_a_character_that_harms_units_logs_or_terminals(character: str) -> None:
    text = f"a{character}b"
    code = f"U+{ord(character):04X}"
    assert code in reasons(values.one_line, text)[0]
    assert code in reasons(values.entry, ["run.py", text])[0]
    assert code in reasons(values.entry, text)[0]
    if character != "\t":
        assert code in reasons(values.environment, {"A": text})[0]


def test_a_description_has_at_most_200_characters() -> None:
    assert reasons(values.one_line, "x" * 201) == ["it has 201 characters, more than 200"]


def test_all_faults_of_a_description_are_told_at_once() -> None:
    assert len(reasons(values.one_line, " " + "x" * 200 + "\n")) == 3


@pytest.mark.parametrize("raw", [0, 1, "true", None, [True]])
def test_only_true_and_false_are_booleans(raw: object) -> None:
    assert "not a boolean" in reasons(values.boolean, raw)[0]


@pytest.mark.parametrize("raw", [True, False, "1", 1.0, None])
def test_only_whole_numbers_are_integers(raw: object) -> None:
    assert "not an integer" in reasons(values.integer(0, 10), raw)[0]


@pytest.mark.parametrize("raw", [-1, 11, 10**30, 16**60_000], ids=["-1", "11", "big", "endless"])
def test_a_number_out_of_its_bounds_is_told_the_bounds(raw: int) -> None:
    assert reasons(values.integer(0, 10), raw) == ["the number is not one of 0 to 10"]


def test_the_bounds_of_a_number_belong_to_it() -> None:
    assert [values.integer(0, 10)(0), values.integer(0, 10)(10)] == [0, 10]


def test_a_module_can_be_given_up_after_some_starts_or_never() -> None:
    assert values.give_up("never") is None
    assert values.give_up(5) == 5


@pytest.mark.parametrize("raw", [0, 10_001, "Never", "5", True, None])
def test_a_module_cannot_be_given_up_in_other_ways(raw: object) -> None:
    assert reasons(values.give_up, raw)


@pytest.mark.parametrize("text", ["strict", "a", "no-network-2", "a" * 48])
def test_a_policy_has_a_plain_name(text: str) -> None:
    assert values.identifier(text) == text


@pytest.mark.parametrize("text", ["", "A", "1a", "-a", "a.b", "a/b", "../a", "a\n", "\u0430", "a" * 49])
def test_a_policy_has_no_other_name(text: str) -> None:
    assert "is not a name of" in reasons(values.identifier, text)[0]


def test_a_choice_is_one_of_its_words() -> None:
    assert values.choice(Readiness)("notify") is Readiness.NOTIFY
    assert reasons(values.choice(Readiness), "Notify") == ["'Notify' is not notify or exec"]


@pytest.mark.parametrize(("text", "least"), [("1%", 10_000), ("20%", 200_000)])
def test_a_share_is_read(text: str, least: int) -> None:
    assert values.share(text) == least


@pytest.mark.parametrize("text", ["0%", "0.99%", "102401%", "20", "\u0662%", "9" * 60_000])
def test_a_share_that_cannot_be_enforced_is_refused(text: str) -> None:
    assert len(reasons(values.share, text)[0]) < 200


def test_quantities_have_their_least_and_most() -> None:
    assert values.size(1024)("1K") == 1024
    assert reasons(values.size(1024), "1023") == ["'1023' is less than 1K"]
    times = values.duration(1_000_000, 60_000_000)
    assert [times("1s"), times("1min")] == [1_000_000, 60_000_000]
    assert reasons(times, "999ms") == ["'999ms' is not from 1s to 1min"]
    assert reasons(times, "61s") == ["'61s' is not from 1s to 1min"]


@pytest.mark.parametrize(
    ("raw", "program"),
    [
        ("run.py", ("run.py",)),
        ("./run.py", ("run.py",)),
        ("bin/run", ("bin/run",)),
        ("my program", ("my program",)),
        ("-x.py", ("-x.py",)),
        ("...", ("...",)),
        ("/usr/bin/env", ("/usr/bin/env",)),
        ("x" * 255, ("x" * 255,)),
        ("x/" * 511 + "yy", ("x/" * 511 + "yy",)),
        (["run.py"], ("run.py",)),
        (["./run.py", "./data", "", "--so=\u00e9", "%i $HOME"], ("run.py", "./data", "", "--so=\u00e9", "%i $HOME")),
        (["run"] + ["x" * 4096] * 63, ("run", *["x" * 4096] * 63)),
    ],
)
def test_an_entry_is_a_program_and_its_arguments(raw: object, program: tuple[str, ...]) -> None:
    assert values.entry(raw) == program


@pytest.mark.parametrize(
    "program",
    [
        "",
        ".",
        "..",
        "./",
        ".//run.py",
        ".//usr/bin/env",
        "././run.py",
        "../run.py",
        "./../run.py",
        "a/../../run.py",
        "a/..",
        "a//b",
        "a/",
        "a/./b",
        "/",
        "//usr/bin/env",
        "/usr/../bin/env",
        "/usr//bin",
        "a\\b",
        "..\\run.py",
        "run.py\0",
        "run.py\n",
        "run\ud800",
        "x" * 256,
        "x/" * 511 + "yyy",
    ],
)
def test_a_program_that_is_no_plain_path_is_refused(program: str) -> None:
    assert reasons(values.entry, program)
    assert reasons(values.entry, [program, "argument"])


@given(st.text(alphabet="./a\\", max_size=12))
def test_a_program_that_is_accepted_stays_where_it_is(program: str) -> None:
    try:
        (path,) = values.entry(program)
    except ValueError:
        return
    parts = path.removeprefix("/").split("/")
    assert not {"", ".", ".."}.intersection(parts)
    assert path.startswith("/") == program.startswith("/")


@pytest.mark.parametrize("raw", [1, True, None, {}, 1.5])
def test_an_entry_of_another_type_is_refused(raw: object) -> None:
    assert "not a text or a list of texts" in reasons(values.entry, raw)[0]


@pytest.mark.parametrize("raw", [[], ["x"] * 65])
def test_an_entry_has_1_to_64_texts(raw: list[str]) -> None:
    assert reasons(values.entry, raw) == [f"the list has {len(raw)} texts, not 1 to 64"]


def test_all_faults_of_an_entry_are_told_at_once() -> None:
    assert reasons(values.entry, ["../a\\b", 1, "x" * 4097, "a\0"]) == [
        "the program '../a\\\\b' climbs out of its folder",
        "the program '../a\\\\b' has a backslash",
        "argument 1 is an integer, not a text",
        "argument 2 has more than 4096 bytes",
        "argument 3 is not plain text: it has the character U+0000, which can harm a unit, a log or a terminal",
    ]


def test_an_empty_program_is_called_that() -> None:
    assert reasons(values.entry, "") == ["the program is empty"]


def test_bytes_count_not_letters() -> None:
    assert values.environment({"A": "\u00e9" * 2048})
    assert reasons(values.entry, ["run", "\u00e9" * 2049])
    assert reasons(values.environment, {"A": "\u00e9" * 2049})


def test_an_environment_is_sorted_by_name() -> None:
    assert values.environment({"B": "2", "A": "", "_c": "tab\tis fine"}) == (
        ("A", ""),
        ("B", "2"),
        ("_c", "tab\tis fine"),
    )


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "A=B", "A\0", "\u00c4", "A\n", "A.B"])
def test_a_variable_has_a_name_that_a_shell_could_use(name: str) -> None:
    assert "is not a variable's name" in reasons(values.environment, {name: "x"})[0]


@pytest.mark.parametrize(
    "name",
    [
        "NOTIFY_SOCKET",
        "WATCHDOG_USEC",
        "WATCHDOG_PID",
        "LISTEN_FDS",
        "LISTEN_FDNAMES",
        "STATE_DIRECTORY",
        "CACHE_DIRECTORY",
        "LOGS_DIRECTORY",
        "RUNTIME_DIRECTORY",
        "CONFIGURATION_DIRECTORY",
        "CREDENTIALS_DIRECTORY",
        "INVOCATION_ID",
        "JOURNAL_STREAM",
        "AURORA_MODULE",
        "AURORA_",
    ],
)
def test_what_systemd_or_we_tell_the_module_cannot_be_set(name: str) -> None:
    assert reasons(values.environment, {name: "x"})


@pytest.mark.parametrize("name", ["PATH", "HOME", "USER", "LD_PRELOAD", "PYTHONPATH", "LISTEN", "DIRECTORY", "AURORA"])
def test_other_variables_are_the_modules_own(name: str) -> None:
    assert values.environment({name: "x"}) == ((name, "x"),)


def test_all_faults_of_an_environment_are_told_at_once_each_with_its_variable() -> None:
    with pytest.raises(Faults) as caught:
        values.environment({"NOTIFY_SOCKET": 1, "a b": "x\n", "OK": "x", "LONG": "x" * 4097})
    assert [fault.key for fault in caught.value.faults] == ["NOTIFY_SOCKET", "NOTIFY_SOCKET", "a b", "a b", "LONG"]
    assert all(fault.remedy for fault in caught.value.faults)


def test_an_environment_has_at_most_128_variables() -> None:
    most = {f"V{number}": "x" for number in range(128)}
    assert len(values.environment(most)) == 128
    assert reasons(values.environment, most | {"W": "x"}) == ["it has 129 variables, more than 128"]


@pytest.mark.parametrize("grant", ["network", "network.loopback", "device:/dev/ttyUSB0", "x:\u00e9"])
def test_a_grant_is_a_word_and_perhaps_an_argument(grant: str) -> None:
    assert values.grants([grant]) == (grant,)


@pytest.mark.parametrize(
    "grant",
    ["", "Network", ".x", "1x", "x:", "x: ", "x:a b", "x:a\nb", "x\n", "x:a\u202eb", "x:" + "y" * 257, "x" * 65],
)
def test_what_is_no_grant_is_refused(grant: str) -> None:
    assert "is not a grant" in reasons(values.grants, [grant])[0]


def test_all_faults_of_grants_are_told_at_once() -> None:
    assert reasons(values.grants, ["b", "a", 1, "b", "C"] + [f"x{number}" for number in range(60)]) == [
        "the list has 65 grants, more than 64",
        "grant 3 is an integer, not a text",
        "the grant 'b' is there twice",
        "'C' is not a grant (words with points, or words:argument)",
    ]


def test_there_are_at_most_64_grants() -> None:
    assert len(values.grants([f"x{number}" for number in range(64)])) == 64


def test_grants_stay_in_the_order_written() -> None:
    assert values.grants(["b", "a"]) == ("b", "a")


RAW = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.characters(categories=["Cs"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(RAW)
def test_a_converter_converts_or_says_why_not(raw: object) -> None:
    for row in KEYS:
        try:
            row.convert(raw)
        except ValueError as error:
            assert str(error)  # noqa: PT017  # both outcomes are right
