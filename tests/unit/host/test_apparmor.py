from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from aurora.errors import HostError, Refused
from aurora.host import apparmor
from aurora.host.files import locked
from aurora.host.process import Completed
from aurora.paths import Paths


class Parser:
    """Stands for apparmor_parser: what it was given, and the kernel's list."""

    def __init__(self, paths: Paths) -> None:
        self.list = paths.root / "sys/kernel/security/apparmor/profiles"
        self.list.parent.mkdir(parents=True)
        self.list.write_text("")
        self.runs: list[list[str]] = []
        self.refuses = ""

    def __call__(self, argv: Sequence[str], **_more: object) -> Completed:
        files = [Path(word) for word in argv if word.startswith("/")][1:]
        texts = [file.read_text() for file in files]
        self.runs.append(texts)
        if self.refuses and any(self.refuses in text for text in texts):
            raise HostError("run apparmor_parser", "syntax error")
        with self.list.open("a") as file:
            file.writelines(f"{text} (enforce)\n" for text in texts)
        return Completed(0, "", "")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path)


@pytest.fixture
def parser(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> Parser:
    parser = Parser(paths)
    monkeypatch.setattr(apparmor, "run", parser)
    return parser


def kept(paths: Paths) -> list[str]:
    return sorted(path.name for path in paths.profiles.iterdir())


def test_names_of_loaded_profiles_are_read_from_the_kernel(paths: Paths, parser: Parser) -> None:
    parser.list.write_text("aurora.a (enforce)\n/usr/bin/man (complain)\ntwo words (kill)\n")
    assert apparmor.loaded_profiles(paths) == {"aurora.a", "/usr/bin/man", "two words"}


def test_without_apparmor_none_is_loaded(paths: Paths) -> None:
    assert apparmor.loaded_profiles(paths) == frozenset()


def test_all_profiles_are_loaded_in_one_run_and_remembered(paths: Paths, parser: Parser) -> None:
    apparmor.load_profiles(paths, {"aurora.a": "aurora.a", "aurora.b": "aurora.b"})
    assert parser.runs == [["aurora.a", "aurora.b"]]
    assert kept(paths) == ["aurora.a", "aurora.b"]


def test_a_profile_that_the_kernel_holds_with_the_same_text_is_left_alone(paths: Paths, parser: Parser) -> None:
    apparmor.load_profiles(paths, {"aurora.a": "aurora.a"})
    apparmor.load_profiles(paths, {"aurora.a": "aurora.a", "aurora.b": "aurora.b"})
    apparmor.load_profiles(paths, {"aurora.a": "aurora.a"})
    assert parser.runs == [["aurora.a"], ["aurora.b"]]


def test_a_profile_with_another_text_or_that_the_kernel_lost_is_loaded_again(paths: Paths, parser: Parser) -> None:
    apparmor.load_profiles(paths, {"aurora.a": "aurora.a"})
    apparmor.load_profiles(paths, {"aurora.a": "changed"})
    parser.list.write_text("")
    apparmor.load_profiles(paths, {"aurora.a": "changed"})
    assert parser.runs == [["aurora.a"], ["changed"], ["changed"]]


def test_after_a_refusal_the_same_text_as_before_goes_to_the_parser_again(paths: Paths, parser: Parser) -> None:
    apparmor.load_profiles(paths, {"aurora.a": "aurora.a"})
    parser.refuses = "bad"
    with pytest.raises(HostError, match="syntax error"):
        apparmor.load_profiles(paths, {"aurora.a": "bad"})
    apparmor.load_profiles(paths, {"aurora.a": "aurora.a"})
    assert parser.runs == [["aurora.a"], ["bad"], ["aurora.a"]]


def test_a_command_that_is_killed_while_the_parser_runs_leaves_no_text_that_the_kernel_may_not_have(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    parser = Parser(paths)

    def killed_after_it(argv: Sequence[str], **_more: object) -> Completed:
        parser(argv)
        raise Killed

    monkeypatch.setattr(apparmor, "run", parser)
    apparmor.load_profiles(paths, {"aurora.a": "aurora.a"})
    monkeypatch.setattr(apparmor, "run", killed_after_it)
    with pytest.raises(Killed):
        apparmor.load_profiles(paths, {"aurora.a": "other"})
    monkeypatch.setattr(apparmor, "run", parser)
    apparmor.load_profiles(paths, {"aurora.a": "aurora.a"})
    assert parser.runs == [["aurora.a"], ["other"], ["aurora.a"]]


def test_the_parser_of_a_killed_command_is_waited_for(paths: Paths, parser: Parser, tmp_path: Path) -> None:
    """The lock stays with a program that was given it, whoever started that is gone."""
    ended = tmp_path / "ended"
    with locked(paths.profiles_lock) as lock:
        orphan = subprocess.Popen(
            ["/bin/sh", "-c", f"read line; echo >{ended}"], stdin=subprocess.PIPE, pass_fds=[lock]
        )
    assert orphan.stdin is not None
    with pytest.raises(Refused), locked(paths.profiles_lock, wait=False):
        pass
    orphan.stdin.close()
    apparmor.load_profiles(paths, {"aurora.a": "aurora.a"})
    assert ended.exists()
    assert orphan.wait() == 0


def test_a_profile_is_removed_from_the_kernel_by_name(paths: Paths, parser: Parser) -> None:
    apparmor.load_profiles(paths, {"aurora.a": "aurora.a"})
    apparmor.unload_profiles(paths, frozenset({"aurora.a"}))
    assert (parser.list.parent / ".remove").read_text() == "aurora.a"
    assert kept(paths) == []


def test_a_profile_that_the_kernel_does_not_hold_is_only_forgotten(paths: Paths, parser: Parser) -> None:
    paths.profiles.mkdir(parents=True)
    (paths.profiles / "aurora.a").write_text("aurora.a")
    apparmor.unload_profiles(paths, frozenset({"aurora.a", "aurora.b"}))
    assert not (parser.list.parent / ".remove").exists()
    assert kept(paths) == []


def compiled(paths: Paths, name: str) -> Path:
    file = paths.cache / "apparmor/979b3ac6.0" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"compiled")
    return file


def test_after_a_reboot_the_parser_is_given_the_untouched_file_that_it_has_compiled(
    paths: Paths, parser: Parser
) -> None:
    apparmor.load_profiles(paths, {"aurora.a": "aurora.a"})
    binary = compiled(paths, "aurora.a")
    written = (paths.profile_sources / "aurora.a").stat()
    parser.list.write_text("")
    (paths.profiles / "aurora.a").unlink()
    apparmor.load_profiles(paths, {"aurora.a": "aurora.a"})
    now = (paths.profile_sources / "aurora.a").stat()
    assert (now.st_ino, now.st_mtime_ns) == (written.st_ino, written.st_mtime_ns)
    assert binary.exists()


def test_what_was_compiled_from_another_text_is_removed_before_the_parser_runs(paths: Paths, parser: Parser) -> None:
    apparmor.load_profiles(paths, {"aurora.a": "aurora.a", "aurora.b": "aurora.b"})
    old, other = compiled(paths, "aurora.a"), compiled(paths, "aurora.b")
    parser.refuses = "changed"
    with pytest.raises(HostError):
        apparmor.load_profiles(paths, {"aurora.a": "changed"})
    assert (old.exists(), other.exists()) == (False, True)


def test_a_refused_text_is_not_taken_for_loaded_the_next_time(paths: Paths, parser: Parser) -> None:
    apparmor.load_profiles(paths, {"aurora.a": "aurora.a"})
    parser.refuses = "bad"
    for _ in range(2):
        with pytest.raises(HostError):
            apparmor.load_profiles(paths, {"aurora.a": "bad"})
    assert parser.runs == [["aurora.a"], ["bad"], ["bad"]]


def test_a_profile_that_is_removed_leaves_nothing_in_the_cache(paths: Paths, parser: Parser) -> None:
    apparmor.load_profiles(paths, {"aurora.a": "aurora.a"})
    binary = compiled(paths, "aurora.a")
    apparmor.unload_profiles(paths, frozenset({"aurora.a"}))
    assert not binary.exists()
    assert not (paths.profile_sources / "aurora.a").exists()


def test_a_profile_is_compiled_while_another_of_its_name_is_in_use(paths: Paths, parser: Parser) -> None:
    apparmor.load_profiles(paths, {"aurora.a": "aurora.a"})
    held = parser.list.read_text()
    argvs: list[Sequence[str]] = []

    def compiler(argv: Sequence[str], **_more: object) -> Completed:
        argvs.append(argv)
        compiled(paths, "aurora.a")
        return Completed(0, "", "")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apparmor, "run", compiler)
        found = apparmor.compile_profiles(paths, {"aurora.a": "changed"})
        assert found == {"aurora.a": apparmor.Compiled("changed", b"compiled")}
        assert apparmor.compile_profiles(paths, {"aurora.a": "aurora.a"}) == {}, "that is what is in use"
    assert ["--skip-kernel-load" in argv for argv in argvs] == [True]
    assert parser.list.read_text() == held
    apparmor.load_profiles(paths, {"aurora.a": "changed"})
    assert parser.runs[-1] == ["changed"], "it was not taken for loaded"


