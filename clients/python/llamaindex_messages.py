"""llama-index-llms-anthropic."""

from __future__ import annotations

from checks import CLAUDE_MODEL, KEY, ORIGIN, run
from llama import check_model
from llama_index.llms.anthropic import Anthropic

check_model(Anthropic(model=CLAUDE_MODEL, base_url=ORIGIN, api_key=KEY, max_retries=0, max_tokens=20_000))

run()
