"""What the administrative commands share: how they say what to administer, and how they ask it."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Concatenate, ParamSpec, TypeVar

import typer

from penstock_suite.domain.administration import Administration, OpenAdministration
from penstock_suite.domain.requests import Administered, GatewayTarget, Selection
from penstock_suite.surfaces.cli.options import CaOption, ConfigOption, OperatorKeyOption, StateOption
from penstock_suite.surfaces.cli.output import run

AddressOption = Annotated[
    str,
    typer.Option(
        metavar="HOST:PORT",
        envvar="PENSTOCK_ADDRESS",
        help="A gateway's gRPC address; without it, the stack of --state, whether it runs or not.",
    ),
]

AnswerT = TypeVar("AnswerT")
P = ParamSpec("P")


class Ask:
    """Asks one administration; nothing is opened before that."""

    def __init__(self, opened: OpenAdministration, asked: Administered) -> None:
        self._opened = opened
        self._asked = asked

    @property
    def selection(self) -> Selection:
        """Which configuration is meant."""
        return self._asked.selection

    def __call__(self, question: Callable[[Administration], Awaitable[AnswerT]]) -> AnswerT:
        """Return the answer."""
        return run(self._answer(question))

    async def _answer(self, question: Callable[[Administration], Awaitable[AnswerT]]) -> AnswerT:
        async with self._opened(self._asked) as administration:
            return await question(administration)


def administering(opened: OpenAdministration) -> Callable[[Callable[Concatenate[Ask, P], None]], Callable[..., None]]:
    """Return what makes a command of a function: with options that say what to administer, for its first argument."""
    shared = list(inspect.signature(_administered, eval_str=True).parameters.values())

    def decorate(act: Callable[Concatenate[Ask, P], None]) -> Callable[..., None]:
        own = list(inspect.signature(act, eval_str=True).parameters.values())[1:]

        def command(**given: Any) -> None:
            asked = _administered(**{option.name: given.pop(option.name) for option in shared})
            # What its signature names, and typer passes.
            act(Ask(opened, asked), **given)  # pyright: ignore[reportCallIssue]

        # Typer reads what a command takes from both.
        command.__signature__ = inspect.Signature([*own, *shared])
        command.__annotations__ = {option.name: option.annotation for option in (*own, *shared)}
        return command

    return decorate


def _administered(
    *,
    config: ConfigOption = None,
    state: StateOption = None,
    address: AddressOption = "",
    key: OperatorKeyOption = "",
    ca: CaOption = None,
) -> Administered:
    gateway = GatewayTarget(grpc_address=address, key=key, ca_file=ca) if address else None
    return Administered(Selection(config, state), gateway)
