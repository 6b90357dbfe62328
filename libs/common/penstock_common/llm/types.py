"""The vocabulary of the suite as immutable values, free of any wire.

The names and bounds are those of ``penstock.llm.v1``; ``convert`` maps the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import msgspec

NANO_USD_PER_USD = 1_000_000_000
TOKENS_PER_PRICE_UNIT = 1_000_000


class Role(Enum):
    """Author of a conversation turn."""

    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class FinishReason(Enum):
    """Why the model stopped."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An immutable value, compared by content; it never refers back to itself, so nothing collects its garbage."""


class Text(Value, frozen=True, tag="text"):
    """A piece of text in a turn."""

    text: str
    cache_breakpoint: bool = False


class Image(Value, frozen=True, tag="image"):
    """An image by reference (``url``) or inline (``data``); exactly one of them is set."""

    url: str = ""
    data: bytes = b""
    media_type: str = ""
    detail: str = ""
    cache_breakpoint: bool = False


class File(Value, frozen=True, tag="file"):
    """A document inline."""

    name: str = ""
    media_type: str = ""
    data: bytes = b""
    cache_breakpoint: bool = False


class Reasoning(Value, frozen=True, tag="reasoning"):
    """A model's earlier reasoning, handed back to it unchanged; ``extra_json`` is what ``extras`` says."""

    text: str = ""
    signature: bytes = b""
    extra_json: str = ""
    cache_breakpoint: bool = False


ContentPart = Text | Image | File | Reasoning


class ToolCall(Value, frozen=True):
    """A call the model asked for.

    ``arguments_json`` is as the model wrote it, of a custom tool any text; ``extra_json`` what ``extras`` says.
    """

    id: str
    name: str
    arguments_json: str
    is_custom: bool = False
    extra_json: str = ""


