"""The tables of chat completions say what becomes of every use, and it does."""

import json
import sys
from pathlib import Path

import pytest

from penstock_common.llm.types import Tool, UnsupportedFields
from penstock_inference.adapters.providers.carried import How, Use
from penstock_inference.adapters.providers.free_text import as_functions
from penstock_inference.adapters.providers.openai.dialect import DIALECTS
from penstock_inference.adapters.providers.openai.request import body_from_input
from penstock_inference.adapters.providers.openai.table import TABLES
from penstock_inference.domain.model_facts import ModelFacts

sys.path.insert(0, str(Path(__file__).parent))

from table_checks import became, expected  # noqa: E402
from test_carried import EXAMPLES  # noqa: E402

SIGNS = {
    Use.TEMPERATURE: '"temperature":0', Use.TOP_P: '"top_p":0.5', Use.TOP_K: '"top_k":1',
    Use.MAX_OUTPUT_TOKENS: '_tokens":1', Use.STOP: '"stop":["x"]', Use.SEED: '"seed":0',
    Use.FREQUENCY_PENALTY: '"frequency_penalty":0', Use.PRESENCE_PENALTY: '"presence_penalty":0.1',
    Use.REASONING_EFFORT: '"reasoning_effort":"low"', Use.LOGPROBS: '"logprobs":true', Use.CHOICES: '"n":2',
    Use.TOOLS: '"tools":[', Use.CUSTOM_TOOLS: '"type":"custom"', Use.STRICT_TOOLS: '"strict":true',
    Use.TOOL_CHOICE_NONE: '"tool_choice":"none"', Use.TOOL_CHOICE_REQUIRED: '"tool_choice":"required"',
    Use.TOOL_CHOICE_NAMED: '"tool_choice":{"type":"function"', Use.ALLOWED_TOOLS: '"name":"f"',
    Use.PARALLEL_TOOLS: '"parallel_tool_calls":false', Use.JSON_OBJECT: '"json_object"',
    Use.JSON_SCHEMA: '"json_schema"', Use.IMAGE: '"url":"data:', Use.IMAGE_URL: '"url":"https://a"',
    Use.IMAGE_DETAIL: '"detail":"low"', Use.FILE: '"file_data"', Use.FILE_URL: "https://a",
    Use.FILE_ID: '"file_id":"f"', Use.CITATIONS: "citations", Use.REASONING: '"reasoning_content":"x"',
    Use.CACHE_BREAKPOINT: '"prompt_cache_breakpoint":{"mode":"explicit"}', Use.CACHE_TTL: "1h",
    Use.NAME: '"name":"ann"', Use.LATER_SYSTEM: '"role":"system"', Use.FAILED_CALL: '"content":"Error: "',
    Use.IMAGE_OF_TOOL: '"url":"data:', Use.PREFILL: '"role":"assistant"',
}  # fmt: skip
# Ollama is told of no tools at all.
IN_OTHER_WORDS = {("ollama", Use.TOOL_CHOICE_NONE): '"stream"'}
# Allowed tools are named with a mode alone, and the end of a prefix after a tool has no place.
EXAMPLES_OF_CHAT = [
    (use, value) for use, value, _ in EXAMPLES if not value.tools or not value.tools[0].cache_breakpoint
]
FACTS = ModelFacts()
QUIET = (Use.CACHE_BREAKPOINT, Use.CACHE_TTL)


@pytest.mark.parametrize("mode", UnsupportedFields)
@pytest.mark.parametrize(("use", "value"), EXAMPLES_OF_CHAT, ids=lambda value: getattr(value, "value", ""))
@pytest.mark.parametrize("name", TABLES)
def test_every_use_becomes_what_the_table_says(name, use, value, mode):
    sign = IN_OTHER_WORDS.get((name, use), SIGNS[use])
    row = TABLES[name][use]
    if use is Use.CUSTOM_TOOLS and row.how is How.CONVERTED:
        sign, value = '"input":{"type":"string"}', as_functions(value)

    def body(value, policy):
        return body_from_input(value, "x", DIALECTS[name], policy, facts=FACTS)

    outcome, dropped = became(body, value, mode, sign)
    # A document that is to be cited is a document first.
    if use is Use.CITATIONS and outcome == "refused":
        assert TABLES[name][Use.FILE].how is How.NEVER
        return
    assert outcome == expected(row, mode)
    noted = outcome == "left out" and use not in QUIET
    assert dropped == ((use.value,) if noted else ())


def test_every_table_is_complete():
    for table in TABLES.values():
        assert table.keys() == set(Use)


def test_ollama_is_not_told_of_tools_that_may_not_be_called():
    value = next(value for use, value in EXAMPLES_OF_CHAT if use is Use.TOOL_CHOICE_NONE)
    assert value.tools == (Tool(name="f"),)
    assert "tools" not in json.loads(body_from_input(value, "x", DIALECTS["ollama"]))
