"""What the cache is asked, and what it answers."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import astuple

from penstock_common.llm.types import (
    Batch,
    ContentPart,
    File,
    GenerationInput,
    Image,
    Message,
    Role,
    SamplingParams,
    Value,
)

# Part of every digest: a changed form must not meet old entries.
CANONICAL_VERSION = 3


class Scope(NamedTuple):
    """A boundary that no hit may cross; an empty model means every model, an empty tenant every tenant."""

    tenant: str
    model: str

    def covers(self, other: Scope) -> bool:
        """Return whether everything in ``other`` lies in this scope."""
        return self.tenant in ("", other.tenant) and self.model in ("", other.model)


class Probe(Value, frozen=True):
    """What the cache needs to know of a request: its identity, and what decides whether it may be cached.

    ``digest`` is SHA-256 over the canonical form; ``temperature`` and
    ``max_output_tokens`` are None where the model's default is asked for.
    """

    digest: bytes
    temperature: float | None = None
    max_output_tokens: int | None = None
    has_tools_in_flight: bool = False
    refers_to_the_web: bool = False


class LookupRequest(Value, frozen=True):
    """Asks for an answer to an equal request of the scope that is not older than ``max_age``.

    With ``stale_for`` one will do whose time to live has been over for at most so long.
    """

    scope: Scope
    probe: Probe
    max_age: timedelta | None = None
    stale_for: timedelta | None = None


class Hit(Value, frozen=True):
    """An answer worth reusing, as the events that replay it; created at Unix seconds, ``similarity`` 1 if exact."""

    events: tuple[Any, ...]
    created_at: float
    similarity: float = 1.0


class LookupResponse(Value, frozen=True):
    """A hit, or why there may be none, or neither on a miss, which has the scope's ``generation``."""

    hit: Hit | None = None
    bypass_reason: str = ""
    generation: str = ""


class StoreRequest(Value, frozen=True):
    """Asks to keep an answer; ``created_at`` None means now, ``ttl`` None the service's own.

    ``generation`` is that of the look-up before, so that no invalidation in between is undone; empty means the present one.
    ``stale_for`` is how long it is kept past its time to live, for look-ups that ask for that.
    """

    scope: Scope
    probe: Probe
    events: Batch
    created_at: float | None = None
    ttl: timedelta | None = None
    generation: str = ""
    stale_for: timedelta | None = None


class Invalidation(Value, frozen=True):
    """Asks to void what lies in a scope; one without a tenant must say that ``every_tenant`` is meant."""

    scope: Scope
    every_tenant: bool = False


class Stats(Value, frozen=True):
    """Counts since the process started; ``memory_entries`` are those held now."""

    memory_hits: int = 0
    redis_hits: int = 0
    misses: int = 0
    stores: int = 0
    refusals: int = 0
    memory_entries: int = 0


def probe_of(request: GenerationInput, route_digest: bytes = b"", regions: tuple[str, ...] = ()) -> Probe:
    """Return what the cache needs to know of ``request``, which takes a route, for a tenant of these regions."""
    in_flight = web = large = False
    # A member is found through its class only slowly.
    tool = Role.TOOL
    for message in request.messages:
        if message.tool_calls or message.role is tool:
            in_flight = True
        elif len(message.parts) != 1 or isinstance(message.parts[0], Image):
            web = web or _refers_to_the_web(message)
            large = large or any(map(_is_large, message.parts))
    sampling = request.sampling
    return Probe(
        digest=hashlib.sha256(
            _form_with_digests(request, route_digest, regions)
            if large
            else canonical_form(request, route_digest, regions)
        ).digest(),
        temperature=sampling.temperature,
        max_output_tokens=sampling.max_output_tokens,
        has_tools_in_flight=in_flight,
        refers_to_the_web=web,
    )


def canonical_form(request: GenerationInput, route_digest: bytes = b"", regions: tuple[str, ...] = ()) -> bytes:
    """Return bytes that are equal for equal requests and differ for different ones.

    So they do where other upstreams stand behind the model, or the tenant's regions are others: an answer is kept
    for as long as asking would lead to the same.
    All fields count, by position, those that future versions add included; but
    for hints, which change nothing of the answer.
    Strings are verbatim: white space inside a JSON schema reaches the model,
    so it is part of the request. Numbers count by value: 0, 0.0 and -0.0 ask
    for the same.
    """
    fields: list[Any] = [*astuple(request)]
    sampling = request.sampling
    fields[_HINTS_AT] = None
    fields[_SAMPLING_AT] = _NO_WISHES_FORM if sampling == _NO_WISHES else _sampling(sampling)
    return _ENCODER.encode((CANONICAL_VERSION, fields, route_digest, regions))


def _form_with_digests(request: GenerationInput, route_digest: bytes, regions: tuple[str, ...]) -> bytes:
    """Return what does as a canonical form, with digests in the place of large data, which is not copied."""
    digests = [
        (turn, place, hashlib.sha256(part.data).digest())
        for turn, message in enumerate(request.messages)
        for place, part in enumerate(message.parts)
        if isinstance(part, Image | File) and len(part.data) > _LARGE_DATA_BYTES
    ]
    messages = tuple([_without_large_data(message) for message in request.messages])
    form = canonical_form(msgspec.structs.replace(request, messages=messages), route_digest, regions)
    return _ENCODER.encode((form, digests))


def _without_large_data(message: Message) -> Message:
    if not any(map(_is_large, message.parts)):
        return message
    parts = tuple([msgspec.structs.replace(part, data=b"") if _is_large(part) else part for part in message.parts])
    return msgspec.structs.replace(message, parts=parts)


def _is_large(part: ContentPart) -> bool:
    return isinstance(part, Image | File) and len(part.data) > _LARGE_DATA_BYTES


def _sampling(sampling: SamplingParams) -> tuple[Any, ...]:
    # Spelled out, as omit_defaults leaves out a nested default by identity, not by value.
    return tuple(int(value) if type(value) is float and value.is_integer() else value for value in astuple(sampling))


def _refers_to_the_web(message: Message) -> bool:
    return any(isinstance(part, Image) and part.url and not part.url.startswith("data:") for part in message.parts)


_LARGE_DATA_BYTES = 64 * 1024
_ENCODER = msgspec.msgpack.Encoder()
_NAMES = [field.name for field in msgspec.structs.fields(GenerationInput)]
_SAMPLING_AT, _HINTS_AT = _NAMES.index("sampling"), _NAMES.index("hints_json")
_NO_WISHES = SamplingParams()
_NO_WISHES_FORM = _sampling(_NO_WISHES)
