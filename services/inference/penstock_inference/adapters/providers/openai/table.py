"""What of a request chat completions carry, by the kind of server."""

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
from penstock_inference.adapters.providers.openai.dialect import DIALECTS, Dialect

_BY_FACTS = Row(How.YES, "where the model takes it; else as `unsupported` says")
_IN_WORDS = converted("its text begins with `Error: `")
_SHOWN_AFTER = converted("in a user's turn after the tools' answers, which may hold text alone")
_AS_HISTORY = Row(How.YES, "the answer goes on with it where the model has the capability `prefill`")

_OF_ALL: Table = {
    **dict.fromkeys(
        (Use.TEMPERATURE, Use.TOP_P, Use.STOP, Use.SEED, Use.FREQUENCY_PENALTY, Use.PRESENCE_PENALTY), _BY_FACTS
    ),
    **dict.fromkeys(
        (
            Use.TOOLS, Use.STRICT_TOOLS, Use.JSON_OBJECT, Use.JSON_SCHEMA, Use.IMAGE, Use.IMAGE_DETAIL, Use.NAME,
            Use.LATER_SYSTEM,
        ),
        YES,
    ),
}  # fmt: skip


def table_of(dialect: Dialect) -> Table:
    """Return the table of one kind of server."""
    custom, choice = dialect.custom_tools, dialect.tool_choice
    return {
        **_OF_ALL,
        Use.TOP_K: _BY_FACTS if dialect.top_k else NO,
        Use.MAX_OUTPUT_TOKENS: Row(How.YES, f"`{dialect.max_tokens_field}`, or what the model's facts name"),
        Use.REASONING_EFFORT: Row(How.YES, "the nearest that the model takes, where its facts name them"),
        Use.LOGPROBS: YES if dialect.logprobs else NO,
        Use.CHOICES: YES if dialect.choices else NEVER,
        Use.CUSTOM_TOOLS: YES if custom else FREE_TEXT,
        Use.TOOL_CHOICE_NONE: YES if choice else converted("no tools are told of"),
        Use.TOOL_CHOICE_REQUIRED: YES if choice else NO,
        Use.TOOL_CHOICE_NAMED: YES if choice else NO,
        Use.ALLOWED_TOOLS: YES if custom else converted("the others are not told of"),
        Use.PARALLEL_TOOLS: YES if choice else NO,
        Use.IMAGE_URL: YES if dialect.fetches_urls else Row(How.NEVER, "must be a data: URL for this upstream"),
        Use.FILE: YES if dialect.files else NEVER,
        Use.FILE_URL: NEVER,
        Use.FILE_ID: YES if dialect.files else NEVER,
        Use.CITATIONS: HINT,
        Use.REASONING: Row(How.YES, "`reasoning_content`; what is hidden is left out") if dialect.extras else HINT,
        Use.CACHE_BREAKPOINT: (
            Row(How.YES, "`prompt_cache_breakpoint` of a part, where the facts of the model say so")
            if dialect.cache_breakpoints
            else Row(How.HINT, "left out without a word")
        ),
        Use.CACHE_TTL: Row(How.HINT, "left out without a word"),
        Use.FAILED_CALL: _IN_WORDS,
        Use.IMAGE_OF_TOOL: _SHOWN_AFTER,
        Use.PREFILL: _AS_HISTORY,
    }


TABLES = {name: table_of(dialect) for name, dialect in DIALECTS.items()}
"""By the provider's name in the configuration."""
TABLE = TABLES["openai"]
