from __future__ import annotations

import inspect
import shlex
from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.cli.main import plain_arguments
from aurora.cli.parser import make_parser, parse
from aurora.cli.verbs import GROUPS, VERBS, Takes, Verb, families
from aurora.errors import UsageError

BY_NAME = {verb.name: verb for verb in VERBS}
each_verb = pytest.mark.parametrize("verb", VERBS, ids=[verb.name for verb in VERBS])


@each_verb
def test_a_verbs_code_is_a_public_function_of_one_argument(verb: Verb) -> None:
    module, _, name = verb.code.partition(":")
    found = import_module(module)
    assert name in found.__all__
    assert list(inspect.signature(getattr(found, name)).parameters) == ["arguments"]


@each_verb
def test_a_verb_has_a_group_a_line_and_a_description(verb: Verb) -> None:
    assert verb.group in dict(GROUPS)
    assert verb.summary
    assert len(verb.summary) <= 66
    assert not verb.summary.endswith(".")
    assert verb.description.endswith(".")


@each_verb
def test_a_verbs_example_is_one_that_it_takes(verb: Verb) -> None:
    words = shlex.split(verb.example)
    words = words[1:] if words[0] == "sudo" else words
    if words[0] == "auroractl":
        count = len(verb.name.split())
        assert words[1 : 1 + count] == verb.name.split()
        assert parse(verb, words[1 + count :]) is not None
    else:
        assert words[0] == "systemctl"


@each_verb
def test_what_reads_can_answer_in_json(verb: Verb) -> None:
    reads = (
        verb.group == "see"
        or verb.name.startswith(("policy ", "update "))
        or verb.name in ("check", "plan", "diff", "learn", "apply", "version", "credential list", "key list", "verify")
        or (verb.group == "link" and verb.name != "link pub")
    )
    assert ("json" in {argument.name for argument in verb.arguments}) == reads


def test_a_verb_has_one_word_or_two_and_a_family_is_no_verb() -> None:
    for verb in VERBS:
        assert 1 <= len(verb.name.split(" ")) <= 2
        assert all(word.isalpha() for word in verb.name.split(" "))
    assert families().keys().isdisjoint(BY_NAME)


def test_no_two_verbs_share_a_name_and_no_two_arguments_of_one_a_flag() -> None:
    assert len(BY_NAME) == len(VERBS)
    for verb in VERBS:
        names = [argument.name for argument in verb.arguments]
        flags = [flag for argument in verb.arguments for flag in argument.flags]
        assert len(set(names)) == len(names)
        assert len({*flags, "-h", "--help"}) == len(flags) + 2


@each_verb
def test_the_parser_has_what_the_table_says_and_nothing_else(verb: Verb) -> None:
    actions = {action.dest: action for action in make_parser(verb)._actions if action.dest != "help"}
    own = [argument for argument in verb.arguments if argument.takes != Takes.COMMAND]
    assert actions.keys() == {argument.name for argument in own}
    for argument in own:
        action = actions[argument.name]
        assert tuple(action.option_strings) == argument.flags
        assert action.help == argument.help
        assert (action.nargs == 0) == (argument.takes == Takes.NOTHING)
        assert tuple(action.choices or ()) == argument.choices


WORDS = st.sampled_from(
    ["hello", "x", "--json", "--now", "--purge", "-f", "--follow", "-n", "5", "--lines=5", "--no-start", "--", "-",
     "-o", "--in", "--js", "--unit", "--apparmor", "", "-h"]
)  # fmt: skip


@given(st.sampled_from(VERBS), st.lists(WORDS, max_size=4))
def test_the_short_way_reads_arguments_as_the_long_way_does(verb: Verb, words: list[str]) -> None:
    short = plain_arguments(verb, words)
    if short is not None:
        assert vars(short) == vars(parse(verb, words) or object())


@each_verb
def test_the_plainest_use_of_a_verb_goes_the_short_way(verb: Verb) -> None:
    places = [a for a in verb.arguments if not a.flags and a.takes != Takes.COMMAND]
    command = [] if verb.command is None else ["--", "cmd"]
    if len(places) <= 1 and not any(argument.takes == Takes.NUMBER for argument in verb.arguments):
        assert plain_arguments(verb, ["x"] * len(places) + command) is not None


HARD = st.lists(st.one_of(st.text(max_size=6), WORDS), min_size=1, max_size=5)


@given(st.lists(st.sampled_from(["--root", "--outside"]), max_size=2), HARD)
def test_every_word_after_the_dashes_reaches_the_command_as_it_stands(switches: list[str], command: list[str]) -> None:
    words = [*switches, "hello", "--", *command]
    long, short = parse(BY_NAME["exec"], words), plain_arguments(BY_NAME["exec"], words)
    assert long is not None
    assert short is not None
    assert vars(long) == vars(short)
    assert (long.name, long.command) == ("hello", command)
    assert (long.root, long.outside) == ("--root" in switches, "--outside" in switches)


@pytest.mark.parametrize("words", [["hello"], ["hello", "--"]])
def test_a_command_that_is_missing_is_asked_for(words: list[str]) -> None:
    with pytest.raises(UsageError, match="no command stands after --"):
        parse(BY_NAME["exec"], words)


@pytest.mark.parametrize("words", [["hello", "ls"], ["hello", "ls", "--", "ls"], ["--", "ls"]])
def test_a_command_stands_after_the_dashes_and_one_module_before(words: list[str]) -> None:
    with pytest.raises(UsageError):
        parse(BY_NAME["exec"], words)


def test_names_and_switches_come_in_any_order() -> None:
    found = parse(BY_NAME["remove"], ["one", "--purge", "two"])
    assert found is not None
    assert (found.names, found.purge) == (["one", "two"], True)


def test_a_choice_is_one_of_those_that_the_table_has() -> None:
    assert vars(parse(BY_NAME["top"], ["--sort", "memory"]) or object())["sort"] == "memory"
    with pytest.raises(UsageError, match="memory"):
        parse(BY_NAME["top"], ["--sort", "size"])


@pytest.mark.parametrize("words", [["--nonsense"], ["-x", "hello"], ["--json=1"]])
def test_the_parser_raises_and_never_exits(words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        parse(BY_NAME["status"], words)
    assert caught.value.problems[0].where == "auroractl status"
