"""What the cache is asked, and what it answers."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from enum import Enum
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
    Text,
    Value,
)

# Part of every digest: a changed form must not meet old entries.
CANONICAL_VERSION = 3
MAX_MEANING_CHARACTERS = 8192
"""Of a text that is matched by meaning: several times what a small model's window takes."""


class Scope(NamedTuple):
    """A boundary that no hit may cross; an empty model means every model, an empty tenant every tenant."""

    tenant: str
    model: str

    def covers(self, other: Scope) -> bool:
        """Return whether everything in ``other`` lies in this scope."""
        return self.tenant in ("", other.tenant) and self.model in ("", other.model)


class Meaning(Value, frozen=True):
    """What of a request is matched by meaning: the ``text`` of its last turn, among those of the same ``fingerprint``.

    The fingerprint is SHA-256 over the canonical form of everything but that
    text. ``user`` is for whom the caller speaks, empty where nobody knows; with
    ``is_private`` what is kept serves that user alone. ``vector`` is the text's
    unit vector where one was made already (float32, little-endian), by
    ``vector_model`` (name and revision).
    """

    text: str
    fingerprint: bytes
    user: str = ""
    vector: bytes = b""
    vector_model: str = ""
    is_private: bool = False


class Probe(Value, frozen=True):
    """What the cache needs to know of a request: its identity, and what decides whether it may be cached.

    ``digest`` is SHA-256 over the canonical form; ``temperature`` and
    ``max_output_tokens`` are None where the model's default is asked for.
    ``meaning`` is None where only an equal request is a hit.
    """

    digest: bytes
    temperature: float | None = None
    max_output_tokens: int | None = None
    has_tools_in_flight: bool = False
    refers_to_the_web: bool = False
    meaning: Meaning | None = None


class LookupRequest(Value, frozen=True):
    """Asks for an answer to an equal request of the scope that is not older than ``max_age``.

    With ``stale_for`` one will do whose time to live has been over for at most so long. ``afresh``: none will do, and the
    scope's generation alone is asked for, which the answer that is made now is to be stored with.
    """

    scope: Scope
    probe: Probe
    max_age: timedelta | None = None
    stale_for: timedelta | None = None
    afresh: bool = False


class Origin(Enum):
    """Where an entry comes from; the value is what people read."""

    ANSWERED = ""
    """A model gave the answer."""
    IMPORTED = "imported"
    """The tenant has put the pair in."""
    ALIAS = "alias"
    """Another wording of an entry, whose answer turned out to be the same."""


class Hit(Value, frozen=True):
    """An answer worth reusing, as the events that replay it; created at Unix seconds, ``similarity`` 1 if exact.

    ``entry_id`` is what it is deleted or disputed by, where it was matched ``by_meaning``.
    """

    events: tuple[Any, ...]
    created_at: float
    similarity: float = 1.0
    entry_id: str = ""
    by_meaning: bool = False
    origin: Origin = Origin.ANSWERED


class Near(NamedTuple):
    """An entry whose text is near a request's, and which was not served: its cosine, and the guard's score in [0, 1]."""

    entry_id: str
    similarity: float
    score: float


class LookupResponse(Value, frozen=True):
    """A hit, or why there may be none, or neither on a miss, which has the scope's ``generation``.

    ``miss_reason`` is why in one word, empty on a miss where nothing was near.
    A miss has what was ``near``, and the text's vector where one was made.
    """

    hit: Hit | None = None
    bypass_reason: str = ""
    generation: str = ""
    miss_reason: str = ""
    near: Near | None = None
    vector: bytes = b""
    vector_model: str = ""


class StoreRequest(Value, frozen=True):
    """Asks to keep an answer; ``created_at`` None means now, ``ttl`` None the service's own.

    ``generation`` is that of the look-up before, so that no invalidation in between is undone; empty means the present one.
    ``stale_for`` is how long it is kept past its time to live, for look-ups that ask for that. ``tags`` are what it can be
    deleted by; ``near`` is that of the look-up before, which learns from the two answers.
    """

    scope: Scope
    probe: Probe
    events: Batch
    created_at: float | None = None
    ttl: timedelta | None = None
    generation: str = ""
    stale_for: timedelta | None = None
    tags: tuple[str, ...] = ()
    near: Near | None = None
    origin: Origin = Origin.ANSWERED


