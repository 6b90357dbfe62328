"""`penstock chat`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Annotated, Protocol

import msgspec
import typer

from penstock_suite.domain.answers import AnswerEnd, Piece, Turn
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.requests import ChatTarget, Selection
from penstock_suite.surfaces.cli.options import JsonOption, StateOption, command
from penstock_suite.surfaces.cli.output import console, failures_told, print_json, run

if TYPE_CHECKING:
    from rich.console import Console

_NANO = 1e9
_LEAVE = {"exit", "quit", "/exit", "/quit"}


class Conversation(Protocol):
    """A model that answers."""

    model: str

    def stream(self, turns: Sequence[Turn]) -> AsyncIterator[Piece | AnswerEnd]:
        """Yield the answer's pieces, then its end."""
        ...


TargetOf = Callable[[Selection, str, str], tuple[str, str]]
OpenConversation = Callable[[ChatTarget], AbstractAsyncContextManager[Conversation]]


def chat(target_of: TargetOf, opened: OpenConversation) -> typer.Typer:
    """Return the command.

    ``target_of`` returns the gRPC address and the key: as given, else of the stack that runs on the state folder.
    """
    cli = command()

    @cli.command("chat", help="Ask a model and watch it answer. Without PROMPT, have a conversation; Ctrl-D ends it.")
    def converse(
        *,
        prompt: Annotated[str | None, typer.Argument(metavar="PROMPT", help="'-' reads standard input.")] = None,
        model: Annotated[str, typer.Option(metavar="NAME", help="Without it, the first the key may use.")] = "",
        address: Annotated[
            str, typer.Option(metavar="HOST:PORT", help="A gRPC address; without it, the local stack's.")
        ] = "",
        key: Annotated[
            str, typer.Option(metavar="KEY", envvar="PENSTOCK_API_KEY", help="Without it, the state folder's demo key.")
        ] = "",
        state: StateOption = None,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            grpc_address, found_key = target_of(Selection(state=state), address, key)
            target = ChatTarget(grpc_address=grpc_address, key=found_key, model=model)
            run(_chat(opened(target), _read_prompt(prompt, as_json=as_json), as_json=as_json))

    return cli


def _read_prompt(prompt: str | None, *, as_json: bool) -> str | None:
    if prompt == "-" or (prompt is None and not sys.stdin.isatty()):
        prompt = sys.stdin.read().strip()
    if prompt is None and as_json:
        raise Misconfigured("--json needs a PROMPT: a conversation is for people")
    if prompt is not None and not prompt:
        raise Misconfigured("the prompt is empty: give one as an argument, or on standard input with '-'")
    return prompt


async def _chat(opening: AbstractAsyncContextManager[Conversation], prompt: str | None, *, as_json: bool) -> None:
    async with opening as conversation:
        if prompt is None:
            await _converse(conversation)
        elif as_json:
            await _answer_in_json(conversation, prompt)
        else:
            await _answer(console(), conversation, [Turn("user", prompt)])


async def _converse(conversation: Conversation) -> None:
    out = console()
    out.print(f"[dim]{conversation.model}; Ctrl-D ends the conversation[/]")
    turns: list[Turn] = []
    while (question := await _ask(out)) is not None:
        if question:
            turns.append(Turn("user", question))
            turns.append(Turn("assistant", await _answer(out, conversation, turns)))


async def _ask(out: Console) -> str | None:
    """Return what the person typed; None at the end."""
    try:
        text = (await asyncio.to_thread(out.input, "[bold]> [/]")).strip()
    except EOFError:
        return None
    return None if text in _LEAVE else text


async def _answer(out: Console, conversation: Conversation, turns: Sequence[Turn]) -> str:
    """Print the answer as it comes; return its text."""
    text: list[str] = []
    end: AnswerEnd | None = None
    async for piece in conversation.stream(turns):
        if isinstance(piece, AnswerEnd):
            end = piece
            continue
        out.print(piece.text, end="", markup=False, style="dim" if piece.is_reasoning else None)
        out.file.flush()
        if not piece.is_reasoning:
            text.append(piece.text)
    out.print()
    if end is not None and out.is_terminal:
        out.print(f"[dim]{_summary(end)}[/]")
    return "".join(text)


def _summary(end: AnswerEnd) -> str:
    known = f", ${end.cost_nano_usd / _NANO:.6f}" if end.cost_nano_usd else ""
    cost = ", cost unknown" if end.cost_nano_usd is None else known
    return f"{end.upstream}/{end.model}, {end.input_tokens} + {end.output_tokens} tokens, {end.finish_reason}{cost}"


async def _answer_in_json(conversation: Conversation, prompt: str) -> None:
    text: list[str] = []
    async for piece in conversation.stream([Turn("user", prompt)]):
        if isinstance(piece, AnswerEnd):
            print_json({"text": "".join(text), **msgspec.to_builtins(piece)})
        elif not piece.is_reasoning:
            text.append(piece.text)
