"""What Ollama's own API can be told; see ``carried``."""

from __future__ import annotations

from penstock_inference.adapters.providers.carried import HINT, NEVER, NO, YES, How, Row, Table, Use, converted

TABLE: Table = {
    Use.TEMPERATURE: YES,
    Use.TOP_P: YES,
    Use.TOP_K: YES,
    Use.MAX_OUTPUT_TOKENS: converted("`options.num_predict`"),
    Use.STOP: YES,
    Use.SEED: YES,
    Use.FREQUENCY_PENALTY: YES,
    Use.PRESENCE_PENALTY: YES,
    Use.REASONING_EFFORT: converted("`think`: false for `none`, else the nearest of its words"),
    Use.LOGPROBS: NO,
    Use.CHOICES: NEVER,
    Use.TOOLS: YES,
    Use.CUSTOM_TOOLS: NEVER,
    Use.STRICT_TOOLS: HINT,
    Use.TOOL_CHOICE_NONE: converted("without the tools"),
    Use.TOOL_CHOICE_REQUIRED: NO,
    Use.TOOL_CHOICE_NAMED: NO,
    Use.ALLOWED_TOOLS: converted("the others are left out"),
    Use.PARALLEL_TOOLS: Row(How.NO, "is as each model does; `true` asks for nothing"),
    Use.JSON_OBJECT: YES,
    Use.JSON_SCHEMA: YES,
    Use.IMAGE: YES,
    Use.IMAGE_URL: NEVER,
    Use.IMAGE_DETAIL: HINT,
    Use.FILE: NEVER,
    Use.FILE_URL: NEVER,
    Use.FILE_ID: NEVER,
    Use.CITATIONS: HINT,
    Use.REASONING: converted("its text, as `thinking`"),
    Use.CACHE_BREAKPOINT: HINT,
    Use.CACHE_TTL: HINT,
    Use.NAME: HINT,
    Use.LATER_SYSTEM: YES,
    Use.FAILED_CALL: converted("its text begins with `Error: `"),
    Use.IMAGE_OF_TOOL: Row(How.YES, "an image; a document is refused as everywhere"),
    Use.PREFILL: YES,
}
