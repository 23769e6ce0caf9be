"""Shell completion for auroractl, made from the table of verbs when the package is built.

A script starts no program: the names of modules are the names of their records, which the shell lists itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from aurora.cli.verbs import VERBS, Argument, Takes, Verb, families
from aurora.paths import Paths

__all__ = ["completion_bash", "completion_fish", "completion_zsh", "shown_value"]

_RECORDS = str(Paths().records)
HELP = Argument("help", "print the verb's help", Takes.NOTHING, ("-h", "--help"))
"""Every verb has it, from argparse."""

_SHOWN = {
    Takes.NOTHING: "",
    Takes.MODULE: "NAME",
    Takes.FOLDER: "DIR",
    Takes.PACKAGE: "DEB",
    Takes.SOURCE: "DIR|DEB",
    Takes.OFFER: "DIR|DEB|URL",
    Takes.SUBJECT: "NAME|DIR|DEB",
    Takes.NUMBER: "N",
    Takes.POLICY: "POLICY",
    Takes.COMMAND: "-- CMD [ARG...]",
}


def shown_value(argument: Argument) -> str:
    """What stands for the argument's value in a synopsis; empty for a switch."""
    return "|".join(argument.choices) or _SHOWN.get(argument.takes, argument.name.upper())


def _options(verb: Verb) -> list[Argument]:
    return [*(argument for argument in verb.arguments if argument.flags), HELP]


def _place(verb: Verb) -> Argument | None:
    """The verb's first positional argument; no verb has two kinds of them, but for a command after --."""
    return next(iter(_places(verb)), None)


def _places(verb: Verb) -> list[Argument]:
    return [one for one in verb.arguments if not one.flags and one.takes != Takes.COMMAND]


def _first_words() -> list[str]:
    """What may stand behind auroractl: verbs of one word, and families."""
    return list(dict.fromkeys(verb.name.partition(" ")[0] for verb in VERBS))


def _second_word(verb: Verb) -> str:
    return verb.name.partition(" ")[2]


def _family_summary(family: str) -> str:
    return ", ".join(_second_word(verb) for verb in families()[family])


def _policy_folders() -> tuple[str, str]:
    return (str(Paths().policies), str(Paths().owner_policies))


# bash

_BASH = """\
# bash completion for auroractl(1)

_auroractl_modules() {
    local record
    for record in @RECORDS@/*; do
        record=${record##*/}
        if [[ $record != '*' && $record == "$cur"* ]]; then
            COMPREPLY+=("$record")
        fi
    done
}

_auroractl_policies() {
    local file
    for file in {@POLICIES@}/*.toml; do
        file=${file##*/} file=${file%.toml}
        if [[ $file != '*' && $file != grants && $file == "$cur"* && " ${COMPREPLY[*]} " != *" $file "* ]]; then
            COMPREPLY+=("$file")
        fi
    done
}

_auroractl() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb=${COMP_WORDS[1]}
    local flags takes choices seconds='' most=1 given=0 at first=2
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W '@VERBS@' -- "$cur")
        return
    fi
    case $verb in
@FAMILIES@
    esac
    if [[ -n $seconds ]]; then
        if ((COMP_CWORD == 2)); then
            mapfile -t COMPREPLY < <(compgen -W "$seconds" -- "$cur")
            return
        fi
        verb+=" ${COMP_WORDS[2]}" first=3
    fi
    case $verb in
@ARGUMENTS@
        *) return ;;
    esac
    # What stands already: switches, options with their values, and the words that are counted here. most=0: any number.
    for ((at = first; at < COMP_CWORD; at++)); do
        case "$verb ${COMP_WORDS[at]}" in
            @COMMANDS@)
                # From here on the words are another program's.
                ((COMP_CWORD > at + 1)) && compopt -o default && return
                mapfile -t COMPREPLY < <(compgen -c -- "$cur")
                return
                ;;
            @VALUED@) ((++at)) ;;
            *' -'*) ;;
            *) ((++given)) ;;
        esac
    done
    ((most && given >= most)) && takes=nothing
    case "$verb $prev" in
@VALUES@
    esac
    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$cur")
        return
    fi
    case $takes in
        module) _auroractl_modules ;;
        policy) _auroractl_policies ;;
        folder) compopt -o dirnames ;;
        choice) mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$cur") ;;
        package | source | offer | subject)
            compopt -o filenames -o plusdirs
            mapfile -t COMPREPLY < <(compgen -f -X '!*.deb' -- "$cur")
            [[ $takes == subject ]] && _auroractl_modules
            ;;
    esac
    return 0
}

complete -F _auroractl auroractl
"""


