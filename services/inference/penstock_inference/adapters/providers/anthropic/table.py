"""What of a request Anthropic's Messages API can carry."""

from __future__ import annotations

from penstock_inference.adapters.providers.carried import FREE_TEXT, HINT, NEVER, NO, YES, Table, Use, converted

_SAMPLED = "of the models that take it; elsewhere, and beside thinking, as `unsupported` says"

TABLE: Table = {
    Use.TEMPERATURE: converted(f"up to 1, and {_SAMPLED}"),
    Use.TOP_P: converted(_SAMPLED),
    Use.TOP_K: converted(_SAMPLED),
    Use.MAX_OUTPUT_TOKENS: converted("`max_tokens`, at most what the model can write"),
    Use.STOP: converted("`stop_sequences`; of nothing but blanks, as `unsupported` says"),
    Use.SEED: NO,
    Use.FREQUENCY_PENALTY: NO,
    Use.PRESENCE_PENALTY: NO,
    Use.REASONING_EFFORT: converted(
        "`output_config.effort` with adaptive thinking, or a budget of thinking, as the model takes it; the nearest that it has"
    ),
    Use.LOGPROBS: NO,
    Use.CHOICES: NEVER,
    Use.TOOLS: YES,
    Use.CUSTOM_TOOLS: FREE_TEXT,
    Use.STRICT_TOOLS: converted("`strict`, of models that keep to a JSON schema; elsewhere as `unsupported` says"),
    Use.TOOL_CHOICE_NONE: YES,
    Use.TOOL_CHOICE_REQUIRED: converted(
        "`any`; of a model that cannot be made to call, as `unsupported` says, and dropped means `auto`"
    ),
    Use.TOOL_CHOICE_NAMED: converted(
        "`tool`; of a model that cannot be made to call, as `unsupported` says, and dropped means `auto`"
    ),
    Use.ALLOWED_TOOLS: converted(
        "the other tools are not sent, which the prompt cache reads anew. Where thinking is bound to the tools, as "
        "`unsupported` says, and dropped means that all may be called"
    ),
    Use.PARALLEL_TOOLS: converted("`disable_parallel_tool_use`"),
    Use.JSON_OBJECT: converted("a sentence at the end of the system prompt; nothing holds the model to it"),
    Use.JSON_SCHEMA: converted(
        "`output_config.format`; of a model that keeps to none, as `unsupported` says, and dropped means a sentence at the end "
        "of the system prompt"
    ),
    Use.IMAGE: YES,
    Use.IMAGE_URL: converted("as it is, of models that fetch them; else refused"),
    Use.IMAGE_DETAIL: HINT,
    Use.FILE: converted("PDF and text, of models that read documents; else refused"),
    Use.FILE_URL: converted("PDF, of models that read documents; else refused"),
    Use.FILE_ID: converted("one of its Files API"),
    Use.CITATIONS: converted(
        "Anthropic's own; those of other providers, and from 2026-10-21 on a user's, are left out, and `x-penstock-dropped` names them"
    ),
    Use.REASONING: converted(
        "signed thinking of a model whose thinking this one reads; other reasoning is left out, and `x-penstock-dropped` names it"
    ),
    Use.CACHE_BREAKPOINT: converted("`cache_control`, of models that take it"),
    Use.CACHE_TTL: converted("`cache_control.ttl`: 5m or 1h"),
    Use.NAME: HINT,
    Use.LATER_SYSTEM: converted(
        "as it is where it may stand (after a user's turn, before an assistant's or at the end), else within the user's turn as "
        "`<system>`"
    ),
    Use.FAILED_CALL: YES,
    Use.IMAGE_OF_TOOL: YES,
    Use.PREFILL: converted(
        "as it is, of models that go on with it; else a user's turn that quotes it and asks to go on from its end"
    ),
}
