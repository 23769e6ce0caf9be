from __future__ import annotations

import shutil
import subprocess

import pytest

from aurora.cli.completion import completion_bash, completion_fish, completion_zsh
from aurora.cli.verbs import VERBS
from aurora.paths import Paths

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is in the build tree")


@pytest.fixture
def complete(tmp_path):
    """What bash offers for the last of the words, the modules hello and help-desk being installed."""
    records = tmp_path / "records"
    records.mkdir()
    for name in ("hello", "help-desk"):
        (records / name).touch()
    script = tmp_path / "auroractl"
    text = completion_bash().replace(str(Paths().records), str(records))
    for folder, real, policies in (
        (tmp_path / "package", Paths().policies, ("grants", "open")),
        (tmp_path / "owner", Paths().owner_policies, ("closed", "open")),
    ):
        folder.mkdir()
        text = text.replace(str(real), str(folder))
        for policy in policies:
            (folder / f"{policy}.toml").touch()
    script.write_text(text)
    work = tmp_path / "work"
    (work / "folder").mkdir(parents=True)
    (work / "a b.deb").touch()
    (work / "notes.txt").touch()

    def completed(*words: str, without_records: bool = False) -> list[str]:
        if without_records:
            shutil.rmtree(records)
        # compopt works only while the shell completes: it is asked what it was told instead.
        run = 'compopt() { echo "compopt $*"; }; . "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1));'
        run += '_auroractl; printf "%s\\n" "${COMPREPLY[@]}"'
        argv = ["bash", "-euc", run, "bash", str(script), "auroractl", *words]
        done = subprocess.run(argv, cwd=work, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return [line for line in done.stdout.splitlines() if line]

    return completed


def test_bash_offers_every_verb(complete):
    assert complete("") == list(dict.fromkeys(verb.name.split()[0] for verb in VERBS))


def test_bash_offers_the_second_word_and_then_what_the_verb_takes(complete):
    assert complete("policy", "") == [verb.name.split()[1] for verb in VERBS if verb.name.startswith("policy ")]
    assert complete("policy", "sh") == ["show"]
    assert complete("policy", "show", "") == ["open", "closed"]
    assert complete("policy", "show", "c") == ["closed"]
    assert complete("policy", "show", "closed", "") == []
    assert complete("policy", "list", "-") == ["--json", "-h", "--help"]
    assert complete("policy", "nonsense", "") == []


def test_bash_offers_the_verbs_that_begin_so(complete):
    assert complete("sta") == ["status", "start"]


@pytest.mark.parametrize("verb", ["status", "logs", "start", "stop", "restart", "enable", "disable", "remove"])
def test_bash_offers_modules(complete, verb):
    assert complete(verb, "") == ["hello", "help-desk"]
    assert complete(verb, "help") == ["help-desk"]


def test_bash_offers_nothing_where_no_module_is_installed(complete):
    assert complete("status", "", without_records=True) == []


def test_bash_offers_more_modules_where_a_verb_takes_more(complete):
    assert complete("start", "hello", "") == ["hello", "help-desk"]
    assert complete("status", "hello", "") == []


def test_bash_offers_the_switches_of_the_verb(complete):
    assert complete("logs", "hello", "-") == ["-f", "--follow", "-n", "--lines", "--json", "-h", "--help"]
    assert complete("remove", "--p") == ["--purge"]


def test_bash_takes_the_value_of_an_option_for_what_it_is(complete):
    assert complete("logs", "-n", "") == []
    assert complete("logs", "-n", "5", "") == ["hello", "help-desk"]
    assert complete("new", "--in", "") == ["compopt -o dirnames"]


def test_bash_offers_the_choices_of_an_option(complete):
    assert complete("top", "--sort", "") == ["memory", "cpu", "pressure", "restarts", "name"]
    assert complete("top", "--sort", "m") == ["memory"]


def test_bash_offers_modules_before_the_dashes_and_programs_after(complete):
    assert complete("exec", "he") == ["hello", "help-desk"]
    assert complete("exec", "hello", "--r") == ["--root"]
    assert "bash" in complete("exec", "hello", "--", "bas")
    assert complete("exec", "hello", "--", "ls", "--r") == ["compopt -o default"]
    assert complete("exec", "hello", "--", "ls", "") == ["compopt -o default"]


def test_bash_offers_folders_and_packages(complete):
    assert complete("run", "") == ["compopt -o dirnames"]
    assert complete("install", "") == ["compopt -o filenames -o plusdirs", "a b.deb"]
    assert complete("plan", "") == ["compopt -o filenames -o plusdirs", "a b.deb", "hello", "help-desk"]


def test_bash_offers_nothing_after_what_is_no_verb(complete):
    assert complete("nonsense", "") == []


def test_no_completion_starts_a_program():
    for script in (completion_bash(), completion_zsh(), completion_fish()):
        assert "python" not in script
        assert "$(auroractl" not in script
        assert "(auroractl" not in script


@pytest.mark.parametrize(("shell", "script"), [("zsh", completion_zsh()), ("fish", completion_fish())])
def test_a_script_is_one_that_its_shell_reads(shell, script, tmp_path):
    for verb in VERBS:
        assert verb.name in script
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    file = tmp_path / "script"
    file.write_text(script)
    subprocess.run([shell, "-n", str(file)], check=True)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is in the build tree")
def test_shellcheck_finds_no_fault(tmp_path):
    file = tmp_path / "auroractl"
    file.write_text(completion_bash())
    done = subprocess.run(["shellcheck", "-s", "bash", str(file)], capture_output=True, text=True, check=False)
    assert done.stdout == ""