def test_what_was_compiled_goes_to_the_kernel_without_the_parser(paths: Paths, parser: Parser) -> None:
    apparmor.load_profiles(paths, {"aurora.a": "aurora.a", "aurora.b": "aurora.b"})
    replace = parser.list.parent / ".replace"
    replace.write_bytes(b"")
    ready = {name: apparmor.Compiled("changed", name.encode()) for name in ("aurora.a", "aurora.b", "aurora.c")}
    runs = len(parser.runs)
    apparmor.load_profiles(paths, {"aurora.a": "changed", "aurora.b": "another"}, ready)
    assert replace.read_bytes() == b"aurora.a", "and nothing of what is not wanted"
    assert parser.runs[runs:] == [["another"]]
    runs = len(parser.runs)
    apparmor.load_profiles(paths, {"aurora.a": "changed"}, ready)
    assert parser.runs[runs:] == [], "it is there"
    replace.unlink()
    apparmor.load_profiles(paths, {"aurora.b": "changed"}, ready)
    assert parser.runs[runs:] == [["changed"]], "where the kernel does not take it, the parser says why"


def test_what_was_compiled_for_two_kernels_is_left_to_the_parser(
    paths: Paths, parser: Parser, monkeypatch: pytest.MonkeyPatch
) -> None:
    apparmor.load_profiles(paths, {"aurora.a": "aurora.a"})

    def compiler(argv: Sequence[str], **_more: object) -> Completed:
        for kernel in ("1.0", "2.0"):
            file = paths.cache / "apparmor" / kernel / "aurora.a"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"compiled")
        return Completed(0, "", "")

    monkeypatch.setattr(apparmor, "run", compiler)
    assert apparmor.compile_profiles(paths, {"aurora.a": "changed"}) == {}


def test_without_apparmor_nothing_is_compiled(paths: Paths, parser: Parser) -> None:
    assert apparmor.compile_profiles(paths, {"aurora.a": "aurora.a"}) == {}
    assert parser.runs == []
