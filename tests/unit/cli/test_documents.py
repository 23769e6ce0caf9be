from __future__ import annotations

import re
import shutil
import subprocess
import time
import tomllib
from pathlib import Path

import pytest

import aurora
from aurora import link
from aurora.cli import documents, link_pages, places, roff
from aurora.cli.verbs import VERBS
from aurora.errors import AuroraError
from aurora.link import edge
from aurora.link.queue import AtBound
from aurora.link.refusal import Code
from aurora.manifest import read_manifest
from aurora.manifest.schema import KEYS, OLDER_KEYS, REQUIRED
from aurora.paths import Paths
from aurora.policy import read_catalogue

CHECKOUT = Path(__file__).resolve().parents[3]
DATE = "2026-01-02"


def plain(page: str) -> str:
    """A page without its roff: what a reader sees, in one line."""
    text = re.sub(r"\\f[BIR]|\\&", "", page)
    for char, escaped in roff.SPECIAL.items():
        if char != "\\":
            text = text.replace(escaped, char)
    return " ".join(text.replace(r"\e", "\\").split())


def catalogue():
    return read_catalogue((str(file), file.read_bytes()) for file in sorted((CHECKOUT / "policies").glob("*.toml")))


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return {
        "auroractl.1": documents.man_auroractl(DATE),
        "aurora.module.5": documents.man_module(catalogue(), DATE),
        "auroralink.7": link_pages.man_link(DATE),
        "aurora-edge.1": link_pages.man_edge(DATE),
    }


# The manual pages


def test_every_verb_and_argument_is_in_its_page(pages):
    text = plain(pages["auroractl.1"])
    for verb in VERBS:
        assert verb.name in text
        assert " ".join(verb.description.split()) in text
        assert verb.example in text
        for argument in verb.arguments:
            assert all(flag in text for flag in argument.flags)
            assert argument.help[1:] in text


def test_all_of_the_protocol_is_in_its_page(pages):
    text = plain(pages["auroralink.7"])
    protocol = (link.__doc__ or "").partition("---\n")[2]
    assert len(protocol) > 2000
    shown = text.replace(r"\[u2026]", "…").split()
    assert [word for word in protocol.split() if word not in shown] == []


def test_the_page_of_the_hub_has_all_codes_and_bounds_and_speaks_of_nothing_else(pages):
    text = plain(pages["auroralink.7"])
    words = set(re.findall(r"[\w-]+", text))
    assert {str(code) for code in Code} - words == set()
    assert {str(bound) for bound in AtBound} <= words
    # What is not there, or of use to those alone who read the source.
    assert [word for word in ("gated", "Code", "AtBound", "strict") if word in words] == []


def test_what_the_edge_client_reads_is_in_its_page(pages):
    text = plain(pages["aurora-edge.1"])
    for name, about in edge.ENVIRONMENT:
        assert name in text
        assert about in text


def test_every_key_is_in_its_page_with_bound_default_and_example(pages):
    text = plain(pages["aurora.module.5"])
    for key in KEYS:
        assert " ".join(key.doc.split()) in text
        assert key.example in text
        assert key.bound in text
        assert f"Default: {documents.shown_default(key)}." in text


def test_every_exit_status_of_an_error_is_explained(pages):
    section = pages["auroractl.1"].partition(".SH EXIT STATUS")[2].partition(".SH ")[0]
    said = {int(number) for number in re.findall(r"^\\fB(\d+)\\fR$", section, re.MULTILINE)}
    assert {0, 1, 3, 130, *(error.exit_status for error in AuroraError.__subclasses__())} == said


def test_the_statuses_that_are_no_errors_are_those_that_the_program_gives():
    for name, value, file in (
        ("EXIT_DOWN", 3, "status.py"),
        ("EXIT_INTERRUPTED", 130, "main.py"),
        ("EXIT_NOT_AS_DECLARED", 1, "doctor.py"),
    ):
        assert getattr(documents, name) == value
        # Read, not imported: what talks to systemd needs its library.
        source = (CHECKOUT / "aurora/cli" / file).read_text()
        assert re.search(rf"^{name} = {value}\b", source, re.MULTILINE)


