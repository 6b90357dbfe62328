"""`penstock completion bash|zsh|fish`, and what its scripts ask for the words that may come next.

The shell's own completion of file names goes on where nothing is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Annotated, Any

import typer

from penstock_suite.surfaces.cli.options import command, read_choice

COMPLETE = "complete"
"""The hidden command that the scripts call."""

_BASH = """\
_penstock() {
  local IFS=$'\\n'
  COMPREPLY=($(compgen -W "$(penstock complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _penstock penstock
"""
_ZSH = """\
#compdef penstock
_penstock() {
  local -a found
  found=("${(@f)$(penstock complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n $found ]]; then compadd -- $found; else _files; fi
}
compdef _penstock penstock
"""
_FISH = """\
function __penstock
  set --local before (commandline --tokens-expanded --cut-at-cursor --current-process)
  penstock complete -- $before[2..] (commandline --current-token --cut-at-cursor) 2>/dev/null
end
complete --command penstock --arguments '(__penstock)'
"""


class Shell(StrEnum):
    """The shells that there is a script for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


_SCRIPTS = {Shell.BASH: _BASH, Shell.ZSH: _ZSH, Shell.FISH: _FISH}
_HELP = """Print a script that completes commands and options, for `source <(penstock completion bash)` in ~/.bashrc,
the same with zsh in ~/.zshrc, or `penstock completion fish | source` in config.fish.
"""


def completion() -> typer.Typer:
    """Return the command."""
    cli = command()

    @cli.command("completion", help=_HELP)
    def show(*, shell: Annotated[str, typer.Argument(metavar="SHELL", help=", ".join(Shell))]) -> None:
        typer.echo(_SCRIPTS[read_choice(shell, "SHELL", Shell)], nl=False)

    return cli


def complete(root: Callable[[], Any]) -> typer.Typer:
    """Return the hidden command; ``root`` returns the command line."""
    cli = command()

    @cli.command(COMPLETE, hidden=True, help="Print what may stand in the place of the last word.")
    def words(*, before: Annotated[list[str] | None, typer.Argument(metavar="WORD…")] = None) -> None:
        *earlier, last = before or [""]
        for word in _candidates(root(), earlier):
            if word.startswith(last) and (last.startswith("-") or not word.startswith("-")):
                typer.echo(word)

    return cli


def _candidates(root: Any, earlier: list[str]) -> Iterator[str]:
    """Yield the commands below what was typed, else its options; nothing where an option waits for its value."""
    found, context = root, typer.Context(root)
    for word in earlier:
        if word in getattr(found, "commands", {}):
            _, found, _ = found.resolve_command(context, [word])
    options = {name: option for option in found.params for name in option.opts if name.startswith("-")}
    before = options.get(earlier[-1]) if earlier else None
    if before is not None and not before.is_flag:
        return
    yield from (name for name, below in getattr(found, "commands", {}).items() if not below.hidden)
    yield from (*options, "--help")
