from __future__ import annotations

import resource
import time

import pytest

from aurora.errors import Problem
from aurora.manifest import MANIFEST_MAX_BYTES

from .reading import FILE, MINIMAL, problem_of, problems_of, read

JSON = "hello/module.json"


@pytest.mark.parametrize("file", [FILE, JSON])
@pytest.mark.parametrize("byte", [b"a", b"\0", b"\xff", b"\n"])
def test_a_manifest_of_10_megabytes_is_refused_unread(file: str, byte: bytes) -> None:
    data = byte * 10_000_000
    start = time.process_time()
    assert problem_of(data, file=file) == Problem(
        "read the manifest", "it is larger than 64K", file, "a shorter manifest, and data in files of their own"
    )
    assert time.process_time() - start < 0.1


def test_a_manifest_of_exactly_the_bound_is_read() -> None:
    padding = "#" * (MANIFEST_MAX_BYTES - len(MINIMAL))
    assert read(padding).name == "hello"
    assert "larger" in problem_of(MINIMAL + padding + "#").why


@pytest.mark.parametrize("file", [FILE, JSON])
def test_a_nul_byte_is_told_with_its_line(file: str) -> None:
    assert problem_of(b"[module]\nname = 'a\0'", file=file) == Problem(
        "read the manifest",
        "it has a NUL byte (byte 18)",
        f"{file}, line 2",
        "saving it as plain text in UTF-8",
    )


@pytest.mark.parametrize("file", [FILE, JSON])
def test_a_file_in_another_encoding_is_told_where(file: str) -> None:
    assert problem_of("a = 1\nb = 'é'".encode("latin-1"), file=file) == Problem(
        "read the manifest", "it is not UTF-8 (byte 11 is 0xE9)", f"{file}, line 2", "saving it as UTF-8"
    )


def test_a_file_of_windows_notepad_is_told_what_to_do() -> None:
    assert "without a byte order mark" in problem_of("\ufeff" + MINIMAL).remedy
    utf16 = problems_of(MINIMAL.encode("utf-16"))
    assert ["NUL" in problem.why or "not UTF-8" in problem.why for problem in utf16] == [True, True]


def test_halves_of_surrogate_pairs_are_not_utf_8() -> None:
    assert "not UTF-8" in problem_of(MINIMAL.encode() + b"# \xed\xa0\x80").why


@pytest.mark.parametrize(
    ("text", "where", "why"),
    [
        ("[module]\nname = hello", "line 2, column 8", "invalid value"),
        ("[module]\nname", "line 2", "expected '=' after a key"),
        ("[module]\n\n= 1", "line 3, column 1", "invalid statement"),
        ("a = 1\na = 2\n", "line 2, column 6", "cannot overwrite a value"),
        ("a = 1\na = 2", "line 2", "cannot overwrite a value"),
        ("[a]\n[a]\n", "line 2, column 3", "cannot declare ('a',) twice"),
        ('a = "b', "line 1", "unterminated string"),
        ("a = 1\r", "line 1", "expected newline"),
    ],
)
def test_broken_toml_is_told_with_line_and_column(text: str, where: str, why: str) -> None:
    problem = problem_of(text)
    assert problem.where == f"{FILE}, {where}" or problem.where.startswith(f"{FILE}, {where}, column")
    assert why in problem.why
    assert problem.remedy


def test_a_key_given_twice_in_toml_is_told_as_that() -> None:
    assert problem_of("a = 1\na = 2").remedy == "giving each key and each table once"


@pytest.mark.parametrize(
    ("text", "where", "why"),
    [
        ("", "line 1, column 1", "expecting value"),
        ("{", "line 1, column 2", "expecting property name"),
        ('{\n"name": }', "line 2, column 9", "expecting value"),
        ('{"a": 1} x', "line 1, column 10", "extra data"),
        ('{"a": "\n"}', "line 1, column 8", "invalid control character"),
    ],
)
def test_broken_json_is_told_with_line_and_column(text: str, where: str, why: str) -> None:
    problem = problem_of(text, file=JSON)
    assert problem.where == f"{JSON}, {where}"
    assert why in problem.why
    assert problem.remedy


@pytest.mark.parametrize(("text", "kind"), [("[]", "an empty list"), ("1", "an integer"), ("null", "null")])
def test_json_that_is_no_object_is_refused(text: str, kind: str) -> None:
    assert problem_of(text, file=JSON).why == f"it holds {kind}, not an object"


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_what_json_has_no_number_for_is_refused(word: str) -> None:
    assert word in problem_of(f'{{"name": {word}}}', file=JSON).why


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("x = " + "[" * 60_000, FILE),
        ("x = " + "{a=" * 20_000, FILE),
        ("[" * 60_000, JSON),
        ('{"a":' * 12_000, JSON),
    ],
)
def test_a_nesting_bomb_is_refused(text: str, file: str) -> None:
    assert "nested too deeply" in problem_of(text, file=file).why


@pytest.mark.parametrize(("text", "file"), [("x = " + "9" * 60_000, FILE), ('{"x": ' + "9" * 60_000 + "}", JSON)])
def test_an_endless_number_is_refused(text: str, file: str) -> None:
    problem = problem_of(text, file=file)
    assert "limit (4300 digits)" in problem.why
    assert len(str(problem)) < 400


def test_a_key_of_thousands_of_parts_is_refused_before_it_costs_gigabytes() -> None:
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    problem = problem_of(MINIMAL + ".".join(["a"] * 30_000) + " = 1")
    assert (problem.why, problem.where) == ("a key has more than 16 parts", f"{FILE}, line 5")
    assert time.process_time() - start < 0.5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 64 * 1024
