"""How a command runs and where it writes: words for people, JSON for programs, one sentence when it fails."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Coroutine, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from penstock_suite.domain.failure import ExitCode, Misconfigured, SuiteFailure
from penstock_suite.domain.terminal import harmless

if TYPE_CHECKING:
    from rich.console import Console

DEBUG_VARIABLE = "PENSTOCK_DEBUG"
# Wider than any record; lines end where their text does, or are wrapped by the terminal itself.
_TABLE_WIDTH = 100_000

ResultT = TypeVar("ResultT")


def run(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Return what the work returns, run in a loop of its own."""
    import asyncio

    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def console(*, stderr: bool = False) -> Console:
    """Return the terminal, or plain text where the stream is none; paths and keys are not coloured."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def escape(text: str) -> str:
    """Return a text that others have written as rich's markup, in which nothing tells the terminal what to do."""
    from rich import markup

    return markup.escape(harmless(text))


def print_table(titles: Sequence[str], rows: Iterable[Sequence[str]], *, to_the_right: Collection[str] = ()) -> None:
    """Write records, whose texts are rich's markup, as a table.

    One line each, however narrow the terminal, so that an id can be copied and a line can be cut.
    """
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in titles:
        table.add_column(title, no_wrap=True, justify="right" if title in to_the_right else "left")
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, width=_TABLE_WIDTH).print(table, crop=False)


def note(text: str) -> None:
    """Write a sentence for whoever watches, beside what the command gives: on the side where errors go."""
    console(stderr=True).print(escape(text))


def print_json(value: Any) -> None:
    """Write one line of JSON, at once."""
    import msgspec

    sys.stdout.write(harmless(msgspec.json.encode(value, enc_hook=str).decode()) + "\n")
    sys.stdout.flush()


@contextmanager
def failures_told(*, as_json: bool) -> Generator[None]:
    """Turn whatever ends the command into a sentence and a stable exit code; tracebacks with PENSTOCK_DEBUG=1."""
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.DONE) from None
    except BrokenPipeError:
        # Whoever read has read enough, such as `head`; there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(ExitCode.DONE) from None
    except Exception as error:
        if os.environ.get(DEBUG_VARIABLE):
            raise
        failure = _first_cause(error)
        _tell(failure, as_json=as_json)
        raise typer.Exit(failure.exit_code) from None


def _first_cause(error: BaseException) -> SuiteFailure:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, SuiteFailure):
        return error
    # What it comes with takes longer to load than most commands to run.
    from penstock_common.configuration import ConfigurationError

    if isinstance(error, ConfigurationError):
        return Misconfigured.by(error)
    text = " ".join(str(error).split()) or type(error).__name__
    return SuiteFailure(f"{text} ({type(error).__name__}; run again with {DEBUG_VARIABLE}=1 for where)")


def _tell(failure: SuiteFailure, *, as_json: bool) -> None:
    faults = failure.faults if isinstance(failure, Misconfigured) else (str(failure),)
    if as_json:
        print_json({"event": "failed", "message": str(failure), "faults": faults, "exit_code": int(failure.exit_code)})
        return
    errors = console(stderr=True)
    for fault in faults:
        errors.print(f"[bold red]penstock:[/] {_escaped(fault)}")


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")
