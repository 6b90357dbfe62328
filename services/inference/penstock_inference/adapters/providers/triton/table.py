"""What of a request a model on Triton carries: vLLM's tensors have a place for text and for sampling."""

from __future__ import annotations

from penstock_inference.adapters.providers.carried import HINT, NEVER, YES, How, Row, Table, Use, converted

_NO_PLACE = Row(How.NO, "there is no place for it, so that `pass` refuses it, too")
_TEXT_ALONE = Row(How.NEVER, "must be text for this model")
_IN_TEMPLATE = converted("as the model's chat template writes it")

TABLE: Table = {
    Use.TEMPERATURE: YES,
    Use.TOP_P: YES,
    Use.TOP_K: YES,
    Use.MAX_OUTPUT_TOKENS: YES,
    Use.STOP: YES,
    Use.SEED: YES,
    Use.FREQUENCY_PENALTY: YES,
    Use.PRESENCE_PENALTY: YES,
    Use.REASONING_EFFORT: _NO_PLACE,
    Use.LOGPROBS: _NO_PLACE,
    Use.CHOICES: NEVER,
    Use.TOOLS: NEVER,
    Use.CUSTOM_TOOLS: NEVER,
    Use.STRICT_TOOLS: NEVER,
    Use.TOOL_CHOICE_NONE: NEVER,
    Use.TOOL_CHOICE_REQUIRED: NEVER,
    Use.TOOL_CHOICE_NAMED: NEVER,
    Use.ALLOWED_TOOLS: NEVER,
    Use.PARALLEL_TOOLS: NEVER,
    Use.JSON_OBJECT: _NO_PLACE,
    Use.JSON_SCHEMA: _NO_PLACE,
    Use.IMAGE: _TEXT_ALONE,
    Use.IMAGE_URL: _TEXT_ALONE,
    Use.IMAGE_DETAIL: _TEXT_ALONE,
    Use.FILE: _TEXT_ALONE,
    Use.FILE_URL: _TEXT_ALONE,
    Use.FILE_ID: _TEXT_ALONE,
    Use.CITATIONS: HINT,
    Use.REASONING: HINT,
    Use.CACHE_BREAKPOINT: HINT,
    Use.CACHE_TTL: HINT,
    Use.NAME: _IN_TEMPLATE,
    Use.LATER_SYSTEM: _IN_TEMPLATE,
    Use.FAILED_CALL: HINT,
    Use.IMAGE_OF_TOOL: _TEXT_ALONE,
    Use.PREFILL: YES,
}
