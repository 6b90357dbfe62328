"""The conversations that every provider is asked: what is said to it, what its upstream answers, and what a caller must see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from penstock_common.llm.types import (
    FinishReason,
    GenerationInput,
    Image,
    JsonSchema,
    Message,
    Role,
    SamplingParams,
    Text,
    Tool,
    ToolCall,
)
from penstock_faults import script
from penstock_faults.script import Answer

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)
WEATHER = Tool(
    name="weather",
    description="What the weather is.",
    parameters_json='{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}',
)
SCHEMA = '{"type":"object","properties":{"color":{"type":"string"}},"required":["color"],"additionalProperties":false}'
OSLO = script.ToolCall(name="weather", fragments=('{"ci', 'ty":', '"Oslo"}'), id="call_oslo")
ROME = script.ToolCall(name="weather", fragments=('{"city":"Rome"}',), id="call_rome")


def user(text: str, *more: Image) -> Message:
    """A user's turn."""
    return Message(role=Role.USER, parts=(Text(text=text), *more))


def asked(*turns: Message, **more: object) -> GenerationInput:
    """A request."""
    return GenerationInput(model="m", messages=turns or (user("Hi?"),), **more)  # type: ignore[arg-type]


def called(*cities: str, text: str = "") -> Message:
    """An assistant's turn that asks for the weather of cities."""
    calls = [(f"call_{city.lower()}", f'{{"city":"{city}"}}') for city in cities]
    parts = (Text(text=text),) if text else ()
    return Message(
        role=Role.ASSISTANT,
        parts=parts,
        tool_calls=tuple(ToolCall(id=one, name="weather", arguments_json=arguments) for one, arguments in calls),
    )


def result(city: str, text: str) -> Message:
    """The answer to a call."""
    return Message(role=Role.TOOL, parts=(Text(text=text),), tool_call_id=f"call_{city.lower()}")


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """One question and its answer. ``answer`` is the upstream's; ``holds`` are words that its request must have."""

    name: str
    answer: Answer
    input: GenerationInput = field(default_factory=asked)
    text: str = ""
    reasoning: str = ""
    calls: tuple[tuple[str, str, Mapping[str, str]], ...] = ()
    reason: FinishReason = FinishReason.STOP
    usage: Mapping[str, int] = field(default_factory=dict[str, int])
    holds: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name


_LOOP = asked(
    Message(role=Role.SYSTEM, parts=(Text(text="Be brief."),)),
    user("The weather of Oslo, and of Rome?"),
    called("Oslo", text="I look."), result("Oslo", "minus four"),
    called("Rome"), result("Rome", "nineteen"),
    tools=(WEATHER,),
)  # fmt: skip
_COUNTED = {"input": 900, "output": 70, "cached": 300, "written": 200, "written_1h": 50, "reasoning": 30}

CONVERSATIONS = (
    Conversation(name="text", answer=Answer(tokens=("Hel", "lo, ", "wörld 👋")), text="Hello, wörld 👋", holds=("Hi?",)),
    Conversation(
        name="parallel tools", input=asked(user("Oslo and Rome?"), tools=(WEATHER,)),
        answer=Answer(tokens=("I ", "look."), tool_calls=(OSLO, ROME), finish_reason="tool_calls"), text="I look.",
        calls=(("call_oslo", "weather", {"city": "Oslo"}), ("call_rome", "weather", {"city": "Rome"})),
        reason=FinishReason.TOOL_CALLS, holds=("What the weather is.", '"required"'),
    ),
    Conversation(
        name="a call alone", input=asked(user("Oslo?"), tools=(WEATHER,)),
        answer=Answer(tokens=(), tool_calls=(OSLO,), finish_reason="tool_calls"),
        calls=(("call_oslo", "weather", {"city": "Oslo"}),), reason=FinishReason.TOOL_CALLS,
    ),
    Conversation(
        name="a loop of three turns", input=_LOOP, answer=Answer(tokens=("Cold ", "and warm.")), text="Cold and warm.",
        holds=("Be brief.", "I look.", "minus four", "nineteen", "Oslo", "Rome"),
    ),
    Conversation(
        name="image", input=asked(user("What is it?", Image(data=PIXEL, media_type="image/png"))),
        answer=Answer(tokens=("A dot.",)), text="A dot.", holds=("iVBORw0KGgo",),
    ),
    Conversation(
        name="reasoning", input=asked(sampling=SamplingParams(max_output_tokens=9000)),
        answer=Answer(reasoning=("Hm", ", so"), tokens=("Forty", "-two")), text="Forty-two", reasoning="Hm, so",
    ),
    Conversation(
        name="structured output",
        input=asked(response_format=JsonSchema(name="color", schema_json=SCHEMA, strict=True)),
        answer=Answer(tokens=('{"color"', ':"red"}')), text='{"color":"red"}', holds=('"color"',),
    ),
    Conversation(
        name="stop", input=asked(sampling=SamplingParams(stop=("END",))),
        answer=Answer(tokens=("So far",), matched_stop="END"), text="So far", holds=("END",),
    ),
    Conversation(
        name="length", input=asked(sampling=SamplingParams(max_output_tokens=4321)),
        answer=Answer(tokens=("Too long",), finish_reason="length"), text="Too long", reason=FinishReason.LENGTH,
        holds=("4321",),
    ),
    Conversation(
        name="filtered in its midst", answer=Answer(tokens=("Take two ",), finish_reason="content_filter"),
        text="Take two ", reason=FinishReason.CONTENT_FILTER,
    ),
    *(
        Conversation(
            name=f"usage, {place}", answer=Answer(tokens=("Counted",), usage=_COUNTED, usage_in=place), text="Counted",
            usage=_COUNTED,
        )
        for place in ("last", "end", "every")
    ),
)  # fmt: skip
