"""langchain-anthropic."""

from __future__ import annotations

from checks import KEY, MODEL, ORIGIN, run
from lang import check_model
from langchain_anthropic import ChatAnthropic
from pydantic import SecretStr

check_model(
    ChatAnthropic(
        model_name=MODEL, base_url=ORIGIN, api_key=SecretStr(KEY), max_retries=0, max_tokens_to_sample=20_000
    ),
    ("json_schema", "function_calling"),
)

run()