def test_every_file_that_is_named_is_one_that_is_used(pages):
    for name, _ in places.FILES:
        assert str(getattr(Paths(), name)) in plain(pages["auroractl.1"])


def test_policies_and_grants_are_described(pages):
    text = plain(pages["aurora.module.5"])
    found = catalogue()
    assert found.policies
    assert found.grants
    for one in (*found.policies.values(), *found.grants.values()):
        assert f"{one.name} {one.description.replace('$', '')}." in text


def test_a_default_is_one_that_the_reader_would_read_alike():
    for key in KEYS:
        shown = documents.shown_default(key)
        if key.default is REQUIRED or shown in ("none", "empty"):
            continue
        if isinstance(key.default, tuple):
            assert key.convert(tomllib.loads(f"x = {shown}")["x"]) == key.default
            continue
        word = shown.removeprefix('"').removesuffix('"')
        raw: object = {"true": True, "false": False}.get(word, int(word) if word == shown and word.isdigit() else word)
        assert key.convert(raw) == key.default


def test_the_examples_are_manifests():
    assert read_manifest("\n".join(documents._EXAMPLE).encode(), file="module.toml").name == "my-sensor"
    older = "".join(documents._OLDER_EXAMPLE)
    assert read_manifest(older.encode(), file="module.json").name == "my-sensor"
    assert all(f'"{key}"' in older for key in OLDER_KEYS)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("--json", r"\-\-json"),
        ("C:\\x", r"C:\ex"),
        ("it's `~^`", r"it\(aqs \(ga\(ti\(ha\(ga"),
        ('"a"', r"\(dqa\(dq"),
        ("µs", r"\[u00B5]s"),
    ],
)
def test_what_roff_would_change_is_escaped(text, shown):
    assert roff.escape(text) == shown


def test_a_page_is_ascii_and_no_text_line_begins_as_a_request(pages):
    for page in pages.values():
        assert page.isascii()
        for line in page.splitlines():
            assert not line.startswith("'")
            assert not line.startswith(".") or re.match(r"\.(\\\"|TH|SH|SS|TP|PP|RS|RE|nf|fi|br|BR)( |$)", line)


def test_a_page_has_its_date_and_the_version(pages):
    for page in pages.values():
        head = page.splitlines()[1]
        assert f" {DATE} " in head
        assert aurora.__version__ in head


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is in the build tree")
def test_mandoc_finds_no_fault(pages, tmp_path):
    for name, page in pages.items():
        (tmp_path / name).write_text(page)
        done = subprocess.run(["mandoc", "-T", "lint", name], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.stdout + done.stderr == ""


# What the package takes


def test_all_documents_are_written_with_the_day_of_the_package(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    assert documents.main([str(tmp_path / "out"), str(CHECKOUT / "policies")]) == 0
    written = {
        str(file.relative_to(tmp_path / "out")): file for file in (tmp_path / "out").rglob("*") if file.is_file()
    }
    assert "2023-11-14" in written["auroractl.1"].read_text()
    wanted = [line.split()[0] for name in ("install", "manpages") for line in debian(name)]
    taken = {file.removeprefix("debian/documents/") for file in wanted if file.startswith("debian/documents/")}
    assert written.keys() == taken


def test_a_wrong_call_is_a_usage_error(capsys):
    assert documents.main([]) == 64
    assert "usage" in capsys.readouterr().err


def test_the_package_has_the_version_of_the_program():
    changelog = (CHECKOUT / "debian/changelog").read_text()
    assert re.match(r"aurora-core \(([^)]*)\)", changelog)[1] == aurora.__version__


def debian(name: str) -> list[str]:
    return [line for line in (CHECKOUT / "debian" / name).read_text().splitlines() if line and not line.startswith("#")]
