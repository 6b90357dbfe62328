"""What the scripts of this folder share: where the stack is, and how each check is told.

A script gathers its checks with ``@check`` and ends in ``run()``, which prints one JSON line each. It is run by the
client's own Python and knows nothing of Penstock but a base URL, keys and names of models.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

BASE_URL = os.environ["PENSTOCK_BASE_URL"]
ORIGIN = BASE_URL.removesuffix("/v1")
GRPC = os.environ["PENSTOCK_GRPC"]
KEY = os.environ["PENSTOCK_KEY"]
SPENT_KEY = os.environ["PENSTOCK_SPENT_KEY"]
"""Its tenant may ask once a minute."""
MODEL = os.environ["PENSTOCK_MODEL"]
REASONING_MODEL = os.environ["PENSTOCK_REASONING_MODEL"]
CLAUDE_MODEL = os.environ["PENSTOCK_CLAUDE_MODEL"]
EMBEDDING_MODEL = os.environ["PENSTOCK_EMBEDDING_MODEL"]
CODE_MODEL = "code"
"""What its upstream does not take is dropped, as agents ask for much."""
SENTENCE = os.environ["PENSTOCK_SENTENCE"]
PICTURE_SAID = os.environ["PENSTOCK_PICTURE_SAID"]
"""What is answered to whoever shows one."""
LONG = " ".join([SENTENCE] * int(os.environ["PENSTOCK_LONG_SENTENCES"]))
TWICE = "How is the weather? Ask twice."
"""A question that is answered after two calls of a tool, one after the other."""
TWICE_SAID = "The tools say: rain in Oslo; rain in Oslo"
AT_LENGTH = "Tell it at length."
SLOWLY = "Tell it slowly."
"""The answer takes minutes: whoever asks leaves after the first words."""
REFUSED = "The provider will not have this."
PICTURE = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR42mM4YWODFTEMLQkAZZlQAS/gME0AAAAASUVORK5CYII="

_checks: list[Callable[[], Any]] = []


def check(function: Callable[[], Any]) -> Callable[[], Any]:
    """Have ``function`` run; its name is the check's."""
    _checks.append(function)
    return function


def run() -> None:
    """Run every check in one loop, as clients keep connections, and tell each; exit 1 where one has failed."""
    with asyncio.Runner() as runner:
        failed = [_failed(function, runner) for function in _checks]
    sys.exit(any(failed))


def _failed(function: Callable[[], Any], runner: asyncio.Runner) -> bool:
    error = ""
    try:
        result = function()
        if inspect.isawaitable(result):
            runner.run(_awaited(result))
    except Exception:
        traceback.print_exc()
        error = traceback.format_exc().strip().splitlines()[-1][:300]
    tell(function.__name__.replace("_", " "), error)
    return bool(error)


def tell(check: str, error: str) -> None:
    """Tell of a check, and of its error, "" where it has passed."""
    print(json.dumps({"check": check, "error": error}), flush=True)


async def _awaited(result: Any) -> Any:
    return await result


def refused(kind: type[Exception], call: Callable[[], Any]) -> Any:
    """Return the error of this kind that a call ends in."""
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


async def refused_later(kind: type[Exception], call: Callable[[], Any]) -> Any:
    """Return the error of this kind that an asynchronous call ends in."""
    try:
        await call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def equal(got: Any, wanted: Any) -> None:
    """Fail, with both, unless they are equal."""
    if got != wanted:
        raise AssertionError(f"got {got!r}, wanted {wanted!r}")
