"""The parts of Converse's events and answers that are read; whatever else is there is passed over."""

from __future__ import annotations

from typing import Any

import msgspec

NOTHING = msgspec.Raw()


class ToolInput(msgspec.Struct, rename="camel"):
    """A piece of a call's arguments."""

    input: str = ""


class ReasoningPiece(msgspec.Struct, rename="camel"):
    """A piece of reasoning; ``redactedContent`` is base64, as it came."""

    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None


class BlockDelta(msgspec.Struct, rename="camel"):
    """What is added to a block: one of these."""

    text: str | None = None
    tool_use: ToolInput | None = None
    reasoning_content: ReasoningPiece | None = None
    citation: msgspec.Raw = NOTHING
    tool_result: list[msgspec.Raw] | None = None
    image: dict[str, msgspec.Raw] | None = None


class Delta(msgspec.Struct, rename="camel"):
    """``contentBlockDelta``."""

    delta: BlockDelta
    content_block_index: int = 0


class ToolUseStart(msgspec.Struct, rename="camel", omit_defaults=True):
    """A call begins; with a ``type`` it is of a tool that the provider runs."""

    tool_use_id: str = ""
    name: str = ""
    type: str = ""


class BlockStart(msgspec.Struct, rename="camel"):
    """What kind of block begins: one of these, or none."""

    tool_use: ToolUseStart | None = None
    tool_result: dict[str, Any] | None = None
    image: dict[str, Any] | None = None


class Start(msgspec.Struct, rename="camel"):
    """``contentBlockStart``."""

    start: BlockStart
    content_block_index: int = 0


class Stop(msgspec.Struct, rename="camel"):
    """``contentBlockStop``."""

    content_block_index: int = 0


class End(msgspec.Struct, rename="camel"):
    """``messageStop``."""

    stop_reason: str
    additional_model_response_fields: Any = None


class CacheDetail(msgspec.Struct, rename="camel"):
    """Tokens that were written to the cache, by how long they stay."""

    ttl: str = ""
    input_tokens: int = 0


class TokenUsage(msgspec.Struct, rename="camel"):
    """What was used."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    cache_details: list[CacheDetail] | None = None


class ServiceTier(msgspec.Struct, rename="camel"):
    """The tier that answered."""

    type: str = ""


class Performance(msgspec.Struct, rename="camel"):
    """``optimized``, or as everybody."""

    latency: str = ""


class Metadata(msgspec.Struct, rename="camel"):
    """``metadata``."""

    usage: msgspec.Raw = NOTHING
    service_tier: ServiceTier | None = None
    performance_config: Performance | None = None


class ToolUse(msgspec.Struct, rename="camel", omit_defaults=True):
    """A whole call."""

    tool_use_id: str = ""
    name: str = ""
    input: msgspec.Raw = NOTHING
    type: str = ""


class ReasoningText(msgspec.Struct, rename="camel"):
    """Whole reasoning."""

    text: str = ""
    signature: str = ""


class ReasoningContent(msgspec.Struct, rename="camel"):
    """Reasoning, shown or not."""

    reasoning_text: ReasoningText | None = None
    redacted_content: str | None = None


class CitedText(msgspec.Struct, rename="camel"):
    """A piece of what is cited for."""

    text: str = ""


class CitationsContent(msgspec.Struct, rename="camel"):
    """Text, and what it refers to."""

    content: list[CitedText] = []
    citations: msgspec.Raw = NOTHING


class Content(msgspec.Struct, rename="camel"):
    """A whole block: one of these."""

    text: str | None = None
    tool_use: ToolUse | None = None
    reasoning_content: ReasoningContent | None = None
    citations_content: CitationsContent | None = None
    tool_result: msgspec.Raw = NOTHING
    image: msgspec.Raw = NOTHING
    video: msgspec.Raw = NOTHING
    audio: msgspec.Raw = NOTHING


class WholeMessage(msgspec.Struct, rename="camel"):
    """The assistant's turn."""

    content: list[Content] = []


class Output(msgspec.Struct, rename="camel"):
    """What was answered."""

    message: WholeMessage


class Whole(msgspec.Struct, rename="camel"):
    """A whole answer."""

    output: Output
    stop_reason: str
    usage: msgspec.Raw = NOTHING
    additional_model_response_fields: Any = None
    service_tier: ServiceTier | None = None
    performance_config: Performance | None = None


DELTA = msgspec.json.Decoder(Delta)
START = msgspec.json.Decoder(Start)
STOP = msgspec.json.Decoder(Stop)
END = msgspec.json.Decoder(End)
METADATA = msgspec.json.Decoder(Metadata)
USAGE = msgspec.json.Decoder(TokenUsage | None)
WHOLE = msgspec.json.Decoder(Whole)
