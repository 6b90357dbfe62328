"""Options that several commands share, and how their groups are made."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand

ChoiceT = TypeVar("ChoiceT", bound=Enum)

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        envvar="PENSTOCK_CONFIG",
        help="The configuration; without it, a packaged one with a demo model.",
    ),
]
StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="DIR",
        help="The one folder with everything a stack keeps; "
        "$PENSTOCK_STATE_DIR, else .state where there is one, else ~/.local/state/penstock.",
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do it, although nothing narrows it.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would become of it, and change nothing.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON for programs.")]
WithoutTritonOption = Annotated[
    bool, typer.Option("--without-triton", help="Leave out the local Triton and the models that only it serves.")
]
AddressOption = Annotated[str, typer.Option(metavar="HOST:PORT", help="A gateway's gRPC address.")]
OperatorKeyOption = Annotated[
    str, typer.Option(metavar="KEY", envvar="PENSTOCK_OPERATOR_KEY", help="An operator's key, beside --address.")
]
CaOption = Annotated[Path | None, typer.Option(metavar="FILE", help="Who proves the gateway, where it has TLS.")]


# Typer shows the types of Python, and what must be there in braces.
_TYPES = re.compile(r" <[a-z\[\] ]+>")
_BRACES = re.compile(r"\{([^{}\s]+)\}")


class _Command(TyperCommand):
    """A command whose help looks as people write it: ``NAME``, and not ``{NAME}`` or ``NAME <str>``."""

    def get_usage(self, ctx: Any) -> str:
        return _plain(super().get_usage(ctx))

    def get_help(self, ctx: Any) -> str:
        return _plain(super().get_help(ctx))


def _plain(text: str) -> str:
    return _BRACES.sub(r"\1", _TYPES.sub("", text))


class _Commands(typer.Typer):
    """Makes such commands."""

    def command(self, name: str | None = None, **settings: Any) -> Any:
        chosen: dict[str, Any] = {"cls": _Command, **settings}
        return super().command(name, **chosen)


def command() -> typer.Typer:
    """Return what takes one command."""
    return _Commands(add_completion=False, rich_markup_mode=None)


def group(about: str) -> typer.Typer:
    """Return what takes the commands of a group."""
    made = _Commands(help=about, no_args_is_help=True, add_completion=False, rich_markup_mode=None)
    # With a callback it is a group, also of one command.
    made.callback()(lambda: None)
    return made


def read_duration(text: str, option: str) -> timedelta:
    """Return the duration that ``option`` was given.

    Raises:
        typer.BadParameter: if it is written in another way.
    """
    # What it comes with takes longer to load than most commands to run.
    from penstock_common.configuration import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=f"'{option}'") from None


def read_words(text: str) -> tuple[str, ...]:
    """Return the words between commas, each once."""
    return tuple(dict.fromkeys(word for part in text.split(",") if (word := part.strip())))


def read_number(text: str, option: str, most: int) -> int:
    """Return the number that ``option`` was given, from 1 to ``most``.

    Raises:
        typer.BadParameter: if it is another, or none.
    """
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= most:
        raise typer.BadParameter(f"a number from 1 to {most} is expected", param_hint=f"'{option}'")
    return int(text)


def read_choice(text: str, option: str, choices: type[ChoiceT]) -> ChoiceT:
    """Return the choice that ``option`` was given.

    Raises:
        typer.BadParameter: if there is none of this name.
    """
    known = {str(choice.value): choice for choice in choices}
    if text not in known:
        raise typer.BadParameter(f"there is no '{text}'; there are {', '.join(known)}", param_hint=f"'{option}'")
    return known[text]
