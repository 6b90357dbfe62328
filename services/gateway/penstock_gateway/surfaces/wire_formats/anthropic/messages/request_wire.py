"""The Messages API's request on the wire.

Names and optionality are those of https://platform.claude.com/docs/en/api/messages, as read from the types of
anthropic-python 2. Fields that are not here travel on verbatim, blocks of other types as well: the vendor adds to both
with every release.
"""

from __future__ import annotations

from typing import Literal

import msgspec

ABSENT = msgspec.Raw(b"null")


class WireObject(msgspec.Struct, kw_only=True, gc=False):
    """An object that may have further fields."""


class CacheControl(WireObject):
    """A prefix ends here for the provider's prompt cache."""

    type: Literal["ephemeral"] = "ephemeral"
    ttl: Literal["5m", "1h"] | None = None


class DocumentCitations(WireObject):
    """Whether the answer says what of a document it rests on."""

    enabled: bool | None = None


class Source(WireObject):
    """Where an image or a document is from: ``data``, a ``url``, or a file that the provider keeps."""

    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None


class Block(WireObject):
    """A block of content, of whatever type: each type has some of these."""

    type: str
    text: str | None = None
    source: msgspec.Raw = ABSENT
    title: str | None = None
    context: str | None = None
    citations: msgspec.Raw = ABSENT
    cache_control: CacheControl | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = ABSENT
    caller: msgspec.Raw = ABSENT
    tool_use_id: str | None = None
    content: msgspec.Raw = ABSENT
    is_error: bool | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None


class Turn(WireObject):
    """A turn of the conversation."""

    role: Literal["user", "assistant", "system"]
    content: str | list[Block]


class TextBlock(WireObject):
    """A block of the system prompt."""

    type: Literal["text"]
    text: str
    cache_control: CacheControl | None = None


class Tool(WireObject):
    """A tool; one with another ``type`` than ``custom`` is the provider's own."""

    name: str = ""
    type: str | None = None
    description: str | None = None
    input_schema: msgspec.Raw = ABSENT
    strict: bool | None = None
    cache_control: CacheControl | None = None


class ToolChoice(WireObject):
    """How the model chooses among them."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class Thinking(WireObject):
    """How much it is to think before it answers."""

    type: str
    budget_tokens: int | None = None


class OutputFormat(WireObject):
    """What the answer's text has to be."""

    type: Literal["json_schema"]
    schema: msgspec.Raw


class OutputConfig(WireObject):
    """How hard it tries, and in which form it answers."""

    effort: str | None = None
    format: OutputFormat | None = None


class Metadata(WireObject):
    """Whom the request is for."""

    user_id: str | None = None


class MessagesRequest(WireObject):
    """Body of ``POST /v1/messages``: the fields that Penstock reads."""

    model: str
    messages: list[Turn]
    max_tokens: int | None = None
    system: str | list[TextBlock] | None = None
    stream: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    metadata: Metadata | None = None
    service_tier: str | None = None


class VerbatimTurn(WireObject):
    """A turn whose blocks are kept as they are written."""

    content: str | list[msgspec.Raw]


class VerbatimRequest(WireObject):
    """What of a request may have to travel on as it is written."""

    messages: list[VerbatimTurn]
    tools: list[msgspec.Raw] | None = None
