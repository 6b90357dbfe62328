"""When two requests are the same: the canonical form, and the exact key made of it."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import msgspec

from penstock_cache.domain.entry import EntryKey, Scope
from penstock_common.llm.types import GenerationInput, SamplingParams

# Part of every canonical form: a changed form must not meet old entries.
CANONICAL_VERSION = 1


def canonical_form(scope: Scope, request: GenerationInput) -> bytes:
    """Return bytes that are equal for equal requests and differ for different ones.

    All fields count, by position, those that future versions add included.
    Strings are verbatim: white space inside a JSON schema reaches the model,
    so it is part of the request. Numbers count by value: 0, 0.0 and -0.0 ask
    for the same.
    """
    fields: list[Any] = [
        _sampling(value) if isinstance(value, SamplingParams) else value for value in msgspec.structs.astuple(request)
    ]
    return _ENCODER.encode((CANONICAL_VERSION, scope.tenant, scope.model, fields))


def _sampling(sampling: SamplingParams) -> tuple[Any, ...]:
    # Spelled out, as omit_defaults leaves out a nested default by identity, not by value.
    return tuple(
        int(value) if type(value) is float and value.is_integer() else value
        for value in msgspec.structs.astuple(sampling)
    )


class Identity:
    """Makes exact keys: HMAC-SHA256 over the canonical form.

    Keyed, so that whoever reads the store cannot test whether somebody asked
    a given question.
    """

    def __init__(self, key: bytes) -> None:
        self._keyed = hmac.new(key, None, hashlib.sha256)

    def key(self, scope: Scope, request: GenerationInput) -> EntryKey:
        """Return where the answer to ``request`` lies."""
        # Copying a keyed state spares the two hash blocks of the key, a quarter of the time.
        keyed = self._keyed.copy()
        keyed.update(canonical_form(scope, request))
        return EntryKey(scope, keyed.digest())


_ENCODER = msgspec.msgpack.Encoder()