class Invalidation(Value, frozen=True):
    """Asks to void what lies in a scope; one without a tenant must say that ``every_tenant`` is meant."""

    scope: Scope
    every_tenant: bool = False


class EntryFilter(Value, frozen=True):
    """Which of a tenant's entries are meant: all that fit every field that is set."""

    scope: Scope
    entry_ids: tuple[str, ...] = ()
    tag: str = ""
    user: str = ""


class EntryRecord(Value, frozen=True):
    """An entry that is matched by meaning, for people; times are Unix seconds.

    ``question`` and ``answer`` are empty where content was not asked for.
    ``threshold`` is what a request must score to be served it, as learned from
    ``evidence_same`` wordings whose answers were the same and
    ``evidence_different`` whose were not.
    """

    entry_id: str
    model: str
    question: str = ""
    answer: str = ""
    tags: tuple[str, ...] = ()
    is_private: bool = False
    created_at: float = 0.0
    expires_at: float = 0.0
    origin: Origin = Origin.ANSWERED
    hits: int = 0
    threshold: float = 0.0
    evidence_same: int = 0
    evidence_different: int = 0
    alias_of: str = ""
    saved_tokens: int = 0
    saved_nano_usd: int = 0


class EntryQuery(Value, frozen=True):
    """Asks for a page of at most ``page_size`` entries, in the order of their ids; an empty ``page_token`` asks for the first."""

    filter: EntryFilter
    page_size: int = 100
    page_token: str = ""
    with_content: bool = False


class EntryPage(Value, frozen=True):
    """A page; ``next_page_token`` is empty on the last."""

    entries: tuple[EntryRecord, ...] = ()
    next_page_token: str = ""


class Deletion(Value, frozen=True):
    """Asks to delete what the filter names, or to count it where ``dry_run``."""

    filter: EntryFilter
    dry_run: bool = False


class ExplainRequest(Value, frozen=True):
    """Asks whether an answer to ``stored`` would be served to ``asked``."""

    scope: Scope
    stored: str
    asked: str


class Explanation(Value, frozen=True):
    """Whether it would, and why: ``reason`` in one word as in metrics, ``detail`` for people.

    ``similarity`` is the cosine, nothing below ``floor`` is judged; ``score`` is
    how likely the answer is right, ``threshold`` what an entry without evidence needs.
    """

    served: bool
    reason: str = ""
    detail: str = ""
    similarity: float = 0.0
    score: float = 0.0
    threshold: float = 0.0
    floor: float = 0.0


class Dispute(NamedTuple):
    """Says that an entry was served, and was wrong."""

    scope: Scope
    entry_id: str


class Stats(Value, frozen=True):
    """Counts since the process started; ``memory_entries`` and ``semantic_entries`` are those held now.

    ``semantic_entries`` is None while they cannot be counted;
    ``semantic_trouble`` says why nothing is matched by meaning now.
    """

    memory_hits: int = 0
    redis_hits: int = 0
    misses: int = 0
    stores: int = 0
    refusals: int = 0
    memory_entries: int = 0
    semantic_hits: int = 0
    refused_by_guard: dict[str, int] = {}
    not_compared: dict[str, int] = {}
    embedded: int = 0
    judged_hits: int = 0
    false_hits: int = 0
    saved_tokens: int = 0
    saved_nano_usd: int = 0
    semantic_entries: int | None = None
    semantic_trouble: str = ""


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


def meaning_of(
    request: GenerationInput, route_digest: bytes = b"", regions: tuple[str, ...] = (), *, user: str = ""
) -> Meaning | None:
    """Return what of ``request`` is matched by meaning; None unless its last turn is a user's, of text alone.

    Everything else counts for the fingerprint: two requests are compared only where all of that is equal.
    """
    messages = request.messages
    last = messages[-1] if messages else None
    if last is None or last.role is not Role.USER or not all(isinstance(part, Text) for part in last.parts):
        return None
    # Parts of one turn are one text to a model.
    text = "\n".join([part.text for part in last.parts if isinstance(part, Text)])
    if not text or len(text) > MAX_MEANING_CHARACTERS:
        return None
    bare = msgspec.structs.replace(last, parts=())
    rest = msgspec.structs.replace(request, messages=(*messages[:-1], bare))
    return Meaning(text, hashlib.sha256(canonical_form(rest, route_digest, regions)).digest(), user)


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
