# SPDX-License-Identifier: MIT
"""`completion`: what makes a shell complete verbs, actions and flags with the Tab key."""

from __future__ import annotations

import argparse
import importlib

from . import PROGRAM, new_parser, verbs
from ._arguments import word

HELP = "print completion for bash, zsh or fish"
_INSTALL = {
    "bash": '# eval "$(minihttp completion bash)" in ~/.bashrc',
    "zsh": '# eval "$(minihttp completion zsh)" in ~/.zshrc, after compinit',
    "fish": "# minihttp completion fish > ~/.config/fish/completions/minihttp.fish",
}
_BASH = """{install}
_{program}() {{
    local verb="${{COMP_WORDS[1]}}" word="${{COMP_WORDS[COMP_CWORD]}}" words=""
    if [ "$COMP_CWORD" = 1 ]; then words="{verbs}"; else case "$verb" in
{cases}
    esac; fi
    COMPREPLY=($(compgen -W "$words" -- "$word"))
    [ "${{#COMPREPLY[@]}}" = 0 ] && COMPREPLY=($(compgen -f -- "$word"))
}}
complete -F _{program} {program}
"""
ARGUMENTS = (word("shell", "SHELL", "bash, zsh or fish", choices=sorted(_INSTALL)),)


def run(args: argparse.Namespace) -> int:
    words = {name: _words(name) for name in verbs()}
    if args.shell == "fish":
        print(_INSTALL["fish"])
        for name, found in words.items():
            help_text = importlib.import_module(f".{name}", __package__).HELP.replace("'", "")
            print(f"complete -c {PROGRAM} -n __fish_use_subcommand -f -a {name} -d '{help_text}'")
            print(f"complete -c {PROGRAM} -n '__fish_seen_subcommand_from {name}' -a '{' '.join(found)}'")
        return 0
    if args.shell == "zsh":
        print("autoload -U +X bashcompinit && bashcompinit")
    cases = "\n".join(f'        {name}) words="{" ".join(found)}" ;;' for name, found in words.items())
    form = {"install": _INSTALL[args.shell], "program": PROGRAM, "verbs": " ".join(words), "cases": cases}
    print(_BASH.format(**form), end="")
    return 0


def _words(verb: str) -> list[str]:
    """The actions and flags of a verb."""
    found: list[str] = []
    waiting: list[argparse.ArgumentParser] = [new_parser(verb)]
    while waiting:
        for action in waiting.pop()._actions:
            if isinstance(action, argparse._SubParsersAction):
                found += action.choices
                waiting += action.choices.values()
            elif action.help is not argparse.SUPPRESS:
                found += action.option_strings
    return sorted(dict.fromkeys(found))
