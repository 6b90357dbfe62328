"""What of a request Gemini can be told, and how."""

from __future__ import annotations

from penstock_inference.adapters.providers.carried import FREE_TEXT, HINT, YES, How, Row, Table, Use, converted
from penstock_inference.domain.model_facts import ModelFacts

OF_GOOGLE = "must be gs://, or a file of the Files API"
"""What is asked of an address; any other is sent where ``unsupported`` is ``pass``, and else refused."""

TABLE: Table = {
    Use.TEMPERATURE: YES,
    Use.TOP_P: converted("`topP`; 0 as a millionth"),
    Use.TOP_K: YES,
    Use.MAX_OUTPUT_TOKENS: YES,
    Use.STOP: converted("`stopSequences`; which one ended an answer is not told"),
    Use.SEED: YES,
    Use.FREQUENCY_PENALTY: YES,
    Use.PRESENCE_PENALTY: YES,
    Use.REASONING_EFFORT: converted("`thinkingLevel` or `thinkingBudget`, the nearest that the model has"),
    Use.LOGPROBS: converted("`responseLogprobs`"),
    Use.CHOICES: converted("`candidateCount`"),
    Use.TOOLS: converted("`functionDeclarations` with `parametersJsonSchema`, verbatim"),
    Use.CUSTOM_TOOLS: FREE_TEXT,
    Use.STRICT_TOOLS: converted("mode `VALIDATED` where the model chooses; forced calls are validated in any case"),
    Use.TOOL_CHOICE_NONE: converted("mode `NONE`"),
    Use.TOOL_CHOICE_REQUIRED: converted("mode `ANY`"),
    Use.TOOL_CHOICE_NAMED: converted("mode `ANY` with `allowedFunctionNames`"),
    Use.ALLOWED_TOOLS: converted("`allowedFunctionNames`; mode `VALIDATED` where the model chooses"),
    Use.PARALLEL_TOOLS: Row(How.NO, "cannot be forbidden there"),
    Use.JSON_OBJECT: converted("`responseMimeType`"),
    Use.JSON_SCHEMA: converted("`responseJsonSchema`, verbatim; the schema's name and description are not told"),
    Use.IMAGE: converted("`inlineData`"),
    Use.IMAGE_URL: converted(f"`fileData`; it {OF_GOOGLE}"),
    Use.IMAGE_DETAIL: HINT,
    Use.FILE: converted("`inlineData`"),
    Use.FILE_URL: converted(f"`fileData`; it {OF_GOOGLE}"),
    Use.FILE_ID: converted("`fileData`: the id is the file's URI"),
    Use.CITATIONS: Row(How.HINT, "what a search of Gemini's found is told with the answer by itself"),
    Use.REASONING: converted("thoughts that are signed; others are left out"),
    Use.CACHE_BREAKPOINT: Row(How.HINT, "prefixes are cached by themselves, or by `cachedContent`"),
    Use.CACHE_TTL: HINT,
    Use.NAME: HINT,
    Use.LATER_SYSTEM: converted("a user's turn at its place; those at the beginning are `systemInstruction`"),
    Use.FAILED_CALL: converted("`functionResponse.response.error`"),
    Use.IMAGE_OF_TOOL: converted("`functionResponse.parts`"),
    Use.PREFILL: Row(How.YES, "whether the model goes on with it is the model's"),
}
"""Of Gemini itself and on Vertex AI."""

_SAMPLING = (
    Use.TEMPERATURE, Use.TOP_P, Use.TOP_K, Use.SEED, Use.FREQUENCY_PENALTY, Use.PRESENCE_PENALTY, Use.STOP,
)  # fmt: skip
_NOT_TAKEN = Row(How.NO, "is not taken by this model")


def table_for(facts: ModelFacts, effort: str) -> Table:
    """Return the table of one model, asked with this reasoning effort."""
    if not facts.is_known:
        return TABLE
    table = dict(TABLE)
    for use in _SAMPLING:
        if not facts.takes_sampling(use.value, effort):
            table[use] = _NOT_TAKEN
    if not facts.forced_tool_choice:
        table[Use.TOOL_CHOICE_REQUIRED] = table[Use.TOOL_CHOICE_NAMED] = _NOT_TAKEN
    if not facts.documents:
        table[Use.FILE] = table[Use.FILE_ID] = Row(How.NEVER, "is not read by this model")
    if not facts.json_schema:
        table[Use.JSON_SCHEMA] = _NOT_TAKEN
    return table