def completion_bash() -> str:
    """The file for /usr/share/bash-completion/completions."""
    arguments, valued, values = [], [], []
    for verb in VERBS:
        place = _place(verb)
        flags = " ".join(flag for option in _options(verb) for flag in option.flags)
        row = f"flags='{flags}' takes={place.takes if place else Takes.NOTHING}"
        if place and (place.many or len(_places(verb)) > 1):
            row += f" most={0 if place.many else len(_places(verb))}"
        arguments.append(f"        {_bash_pattern(verb.name)}) {row} ;;")
        for option in _options(verb):
            if option.takes != Takes.NOTHING:
                words = [f"'{verb.name} {flag}'" for flag in option.flags]
                valued += words
                choices = f" choices='{' '.join(option.choices)}'" if option.choices else ""
                values.append(f"        {' | '.join(words)}) takes={option.takes}{choices} ;;")
    script = _BASH.replace("@RECORDS@", _RECORDS).replace("@VERBS@", " ".join(_first_words()))
    script = script.replace("@POLICIES@", ",".join(_policy_folders()))
    script = script.replace("@FAMILIES@", "\n".join(_bash_families()))
    script = script.replace("@ARGUMENTS@", "\n".join(arguments)).replace("@VALUES@", "\n".join(values))
    commands = [f"'{verb.name} --'" for verb in VERBS if verb.command is not None]
    return script.replace("@VALUED@", " | ".join(valued)).replace("@COMMANDS@", " | ".join(commands))


def _bash_pattern(name: str) -> str:
    """The name as a pattern of case, in bash and in zsh."""
    return f"'{name}'" if " " in name else name


def _bash_families() -> Iterator[str]:
    for family, verbs in families().items():
        yield f"        {family}) seconds='{' '.join(map(_second_word, verbs))}' ;;"


# zsh

_ZSH = """\
#compdef auroractl
# zsh completion for auroractl(1)

_auroractl_modules() {
    local -a modules
    modules=(@RECORDS@/*(N:t))
    compadd -a modules
}

_auroractl_policies() {
    local -a policies
    policies=({@POLICIES@}/*.toml(N:t:r))
    policies=(${(u)policies:#grants})
    compadd -a policies
}

_auroractl_sources() {
    _alternative 'folders:folder:_files -/' 'packages:package:_files -g "*.deb"'
}

_auroractl_subjects() {
    _alternative 'modules:module:_auroractl_modules' 'sources:folder or package:_auroractl_sources'
}

_auroractl() {
    if ((CURRENT == 2)); then
        local -a verbs
        verbs=(
@VERBS@
        )
        _describe -t verbs verb verbs
        return
    fi
    shift words
    ((CURRENT--))
    case $words[1] in
@FAMILIES@
        *) ;;
    esac
    case $words[1] in
@ARGUMENTS@
    esac
}

_auroractl "$@"
"""

_ZSH_ACTIONS = {
    Takes.MODULE: "_auroractl_modules",
    Takes.FOLDER: "_files -/",
    Takes.PACKAGE: '_files -g "*.deb"',
    Takes.SOURCE: "_auroractl_sources",
    Takes.OFFER: "_auroractl_sources",
    Takes.SUBJECT: "_auroractl_subjects",
    Takes.POLICY: "_auroractl_policies",
    Takes.TEXT: " ",
    Takes.NUMBER: " ",
    Takes.COMMAND: "_normal",
}


def _zsh_quoted(text: str) -> str:
    """For `_arguments` and `_describe`, within single quotes."""
    for char in "\\:[]":
        text = text.replace(char, "\\" + char)
    return text.replace("'", "'\\''")


def _zsh_option(option: Argument) -> str:
    alone = f"({' '.join(option.flags)})" if len(option.flags) > 1 else ""
    flags = "{" + ",".join(option.flags) + "}" if len(option.flags) > 1 else option.flags[0]
    value = ""
    if option.takes != Takes.NOTHING:
        action = f"({' '.join(option.choices)})" if option.choices else _ZSH_ACTIONS[option.takes]
        value = f":{_zsh_quoted(shown_value(option))}:{action}"
    about = f"[{_zsh_quoted(option.help)}]{value}'"
    return f"'{alone}'{flags}'{about}" if alone else f"'{flags}{about}"


