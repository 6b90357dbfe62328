"""Where the command line writes: words for people, JSON for programs, one sentence when it fails."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import msgspec
import typer
from rich.console import Console

from penstock_suite.domain.failure import ExitCode, Misconfigured, SuiteFailure

DEBUG_VARIABLE = "PENSTOCK_DEBUG"


def console() -> Console:
    """Return the terminal, or plain text where standard output is none; paths and keys are not coloured."""
    return Console(highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Write one line of JSON, at once."""
    sys.stdout.write(msgspec.json.encode(value, enc_hook=str).decode() + "\n")
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
        return Misconfigured(str(error))
    text = " ".join(str(error).split()) or type(error).__name__
    return SuiteFailure(f"{text} ({type(error).__name__}; run again with {DEBUG_VARIABLE}=1 for where)")


def _tell(failure: SuiteFailure, *, as_json: bool) -> None:
    faults = failure.faults if isinstance(failure, Misconfigured) else (str(failure),)
    if as_json:
        print_json({"event": "failed", "message": str(failure), "faults": faults, "exit_code": int(failure.exit_code)})
        return
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    for fault in faults:
        errors.print(f"[bold red]penstock:[/] {_escaped(fault)}")


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")
