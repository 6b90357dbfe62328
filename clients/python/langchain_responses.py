"""langchain-openai, by Responses."""

from __future__ import annotations

from checks import BASE_URL, KEY, MODEL, run
from lang import check_model
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

check_model(
    ChatOpenAI(model=MODEL, base_url=BASE_URL, api_key=SecretStr(KEY), max_retries=0, use_responses_api=True),
    ("json_schema", "function_calling"),
)

run()
