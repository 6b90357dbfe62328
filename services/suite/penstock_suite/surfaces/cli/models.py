"""`penstock models list|load|unload|show`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, Protocol, cast

import typer

from penstock_suite.domain.answers import ModelRow, ModelSheet, SheetLine
from penstock_suite.domain.requests import Selection
from penstock_suite.surfaces.cli.options import ConfigOption, JsonOption, StateOption, group
from penstock_suite.surfaces.cli.output import escape, failures_told, note, print_json, print_table, run

_HELP = """Models at the upstreams: which are ready; loading and unloading those of a Triton with 'model_control'.

Asks the upstreams themselves, at the addresses and with the keys of the configuration. For a Triton that 'penstock up'
started, those are in the state folder; for others, give the same --config as the inference service has.
"""
_SHOW_HELP = """Show what is known of a model, and where each part is said; without MODEL, the names of all that are known.

What the configuration says of a model stands over its datasheets, and those over Penstock's own. Asks nobody.
"""
_LINE_TITLES = ("key", "value", "said at", "taken from")
_TITLES = ("model", "public names", "context", "state", "reason")
_COLOURS = {"ready": "green", "loading": "yellow", "unloading": "yellow", "unavailable": "red"}

ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="upstream/model, or a name that stands for one model only.")
]
_KnownArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="A name of the datasheet, upstream/model, or a public name.")
]


class Models(Protocol):
    """The models at the upstreams of one configuration."""

    async def list(self) -> list[ModelRow]:
        """Return the models of every upstream, in the configuration's order."""
        ...

    async def load(self, name: str) -> ModelRow:
        """Return a model once it serves."""
        ...

    async def unload(self, name: str) -> ModelRow:
        """Return a model once it takes nothing new."""
        ...


OpenModels = Callable[[Selection], AbstractAsyncContextManager[Models]]
SheetsOf = Callable[[Selection, str], list[ModelSheet]]
KnownModels = Callable[[Selection], list[str]]


def models(opened: OpenModels, sheets_of: SheetsOf, known_models: KnownModels) -> typer.Typer:
    """Return the commands."""
    cli = group(_HELP)
    _add_show(cli, sheets_of, known_models)
    _add_list(cli, opened)
    _add_load(cli, opened)
    _add_unload(cli, opened)
    return cli


def _add_show(cli: typer.Typer, sheets_of: SheetsOf, known_models: KnownModels) -> None:
    @cli.command("show", help=_SHOW_HELP)
    def show(
        *,
        model: _KnownArgument = "",
        config: ConfigOption = None,
        state: StateOption = None,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            selection = Selection(config, state)
            if not model:
                names = known_models(selection)
                print_json(names) if as_json else typer.echo("\n".join(names))
                return
            sheets = sheets_of(selection, model)
            if as_json:
                print_json(sheets)
                return
            for sheet in sheets:
                _print_sheet(sheet)


def _print_sheet(sheet: ModelSheet) -> None:
    names = ", ".join((sheet.name, *sheet.also))
    typer.echo(f"{sheet.candidate}: {names}" if sheet.candidate else names)
    print_table(_LINE_TITLES, map(_line, sheet.lines))
    if not sheet.price_is_known:
        note(f"Nobody knows what {sheet.candidate or sheet.name} costs: a price needs input and output.")


def _line(line: SheetLine) -> Sequence[str]:
    return escape(line.key), escape(_text(line.value)), escape(line.said_at), escape(line.source)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, cast("list[Any]", value))) or "none"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _add_list(cli: typer.Typer, opened: OpenModels) -> None:
    async def listed(selection: Selection) -> list[ModelRow]:
        async with opened(selection) as found:
            return await found.list()

    @cli.command("list", help="List every upstream's models: public names, states, and why one is not ready.")
    def list_models(*, config: ConfigOption = None, state: StateOption = None, as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            rows = run(listed(Selection(config, state)))
            if as_json:
                print_json(rows)
            else:
                print_table(_TITLES, map(_row, rows), to_the_right={"context"})


def _row(row: ModelRow) -> Sequence[str]:
    return (
        escape(f"{row.upstream}/{row.model}"),
        escape(" ".join(row.public_names)),
        f"{row.context_window_tokens:,}",
        _state(row),
        escape(row.reason),
    )


def _state(row: ModelRow) -> str:
    return f"[{_COLOURS[row.state]}]{row.state}[/]" if row.state else "[dim]not told[/]"


def _add_load(cli: typer.Typer, opened: OpenModels) -> None:
    async def loaded(selection: Selection, name: str) -> ModelRow:
        async with opened(selection) as found:
            return await found.load(name)

    @cli.command("load", help="Load a model, or its configuration again; returns when it serves.")
    def load(
        *, model: ModelArgument, config: ConfigOption = None, state: StateOption = None, as_json: JsonOption = False
    ) -> None:
        with failures_told(as_json=as_json):
            _show(run(loaded(Selection(config, state), model)), as_json=as_json)


def _add_unload(cli: typer.Typer, opened: OpenModels) -> None:
    async def unloaded(selection: Selection, name: str) -> ModelRow:
        async with opened(selection) as found:
            return await found.unload(name)

    @cli.command("unload", help="Refuse a model's arrivals from now on; running requests end in their time.")
    def unload(
        *, model: ModelArgument, config: ConfigOption = None, state: StateOption = None, as_json: JsonOption = False
    ) -> None:
        with failures_told(as_json=as_json):
            _show(run(unloaded(Selection(config, state), model)), as_json=as_json)


def _show(row: ModelRow, *, as_json: bool) -> None:
    if as_json:
        print_json(row)
    else:
        note(f"{row.upstream}/{row.model} is {row.state or 'not told'}.")