class Message(Value, frozen=True):
    """One turn of a conversation."""

    role: Role
    parts: tuple[ContentPart, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    name: str = ""

    @property
    def text(self) -> str:
        """The turn's text parts, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))


class Tool(Value, frozen=True):
    """A function the model may call; the schema is kept verbatim.

    ``custom_json`` is set where its input is free text: the grammar of that, or ``{}``.
    """

    name: str
    description: str = ""
    parameters_json: str = ""
    strict: bool | None = None
    custom_json: str = ""


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


class Candidate(Value, frozen=True):
    """One model at one upstream."""

    upstream: str
    model: str

    def __str__(self) -> str:
        return f"{self.upstream}/{self.model}"


GENERAL_TASK = "general"
"""The task of a prompt that nobody has classified, or that is none of the others."""


class Classification(Value, frozen=True):
    """What the router saw in the prompt; ``complexity`` and ``confidence`` in [0, 1]."""

    task: str
    complexity: float
    confidence: float


class UnitPrices(Value, frozen=True):
    """Prices of one model in nano-dollars per million tokens."""

    input_nano_usd: int = 0
    cached_input_nano_usd: int = 0
    output_nano_usd: int = 0


class UnsupportedFields(Enum):
    """What becomes of a request's fields that no candidate takes, in the configuration's words."""

    REFUSE = "refuse"
    DROP = "drop"
    PASS = "pass"  # noqa: S105 - a word of the configuration, and no password


class Plan(Value, frozen=True):
    """Candidates in order of preference, what each is billed at (in the same order, or nothing), and why.

    ``route_digest``: plans for one public model have equal ones where the same upstreams stand behind it in the same way.
    """

    candidates: tuple[Candidate, ...]
    reason: str = ""
    classification: Classification | None = None
    prices: tuple[UnitPrices, ...] = ()
    route_digest: bytes = b""
    unsupported: UnsupportedFields = UnsupportedFields.REFUSE


class ModelInfo(Value, frozen=True):
    """A model that callers may name; ``capabilities`` and window (in tokens) are the best of its candidates.

    ``prices`` are its first candidate's, None where the configuration says none.
    """

    name: str
    capabilities: tuple[str, ...] = ()
    context_window_tokens: int = 0
    prices: UnitPrices | None = None


class Usage(Value, frozen=True, tag="usage"):
    """Tokens counted by the model that answered."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False


class Started(Value, frozen=True, tag="started"):
    """An upstream accepted the request and its first content has come.

    ``unit_prices`` are what an interrupted answer is billed at; ``dropped`` are
    the fields that the upstream was asked without.
    """

    generation_id: str
    answered_by: Candidate
    unit_prices: UnitPrices = UnitPrices()
    dropped: tuple[str, ...] = ()


class TextDelta(Value, frozen=True, tag="text_delta"):
    """Text to append to a choice; never empty. ``logprobs_json``: its tokens with their probabilities, an array."""

    text: str
    choice: int = 0
    logprobs_json: str = ""


class ReasoningDelta(Value, frozen=True, tag="reasoning_delta"):
    """Text to append to the reasoning trace, and what proves it; never empty."""

    text: str = ""
    signature: bytes = b""
    choice: int = 0
    extra_json: str = ""


class ToolCallDelta(Value, frozen=True, tag="tool_call_delta"):
    """A fragment of one tool call of a choice; ``id``, ``name`` and ``is_custom`` come on the first one only."""

    index: int
    id: str = ""
    name: str = ""
    arguments_json_fragment: str = ""
    extra_json: str = ""
    choice: int = 0
    is_custom: bool = False


class ChoiceFinished(Value, frozen=True, tag="choice_finished"):
    """One of the choices after the first is complete; the first is when the generation is."""

    choice: int
    reason: FinishReason


class RecoveryWay(Enum):
    """How another attempt took over: it went on from what had been sent, or answered anew and began with it."""

    CONTINUED = "continued"
    REGENERATED = "regenerated"


class Recovery(Value, frozen=True):
    """An attempt broke off after some of the answer had been sent, and another made it whole.

    ``cause`` is as in the trace; ``usage`` (estimated) and cost are the broken attempt's.
    """

    broke: Candidate
    cause: str
    way: RecoveryWay
    delivered_characters: int = 0
    usage: Usage = Usage()
    cost_nano_usd: int = 0


class Degradation(Enum):
    """What a caller is given in the place of the model's own answer, where the model's candidates have all failed.

    The answer of another public model, one that was kept for longer than it is fresh, or a text of the operator's.
    """

    SMALLER_MODEL = "smaller_model"
    STALE = "stale"
    TEMPLATE = "template"


class Finished(Value, frozen=True, tag="finished"):
    """The generation is complete. ``cost_nano_usd`` holds that of the ``recoveries``, which happened in their order.

    ``degraded`` is None where it is the model's own answer.
    """

    reason: FinishReason
    answered_by: Candidate
    matched_stop: str = ""
    attempts: int = 0
    cost_nano_usd: int = 0
    unit_prices: UnitPrices = UnitPrices()
    recoveries: tuple[Recovery, ...] = ()
    degraded: Degradation | None = None


ContentEvent = TextDelta | ReasoningDelta | ToolCallDelta | ChoiceFinished
GenerationEvent = Started | TextDelta | ReasoningDelta | ToolCallDelta | ChoiceFinished | Usage | Finished
Batch = Sequence[GenerationEvent]
"""The events that were there at once; never empty."""


def cost_nano_usd(usage: Usage, prices: UnitPrices) -> int:
    """Return what ``usage`` costs, rounded half up once."""
    fresh_input_tokens = max(0, usage.input_tokens - usage.cached_input_tokens)
    total = (
        fresh_input_tokens * prices.input_nano_usd
        + usage.cached_input_tokens * prices.cached_input_nano_usd
        + usage.output_tokens * prices.output_nano_usd
    )
    return (total + TOKENS_PER_PRICE_UNIT // 2) // TOKENS_PER_PRICE_UNIT
