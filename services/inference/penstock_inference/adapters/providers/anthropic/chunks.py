"""The parts of an answer, streamed or whole, that events are made of; what nothing is read of stays as it came."""

from __future__ import annotations

import msgspec

ABSENT = msgspec.Raw()


class Details(msgspec.Struct, gc=False):
    """What is said of the end, beside the reason."""

    type: str | None = None
    category: str | None = None
    explanation: str | None = None


class Message(msgspec.Struct, gc=False):
    """A whole answer, or how one begins or ends."""

    type: str | None = None
    content: list[msgspec.Raw] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: Details | None = None
    usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


class Event(msgspec.Struct, gc=False):
    """One event of a stream."""

    type: str = ""
    index: int = 0
    message: Message | None = None
    content_block: msgspec.Raw = ABSENT
    delta: msgspec.Raw = ABSENT
    usage: msgspec.Raw = ABSENT


class Block(msgspec.Struct, gc=False):
    """A block as it begins, or whole."""

    type: str
    text: str | None = None
    citations: list[msgspec.Raw] | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = ABSENT


class Delta(msgspec.Struct, gc=False):
    """A piece of a block."""

    type: str = ""
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    signature: str | None = None
    citation: msgspec.Raw = ABSENT


class TypeOfBlock(msgspec.Struct, gc=False):
    """What a block is."""

    type: str = ""


class CacheCreation(msgspec.Struct, gc=False):
    """What was written to the prompt cache, by how long it is kept."""

    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class OutputDetails(msgspec.Struct, gc=False):
    """Parts of what was written."""

    thinking_tokens: int | None = None


class UsageCounts(msgspec.Struct, gc=False):
    """Tokens as the server counted them: those read from the cache, or written to it, are no part of ``input_tokens``."""

    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: CacheCreation | None = None
    output_tokens: int | None = None
    output_tokens_details: OutputDetails | None = None
    service_tier: str | None = None
    speed: str | None = None
    inference_geo: str | None = None
    iterations: list[UsageCounts] | None = None
    type: str | None = None
    """Of an iteration: what it was for."""


EVENT = msgspec.json.Decoder(Event)
MESSAGE = msgspec.json.Decoder(Message)
BLOCK = msgspec.json.Decoder(Block)
TYPE = msgspec.json.Decoder(TypeOfBlock)
DELTA = msgspec.json.Decoder(Delta)
USAGE = msgspec.json.Decoder(UsageCounts)
MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a decoder raises for bytes that are not of its type."""
