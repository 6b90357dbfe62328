"""What is asked: turns, tools, and how the answer is to be."""

from __future__ import annotations

from enum import Enum

import msgspec


class Role(Enum):
    """Author of a conversation turn."""

    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An immutable value, compared by content; it never refers back to itself, so nothing collects its garbage."""


class Text(Value, frozen=True, tag="text"):
    """A piece of text in a turn; ``citations_json`` is what it refers to, an array in its writer's form, or ``''``.

    Of every part: a provider's prompt cache may end a prefix after one with ``cache_breakpoint``, and keeps it for
    ``cache_ttl`` (``5m``, ``1h``, or ``''`` for as long as it does by itself).
    """

    text: str
    cache_breakpoint: bool = False
    cache_ttl: str = ""
    citations_json: str = ""


class Image(Value, frozen=True, tag="image"):
    """An image by reference (``url``) or inline (``data``); exactly one of them is set."""

    url: str = ""
    data: bytes = b""
    media_type: str = ""
    detail: str = ""
    cache_breakpoint: bool = False
    cache_ttl: str = ""


class File(Value, frozen=True, tag="file"):
    """A document inline (``data``), by ``url``, or by the ``id`` that the provider who keeps it gave.

    ``context`` is what the model is told beside its name; ``with_citations`` has the answer say what it rests on.
    """

    name: str = ""
    media_type: str = ""
    data: bytes = b""
    url: str = ""
    id: str = ""
    context: str = ""
    with_citations: bool = False
    cache_breakpoint: bool = False
    cache_ttl: str = ""


class Reasoning(Value, frozen=True, tag="reasoning"):
    """A model's earlier reasoning, handed back to it unchanged; ``extra_json`` is what ``extras`` says.

    ``hidden`` stands in the place of ``text`` that the provider does not show. ``origin`` is whom signature, hidden content
    and extras are bound to: ``upstream/model``, perhaps with ``#account``; ``''`` where nobody knows.
    """

    text: str = ""
    signature: bytes = b""
    extra_json: str = ""
    hidden: bytes = b""
    origin: str = ""
    cache_breakpoint: bool = False
    cache_ttl: str = ""


class Opaque(Value, frozen=True, tag="opaque"):
    """A block, or a tool, that only one format knows: one JSON object, verbatim, for providers that speak ``format``."""

    format: str
    json: str
    cache_breakpoint: bool = False
    cache_ttl: str = ""


ContentPart = Text | Image | File | Reasoning | Opaque


class ToolCall(Value, frozen=True):
    """A call the model asked for.

    ``arguments_json`` is as the model wrote it, of a custom tool any text; ``extra_json`` what ``extras`` says, and
    ``origin`` whom that is bound to, as ``Reasoning`` has it.
    ``parts_before``: how many of the turn's parts stand before it, None for all of them.
    """

    id: str
    name: str
    arguments_json: str
    is_custom: bool = False
    extra_json: str = ""
    parts_before: int | None = None
    origin: str = ""


class Message(Value, frozen=True):
    """One turn of a conversation; ``is_error``: the call that it answers failed."""

    role: Role
    parts: tuple[ContentPart, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    name: str = ""
    is_error: bool = False

    @property
    def text(self) -> str:
        """The turn's text parts, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))


class Tool(Value, frozen=True):
    """A function the model may call; the schema is kept verbatim.

    ``custom_json`` is set where its input is free text: the grammar of that, or ``{}``; ``opaque`` where the provider
    runs it by itself.
    """

    name: str
    description: str = ""
    parameters_json: str = ""
    strict: bool | None = None
    custom_json: str = ""
    cache_breakpoint: bool = False
    cache_ttl: str = ""
    opaque: Opaque | None = None


class ToolChoiceMode(Enum):
    """How the model chooses among tools."""

    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"
    NAMED = "named"


class ToolChoice(Value, frozen=True):
    """Which tool the model must or may call; ``allowed_tools`` empty means any of them."""

    mode: ToolChoiceMode | None = None
    tool_name: str = ""
    parallel: bool | None = None
    allowed_tools: tuple[str, ...] = ()


class SamplingParams(Value, frozen=True):
    """Sampling knobs; ``None`` means the model's default.

    ``top_logprobs`` 0 reports the tokens themselves, None reports nothing.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_output_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    reasoning_effort: str = ""
    top_logprobs: int | None = None
    choices: int | None = None


class JsonObject(Value, frozen=True, tag="json_object"):
    """The output must be any JSON object."""


class JsonSchema(Value, frozen=True, tag="json_schema"):
    """The output must be JSON that the schema accepts; the schema is kept verbatim."""

    name: str
    schema_json: str = ""
    strict: bool | None = None
    description: str = ""


ResponseFormat = JsonObject | JsonSchema


class GenerationInput(Value, frozen=True):
    """Everything a model needs to produce one completion.

    ``extra_json`` and ``hints_json`` are objects of top-level fields that Penstock
    does not read; what is in the second changes nothing of the answer.
    """

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    sampling: SamplingParams = SamplingParams()
    response_format: ResponseFormat | None = None
    extra_json: str = ""
    hints_json: str = ""


class RequestContext(Value, frozen=True):
    """Who asks, beyond the tenant that the key proves."""

    user: str = ""
    feature: str = ""
    tags: dict[str, str] = {}