def completion_zsh() -> str:
    """The file for /usr/share/zsh/vendor-completions."""
    verbs = [f"            '{verb.name}:{_zsh_quoted(verb.summary)}'" for verb in VERBS if " " not in verb.name]
    verbs += [f"            '{family}:{_zsh_quoted(_family_summary(family))}'" for family in families()]
    arguments = []
    for verb in VERBS:
        words = [_zsh_option(option) for option in _options(verb)]
        for at, place in enumerate(_places(verb), 1):
            count = "*" if place.many else str(at)
            words.append(f"'{count}:{_zsh_quoted(place.help)}:{_ZSH_ACTIONS[place.takes]}'")
        if verb.command is not None:
            words.append(f"'*::{_zsh_quoted(verb.command.help)}:{_ZSH_ACTIONS[Takes.COMMAND]}'")
        body = " \\\n                ".join(words)
        arguments.append(
            f"        {_bash_pattern(verb.name)})\n            _arguments \\\n                {body}\n            ;;"
        )
    script = _ZSH.replace("@RECORDS@", _RECORDS).replace("@VERBS@", "\n".join(verbs))
    script = script.replace("@POLICIES@", ",".join(_policy_folders()))
    script = script.replace("@FAMILIES@", "\n".join(_zsh_families()))
    return script.replace("@ARGUMENTS@", "\n".join(arguments))


_ZSH_FAMILY = """\
        @FAMILY@)
            if ((CURRENT == 2)); then
                local -a seconds
                seconds=(
@SECONDS@
                )
                _describe -t verbs verb seconds
                return
            fi
            # The two words stand as one from here on.
            words=("$words[1] $words[2]" "${(@)words[3,-1]}")
            ((CURRENT--))
            ;;"""


def _zsh_families() -> Iterator[str]:
    for family, verbs in families().items():
        seconds = [f"                    '{_second_word(verb)}:{_zsh_quoted(verb.summary)}'" for verb in verbs]
        yield _ZSH_FAMILY.replace("@FAMILY@", family).replace("@SECONDS@", "\n".join(seconds))


# fish

_FISH = """\
# fish completion for auroractl(1)

function __auroractl_modules
    for record in @RECORDS@/*
        string replace --regex '^.*/' '' -- $record
    end
end

function __auroractl_sources
    # fish itself only puts other files last.
    __fish_complete_suffix .deb | string match --regex '^[^\\t]*(?:/|\\.deb)(?:\\t.*)?$'
end

function __auroractl_policies
    for file in @POLICIES@
        string replace --regex '^.*/' '' -- $file | string replace --regex '\\.toml$' '' | string match --invert grants
    end
end

# The arguments: all that may stand behind auroractl so far.
function __auroractl_needs_verb
    set --local words (commandline --tokenize --cut-at-cursor --current-process)
    test "$words[2..]" = "$argv"
end

# The arguments: the words of one verb.
function __auroractl_verb
    set --local words (commandline --tokenize --cut-at-cursor --current-process)
    set --local last (math (count $argv) + 1)
    test (count $words) -ge $last; and test "$words[2..$last]" = "$argv"
end

complete --command auroractl --no-files
"""

_FISH_ACTIONS = {
    Takes.MODULE: ("(__auroractl_modules)",),
    Takes.POLICY: ("(__auroractl_policies)",),
    Takes.FOLDER: ("(__fish_complete_directories (commandline --current-token))",),
    Takes.PACKAGE: ("(__auroractl_sources)",),
    Takes.SOURCE: ("(__auroractl_sources)",),
    Takes.OFFER: ("(__auroractl_sources)",),
    Takes.SUBJECT: ("(__auroractl_modules)", "(__auroractl_sources)"),
}


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _fish_option(option: Argument) -> Iterator[str]:
    for flag in option.flags:
        yield f"--long-option {flag[2:]}" if flag.startswith("--") else f"--short-option {flag[1:]}"
    yield f"--description {_fish_quoted(option.help)}"
    if option.takes != Takes.NOTHING:
        yield "--exclusive"
        if option.choices:
            yield f"--arguments {_fish_quoted(' '.join(option.choices))}"
        for action in _FISH_ACTIONS.get(option.takes, ()):
            yield f"--arguments {_fish_quoted(action)}"


def completion_fish() -> str:
    """The file for /usr/share/fish/vendor_completions.d."""
    lines = []
    for verb in VERBS:
        first, _, second = verb.name.partition(" ")
        when = f"'__auroractl_needs_verb {first}'" if second else "__auroractl_needs_verb"
        about = _fish_quoted(verb.summary)
        lines.append(f"--condition {when} --arguments {second or first} --description {about}")
    for family in families():
        about = _fish_quoted(_family_summary(family))
        lines.append(f"--condition __auroractl_needs_verb --arguments {family} --description {about}")
    for verb in VERBS:
        when = f"--condition '__auroractl_verb {verb.name}'"
        lines += [" ".join((when, *_fish_option(option))) for option in _options(verb)]
        place = _place(verb)
        for action in _FISH_ACTIONS.get(place.takes, ()) if place else ():
            lines.append(f"{when} --arguments {_fish_quoted(action)}")
    script = _FISH.replace("@RECORDS@", _RECORDS)
    script = script.replace("@POLICIES@", " ".join(f"{folder}/*.toml" for folder in _policy_folders()))
    return script + "".join(f"complete --command auroractl {line}\n" for line in lines)
