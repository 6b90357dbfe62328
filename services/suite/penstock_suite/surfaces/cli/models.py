"""`penstock models list|load|unload`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

import typer
from rich.markup import escape

from penstock_suite.domain.models import ModelRow
from penstock_suite.domain.requests import Selection
from penstock_suite.surfaces.cli.options import ConfigOption, JsonOption, StateOption
from penstock_suite.surfaces.cli.output import console, failures_told, print_json
from penstock_suite.surfaces.cli.table import print_table

_HELP = """Models at the upstreams: which are ready; loading and unloading those of a Triton with 'model_control'.

Asks the upstreams themselves, at the addresses and with the keys of the configuration. For a Triton that 'penstock up'
started, those are in the state folder; for others, give the same --config as the inference service has.
"""
_TITLES = ("model", "public names", "context", "state", "reason")
_COLOURS = {"ready": "green", "loading": "yellow", "unloading": "yellow", "unavailable": "red"}

ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="upstream/model, or a name that stands for one model only.")
]


class ModelActions(Protocol):
    """What the commands do."""

    def list(self, selection: Selection) -> list[ModelRow]:
        """Return the models of every upstream."""
        ...

    def load(self, selection: Selection, name: str) -> ModelRow:
        """Return a model once it serves."""
        ...

    def unload(self, selection: Selection, name: str) -> ModelRow:
        """Return a model once it takes nothing new."""
        ...


@dataclass(frozen=True, slots=True)
class _Group:
    typer: typer.Typer
    actions: ModelActions


def add_models(cli: typer.Typer, actions: ModelActions) -> None:
    """Add the commands."""
    group = _Group(typer.Typer(help=_HELP, no_args_is_help=True), actions)
    cli.add_typer(group.typer, name="models")
    _add_list(group)
    _add_load(group)
    _add_unload(group)


def _add_list(group: _Group) -> None:
    @group.typer.command("list", help="List every upstream's models: public names, states, and why one is not ready.")
    def list_models(*, config: ConfigOption = None, state: StateOption = None, as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            rows = group.actions.list(Selection(config, state))
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


def _add_load(group: _Group) -> None:
    @group.typer.command("load", help="Load a model, or its configuration again; returns when it serves.")
    def load(
        *, model: ModelArgument, config: ConfigOption = None, state: StateOption = None, as_json: JsonOption = False
    ) -> None:
        with failures_told(as_json=as_json):
            _show(group.actions.load(Selection(config, state), model), as_json=as_json)


def _add_unload(group: _Group) -> None:
    @group.typer.command("unload", help="Refuse a model's arrivals from now on; running requests end in their time.")
    def unload(
        *, model: ModelArgument, config: ConfigOption = None, state: StateOption = None, as_json: JsonOption = False
    ) -> None:
        with failures_told(as_json=as_json):
            _show(group.actions.unload(Selection(config, state), model), as_json=as_json)


def _show(row: ModelRow, *, as_json: bool) -> None:
    if as_json:
        print_json(row)
    else:
        console().print(f"{escape(f'{row.upstream}/{row.model}')} is {_state(row)}.")
