"""pydantic-ai, over Anthropic's Messages."""

from __future__ import annotations

from agents import check_model
from checks import CLAUDE_MODEL, KEY, ORIGIN, run
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.providers.anthropic import AnthropicProvider

# Whether a schema may be asked for it reads in the model's name.
check_model(
    AnthropicModel(
        CLAUDE_MODEL, provider=AnthropicProvider(base_url=ORIGIN, api_key=KEY), settings={"max_tokens": 20_000}
    )
)

run()
