"""What Converse can be told; see ``carried``."""

from __future__ import annotations

from penstock_inference.adapters.providers.carried import (
    FREE_TEXT,
    HINT,
    NEVER,
    NO,
    YES,
    How,
    Row,
    Table,
    Use,
    converted,
)

_OF_A_MODEL = Row(How.NO, "has no field in Converse; `pass` sends it as a field of the model's own")

TABLE: Table = {
    Use.TEMPERATURE: YES,
    Use.TOP_P: YES,
    Use.TOP_K: converted("`additionalModelRequestFields.top_k`"),
    Use.MAX_OUTPUT_TOKENS: YES,
    Use.STOP: YES,
    Use.SEED: _OF_A_MODEL,
    Use.FREQUENCY_PENALTY: _OF_A_MODEL,
    Use.PRESENCE_PENALTY: _OF_A_MODEL,
    Use.REASONING_EFFORT: converted(
        "`outputConfig.effort`, or `thinking`, as the model's facts say; the nearest that it has"
    ),
    Use.LOGPROBS: NO,
    Use.CHOICES: NEVER,
    Use.TOOLS: YES,
    Use.CUSTOM_TOOLS: FREE_TEXT,
    Use.STRICT_TOOLS: YES,
    Use.TOOL_CHOICE_NONE: converted(
        "without the tools, which is another prompt to its cache; refused where earlier turns hold calls, as Bedrock then "
        "wants tools, or thinking that is bound to them"
    ),
    Use.TOOL_CHOICE_REQUIRED: converted("`any`"),
    Use.TOOL_CHOICE_NAMED: YES,
    Use.ALLOWED_TOOLS: converted(
        "the others are left out. Where thinking is bound to the tools, as `unsupported` says, and dropped means that all may be "
        "called"
    ),
    Use.PARALLEL_TOOLS: Row(How.NO, "is as each model does; `true` asks for nothing"),
    Use.JSON_OBJECT: Row(How.NO, "has no field in Converse; a schema has"),
    Use.JSON_SCHEMA: converted("`outputConfig.textFormat`"),
    Use.IMAGE: YES,
    Use.IMAGE_URL: converted("`s3://` alone; Bedrock fetches no other"),
    Use.IMAGE_DETAIL: HINT,
    Use.FILE: converted("its name in letters, digits, blanks, hyphens and brackets; two of one name are numbered"),
    Use.FILE_URL: converted("`s3://` alone; Bedrock fetches no other"),
    Use.FILE_ID: NEVER,
    Use.CITATIONS: converted("asked for and read; of earlier answers those that are Bedrock's own are handed back"),
    Use.REASONING: converted("what is signed or redacted; other reasoning is left out, as Bedrock refuses it"),
    Use.CACHE_BREAKPOINT: converted("a `cachePoint` after the block; none where the model has none"),
    Use.CACHE_TTL: YES,
    Use.NAME: HINT,
    Use.LATER_SYSTEM: converted("within the user's turn as `<system>`, in its place"),
    Use.FAILED_CALL: YES,
    Use.IMAGE_OF_TOOL: YES,
    Use.PREFILL: converted(
        "as it is; of a model that is known not to go on with it a user's turn that quotes it and asks to go on from its end"
    ),
}
