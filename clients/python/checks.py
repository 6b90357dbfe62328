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
SENTENCE = os.environ["PENSTOCK_SENTENCE"]
PICTURE = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYPhfDwADgwGAkS6d0QAAAABJRU5ErkJggg=="

_checks: list[Callable[[], Any]] = []


def check(function: Callable[[], Any]) -> Callable[[], Any]:
    """Have ``function`` run; its name is the check's."""
    _checks.append(function)
    return function


def run() -> None:
    """Run every check and tell each; exit 1 where one has failed."""
    failed = False
    for function in _checks:
        try:
            result = function()
            if inspect.isawaitable(result):
                asyncio.run(_awaited(result))
            error = ""
        except Exception:
            traceback.print_exc()
            error = traceback.format_exc().strip().splitlines()[-1][:300]
            failed = True
        tell(function.__name__.replace("_", " "), error)
    sys.exit(failed)


def tell(check: str, error: str) -> None:
    """Tell of a check, and of its error, "" where it has passed."""
    print(json.dumps({"check": check, "error": error}), flush=True)


async def _awaited(result: Any) -> Any:
    return await result


def equal(got: Any, wanted: Any) -> None:
    """Fail, with both, unless they are equal."""
    if got != wanted:
        raise AssertionError(f"got {got!r}, wanted {wanted!r}")
