"""How large the whole numbers of a configuration may be, so that they fit where they go."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

from penstock_common.faults import KeyPath

MAX_INT32 = 2**31 - 1
"""The largest number that gRPC's options and the contract's counts of tokens hold."""
MAX_WHOLE_NUMBER = 2**53 - 1
"""The largest whole number of any setting: JSON and Redis's scripts count no further exactly."""


def whole_numbers(value: object, path: KeyPath) -> Iterator[tuple[KeyPath, int]]:
    """Return the numbers of a field; those of a section within it are its own to look at."""
    if isinstance(value, int):
        yield path, value
    elif isinstance(value, dict):
        for key, item in typing.cast("dict[Any, object]", value).items():
            yield from whole_numbers(item, (*path, str(key)))
