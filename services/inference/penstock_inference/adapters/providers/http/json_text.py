"""Reads JSON that a strict parser refuses."""

from __future__ import annotations

import json


class Unreadable(Exception):
    """The bytes are no JSON at all."""


def value_of(payload: bytes) -> object:
    """Return what a JSON text says, halves of surrogate pairs and raw control characters included.

    Raises:
        Unreadable: if it is none, or is nested too deeply to be a chunk.
    """
    try:
        return json.loads(payload.decode(), strict=False)
    except (ValueError, RecursionError) as error:
        raise Unreadable(str(error)) from None
