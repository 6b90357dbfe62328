"""pydantic-ai, over chat completions."""

from __future__ import annotations

from agents import check_model
from checks import BASE_URL, KEY, MODEL, run
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

check_model(OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=BASE_URL, api_key=KEY)))

run()
