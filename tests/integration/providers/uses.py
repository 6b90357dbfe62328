"""A request for each thing that the vocabulary can ask for, and by what a wire's request is seen to hold it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from conversations import PIXEL, SCHEMA, WEATHER, asked, called, user
from wires import answered

from penstock_common.llm.types import (
    File,
    GenerationInput,
    Image,
    JsonObject,
    JsonSchema,
    Message,
    Reasoning,
    Role,
    SamplingParams,
    Text,
    ToolChoice,
    ToolChoiceMode,
)
from penstock_common.llm.types import Tool as FreeTool
from penstock_inference.adapters.providers.carried import Use

PDF = b"%PDF-1.4 a document of ours"
CITATIONS = '[{"type":"char_location","cited_text":"x","document_index":0,"document_title":"a.pdf","start_char_index":0,"end_char_index":1}]'
_OTHER = FreeTool(name="clock", parameters_json='{"type":"object"}')
_LOOP = (user("Oslo?"), called("Oslo"))


def _sampled(**more: object) -> GenerationInput:
    return asked(sampling=SamplingParams(**more))  # type: ignore[arg-type]


def _chosen(**more: object) -> GenerationInput:
    return asked(user("Oslo?"), tools=(WEATHER, _OTHER), tool_choice=ToolChoice(**more))  # type: ignore[arg-type]


def _given(*parts: object) -> GenerationInput:
    return asked(Message(role=Role.USER, parts=(Text(text="Look."), *parts)))  # type: ignore[arg-type]


def of_address(use: Use, where: str) -> GenerationInput:
    """Return the request of an image or a document that lies there."""
    if use is Use.IMAGE_URL:
        return _given(Image(url=f"{where}/dot.png", media_type="image/png"))
    return _given(File(name="a.pdf", media_type="application/pdf", url=f"{where}/a.pdf"))


USES: Mapping[Use, GenerationInput] = {
    Use.TEMPERATURE: _sampled(temperature=0.625),
    Use.TOP_P: _sampled(top_p=0.375),
    Use.TOP_K: _sampled(top_k=3737),
    Use.MAX_OUTPUT_TOKENS: _sampled(max_output_tokens=4321),
    Use.STOP: _sampled(stop=("HALT!",)),
    Use.SEED: _sampled(seed=424242),
    Use.FREQUENCY_PENALTY: _sampled(frequency_penalty=0.875),
    Use.PRESENCE_PENALTY: _sampled(presence_penalty=0.125),
    Use.REASONING_EFFORT: _sampled(reasoning_effort="low", max_output_tokens=9000),
    Use.LOGPROBS: _sampled(top_logprobs=3),
    Use.CHOICES: _sampled(choices=2),
    Use.TOOLS: asked(user("Oslo?"), tools=(WEATHER,)),
    Use.CUSTOM_TOOLS: asked(tools=(FreeTool(name="patch", description="Free text.", custom_json="{}"),)),
    Use.STRICT_TOOLS: asked(tools=(FreeTool(name="strictly", parameters_json=SCHEMA, strict=True),)),
    Use.TOOL_CHOICE_NONE: _chosen(mode=ToolChoiceMode.NONE),
    Use.TOOL_CHOICE_REQUIRED: _chosen(mode=ToolChoiceMode.REQUIRED),
    Use.TOOL_CHOICE_NAMED: _chosen(mode=ToolChoiceMode.NAMED, tool_name="weather"),
    Use.ALLOWED_TOOLS: _chosen(mode=ToolChoiceMode.AUTO, allowed_tools=("weather",)),
    Use.PARALLEL_TOOLS: _chosen(mode=ToolChoiceMode.AUTO, parallel=False),
    Use.JSON_OBJECT: asked(response_format=JsonObject()),
    Use.JSON_SCHEMA: asked(response_format=JsonSchema(name="color", schema_json=SCHEMA, strict=True)),
    Use.IMAGE: _given(Image(data=PIXEL, media_type="image/png")),
    Use.IMAGE_URL: of_address(Use.IMAGE_URL, "https://files.example"),
    Use.IMAGE_DETAIL: _given(Image(data=PIXEL, media_type="image/png", detail="high")),
    Use.FILE: _given(File(name="a.pdf", media_type="application/pdf", data=PDF)),
    Use.FILE_URL: of_address(Use.FILE_URL, "https://files.example"),
    Use.FILE_ID: _given(File(id="file-4711", media_type="application/pdf")),
    Use.CITATIONS: _given(File(name="a.pdf", media_type="application/pdf", data=PDF, with_citations=True)),
    Use.REASONING: answered(Reasoning(text="Aha, so.", signature=b"c2lnbmVk", origin="first/m"), Text(text="So.")),
    Use.CACHE_BREAKPOINT: asked(Message(role=Role.USER, parts=(Text(text="Keep.", cache_breakpoint=True),))),
    Use.CACHE_TTL: asked(Message(role=Role.USER, parts=(Text(text="Keep.", cache_breakpoint=True, cache_ttl="1h"),))),
    Use.NAME: asked(Message(role=Role.USER, parts=(Text(text="Hi?"),), name="annabel")),
    Use.LATER_SYSTEM: asked(user("Hi?"), Message(role=Role.SYSTEM, parts=(Text(text="Be kind."),))),
    Use.FAILED_CALL: asked(
        *_LOOP,
        Message(role=Role.TOOL, parts=(Text(text="no such city"),), tool_call_id="call_oslo", is_error=True),
        tools=(WEATHER,),
    ),
    Use.IMAGE_OF_TOOL: asked(
        *_LOOP,
        Message(role=Role.TOOL, parts=(Image(data=PIXEL, media_type="image/png"),), tool_call_id="call_oslo"),
        tools=(WEATHER,),
    ),
    Use.PREFILL: asked(user("Count."), Message(role=Role.ASSISTANT, parts=(Text(text="One, two,"),))),
}
CITED = answered(Text(text="So.", citations_json=CITATIONS))
"""An answer that cites, handed back: of a provider that takes no documents."""

_BASE64_OF_PDF = "JVBERi0xLjQ"
_BASE64_OF_PIXEL = "iVBORw0KGgo"
_USUAL: Mapping[Use, str] = {
    Use.TEMPERATURE: r"0\.625", Use.TOP_P: r"0\.375", Use.TOP_K: "3737", Use.MAX_OUTPUT_TOKENS: "4321",
    Use.STOP: "HALT!", Use.SEED: "424242", Use.FREQUENCY_PENALTY: r"0\.875", Use.PRESENCE_PENALTY: r"0\.125",
    Use.TOOLS: "What the weather is", Use.CUSTOM_TOOLS: "Free text", Use.STRICT_TOOLS: '"strict":true',
    Use.ALLOWED_TOOLS: "weather", Use.JSON_SCHEMA: '"color"', Use.IMAGE: _BASE64_OF_PIXEL,
    Use.IMAGE_URL: "//files.*/dot.png", Use.IMAGE_DETAIL: '"high"', Use.FILE: _BASE64_OF_PDF,
    Use.FILE_URL: "//files.*/a.pdf", Use.FILE_ID: "file-4711", Use.CITATIONS: '"citations"',
    Use.REASONING: r"Aha, so\.|c2lnbmVk", Use.CACHE_BREAKPOINT: "ephemeral|cachePoint|prompt_cache_breakpoint",
    Use.CACHE_TTL: '"1h"', Use.NAME: "annabel", Use.LATER_SYSTEM: r"Be kind\.", Use.FAILED_CALL: "no such city",
    Use.IMAGE_OF_TOOL: _BASE64_OF_PIXEL, Use.PREFILL: "One, two,",
}  # fmt: skip
_OF_FORMATS: Mapping[str, Mapping[Use, str]] = {
    "openai": {
        Use.REASONING_EFFORT: '"reasoning_effort":"low"', Use.LOGPROBS: '"top_logprobs":3', Use.CHOICES: '"n":2',
        Use.TOOL_CHOICE_NONE: '"tool_choice":"none"', Use.TOOL_CHOICE_REQUIRED: '"tool_choice":"required"',
        Use.TOOL_CHOICE_NAMED: r'"tool_choice":\{"type":"function"', Use.PARALLEL_TOOLS: '"parallel_tool_calls":false',
        Use.JSON_OBJECT: '"json_object"', Use.FAILED_CALL: "Error: no such city",
    },
    "openai_responses": {
        Use.REASONING_EFFORT: '"effort":"low"', Use.LOGPROBS: '"top_logprobs":3',
        Use.TOOL_CHOICE_NONE: '"tool_choice":"none"', Use.TOOL_CHOICE_REQUIRED: '"tool_choice":"required"',
        Use.TOOL_CHOICE_NAMED: r'"tool_choice":\{"type":"function"', Use.PARALLEL_TOOLS: '"parallel_tool_calls":false',
        Use.JSON_OBJECT: '"json_object"',
    },
    "anthropic": {
        Use.REASONING_EFFORT: '"effort":"low"|budget_tokens', Use.TOOL_CHOICE_NONE: r'\{"type":"none"',
        Use.TOOL_CHOICE_REQUIRED: r'\{"type":"any"', Use.TOOL_CHOICE_NAMED: r'\{"type":"tool"',
        Use.PARALLEL_TOOLS: '"disable_parallel_tool_use":true', Use.JSON_OBJECT: "JSON", Use.REASONING: "c2lnbmVk",
        Use.FAILED_CALL: '"is_error":true',
    },
    "gemini": {
        Use.REASONING_EFFORT: "thinkingLevel|thinkingBudget", Use.LOGPROBS: '"responseLogprobs":true',
        Use.CHOICES: '"candidateCount":2', Use.TOOL_CHOICE_NONE: '"mode":"NONE"',
        Use.TOOL_CHOICE_REQUIRED: '"mode":"ANY"', Use.TOOL_CHOICE_NAMED: '"allowedFunctionNames"',
        Use.JSON_OBJECT: "application/json", Use.REASONING: "c2lnbmVk", Use.FAILED_CALL: '"error":',
    },
    "bedrock": {
        Use.REASONING_EFFORT: "effort|budget_tokens", Use.TOOL_CHOICE_REQUIRED: r'"any":\{\}',
        Use.TOOL_CHOICE_NAMED: r'"tool":\{"name":"weather"', Use.REASONING: "c2lnbmVk",
        Use.FAILED_CALL: '"status":"error"',
    },
    "ollama": {
        Use.REASONING_EFFORT: '"think":"low"', Use.JSON_OBJECT: '"format":"json"', Use.LOGPROBS: '"top_logprobs":3',
    },
}  # fmt: skip
_OF_FORMATS = {**_OF_FORMATS, "azure": _OF_FORMATS["openai"]}


def is_held(use: Use, request: str, form: str, own: Mapping[Use, str]) -> bool:
    """Return whether a request, JSON without blanks, holds a use in the words of its format, or of the provider's own."""
    sign = own.get(use) or _OF_FORMATS[form].get(use) or _USUAL.get(use)
    return sign is not None and re.search(sign, request) is not None
