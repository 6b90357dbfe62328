"""What of a request the Responses API carries."""

from __future__ import annotations

from penstock_inference.adapters.providers.carried import HINT, YES, How, Row, Table, Use, converted

_BY_FACTS = Row(How.YES, "where the model takes it; else as `unsupported` says")
_NO_FIELD = Row(How.NO, "has no field in the Responses API")

TABLE: Table = {
    Use.TEMPERATURE: _BY_FACTS,
    Use.TOP_P: _BY_FACTS,
    Use.TOP_K: _NO_FIELD,
    Use.MAX_OUTPUT_TOKENS: converted("at least 16, which is the least that it takes"),
    Use.STOP: _NO_FIELD,
    Use.SEED: _NO_FIELD,
    Use.FREQUENCY_PENALTY: Row(How.NO, "has no field in the Responses API; 0 needs none"),
    Use.PRESENCE_PENALTY: Row(How.NO, "has no field in the Responses API; 0 needs none"),
    Use.REASONING_EFFORT: Row(How.YES, "the nearest that the model takes, where its facts name them"),
    Use.LOGPROBS: converted("`include`"),
    Use.CHOICES: Row(How.NEVER, "has no field in the Responses API"),
    Use.TOOLS: YES,
    Use.CUSTOM_TOOLS: YES,
    Use.STRICT_TOOLS: YES,
    Use.TOOL_CHOICE_NONE: YES,
    Use.TOOL_CHOICE_REQUIRED: YES,
    Use.TOOL_CHOICE_NAMED: YES,
    Use.ALLOWED_TOOLS: YES,
    Use.PARALLEL_TOOLS: YES,
    Use.JSON_OBJECT: YES,
    Use.JSON_SCHEMA: YES,
    Use.IMAGE: YES,
    Use.IMAGE_URL: YES,
    Use.IMAGE_DETAIL: YES,
    Use.FILE: YES,
    Use.FILE_URL: YES,
    Use.FILE_ID: YES,
    Use.CITATIONS: HINT,
    Use.REASONING: converted(
        "what OpenAI encrypted goes back, with its summary; any other has no place, is left out and noted"
    ),
    Use.CACHE_BREAKPOINT: Row(How.YES, "`prompt_cache_breakpoint` of a part, where the facts of the model say so"),
    Use.CACHE_TTL: HINT,
    Use.NAME: HINT,
    Use.LATER_SYSTEM: YES,
    Use.FAILED_CALL: converted("its text begins with `Error: `"),
    Use.IMAGE_OF_TOOL: YES,
    Use.PREFILL: Row(How.YES, "as history: the answer begins anew"),
}
