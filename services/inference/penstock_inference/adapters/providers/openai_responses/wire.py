"""The parts of a response, and of the events of one, that an answer is made of."""

from __future__ import annotations

import json
from collections.abc import Container

import msgspec

from penstock_inference.adapters.providers.http.halves import mended
from penstock_inference.adapters.providers.http.json_text import Unreadable, value_of
from penstock_inference.domain.failure import AttemptFailed, FailureKind

ABSENT = msgspec.Raw()
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Alternative(msgspec.Struct, gc=False):
    """A token that might have stood there."""

    token: str = ""
    logprob: float = 0.0
    bytes: list[int] | None = None


class Token(Alternative, gc=False):
    """A token of a text, with its probability."""

    top_logprobs: list[Alternative] = []


class Part(msgspec.Struct, gc=False):
    """A part of a message, of a summary or of reasoning."""

    type: str = ""
    text: str | None = None
    refusal: str | None = None
    annotations: list[msgspec.Raw] | None = None
    logprobs: list[Token] | None = None


class Item(msgspec.Struct, gc=False):
    """One item of the output."""

    type: str = ""
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    input: str | None = None
    content: list[Part] | None = None
    summary: list[Part] | None = None
    encrypted_content: str | None = None


class InputDetails(msgspec.Struct, gc=False):
    """Parts of the tokens that were sent."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class OutputDetails(msgspec.Struct, gc=False):
    """Parts of the tokens that came back."""

    reasoning_tokens: int | None = None


class UsageCounts(msgspec.Struct, gc=False):
    """Tokens, as the server counted them."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: InputDetails | None = None
    output_tokens_details: OutputDetails | None = None


class Incomplete(msgspec.Struct, gc=False):
    """Why an answer is not whole."""

    reason: str | None = None


class Response(msgspec.Struct, gc=False):
    """A response: a whole answer, or what a terminal event holds."""

    object: str | None = None
    status: str | None = None
    output: list[msgspec.Raw] | None = None
    usage: UsageCounts | None = None
    error: msgspec.Raw = ABSENT
    incomplete_details: Incomplete | None = None
    service_tier: str | None = None


class Event(msgspec.Struct, gc=False):
    """One event of a stream."""

    type: str = ""
    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    delta: str | None = None
    arguments: str | None = None
    input: str | None = None
    item: msgspec.Raw = ABSENT
    annotation: msgspec.Raw = ABSENT
    logprobs: list[Token] | None = None
    response: Response | None = None
    error: msgspec.Raw = ABSENT


class _Type(msgspec.Struct, gc=False):
    type: str = ""


class _Holder(msgspec.Struct, gc=False):
    response: msgspec.Raw = ABSENT


_HOLDER = msgspec.json.Decoder(_Holder)
_EVENT = msgspec.json.Decoder(Event)
_RESPONSE = msgspec.json.Decoder(Response)
_ITEM = msgspec.json.Decoder(Item)
_TYPE = msgspec.json.Decoder(_Type)


def event_in(payload: bytes, known: Container[str]) -> Event:
    """Return an event; of one whose type is not ``known`` the type alone, if that.

    Raises:
        AttemptFailed: MALFORMED for what cannot be read and may have held a part of the answer.
    """
    try:
        return _EVENT.decode(payload)
    except _UNREADABLE:
        pass
    mended = _mended(payload)
    try:
        return _EVENT.decode(mended)
    except _UNREADABLE:
        if type_in(mended) not in known:
            return Event()
        raise _malformed() from None


def response_raw_in(payload: bytes) -> bytes:
    """Return the response that a terminal event holds, as it stands; b"" where it holds none."""
    try:
        return bytes(_HOLDER.decode(payload).response)
    except _UNREADABLE:
        return b""


def type_in(payload: bytes) -> str:
    """Return what an event, or an item, says that it is."""
    try:
        return _TYPE.decode(payload).type
    except _UNREADABLE:
        return ""


def item_in(raw: msgspec.Raw) -> Item:
    """Return an item of a known type.

    Raises:
        AttemptFailed: MALFORMED for what is none.
    """
    try:
        return _ITEM.decode(raw)
    except _UNREADABLE:
        raise _malformed() from None


def response_in(body: bytes) -> Response:
    """Return a whole answer.

    Raises:
        AttemptFailed: MALFORMED for what is none.
    """
    try:
        return _RESPONSE.decode(body)
    except _UNREADABLE:
        pass
    try:
        return _RESPONSE.decode(_mended(body))
    except _UNREADABLE:
        raise _malformed() from None


def _mended(payload: bytes) -> bytes:
    """Return JSON that a strict parser refuses, such as for the half of a surrogate pair, so that it does not."""
    try:
        value = value_of(payload.removeprefix(b"\xef\xbb\xbf"))
    except Unreadable:
        raise _malformed() from None
    return mended(json.dumps(value, ensure_ascii=False, separators=(",", ":"))).encode()


def _malformed() -> AttemptFailed:
    return AttemptFailed(FailureKind.MALFORMED, "the upstream sent a malformed event")
