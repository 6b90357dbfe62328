"""`penstock config check`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.requests import Role, Selection
from penstock_suite.surfaces.cli.options import ConfigOption, JsonOption, StateOption, WithoutTritonOption, group
from penstock_suite.surfaces.cli.output import failures_told, print_json

CheckConfiguration = Callable[[Selection, Role | None], dict[str, Any]]

_RoleOption = Annotated[
    Role | None, typer.Option("--role", metavar="ROLE", help="Look as `penstock serve ROLE` would: at its part alone.")
]

_LINE_WIDTH = 120


def config(check_configuration: CheckConfiguration) -> typer.Typer:
    """Return the commands; ``check_configuration`` returns the effective settings without secrets."""
    cli = group("The configuration file.")

    @cli.command("check", help="Print the settings that take effect, secrets masked, or a line for each fault.")
    def check(
        *,
        config: ConfigOption = None,
        state: StateOption = None,
        without_triton: WithoutTritonOption = False,
        role: _RoleOption = None,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            if role is not None and config is None:
                raise Misconfigured("--role needs --config: the packaged configuration is for one process")
            settings = check_configuration(Selection(config, state, without_triton), role)
            if as_json:
                print_json(settings)
            else:
                import yaml

                typer.echo(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True, width=_LINE_WIDTH), nl=False)

    return cli
