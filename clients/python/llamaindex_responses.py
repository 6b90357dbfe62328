"""llama-index-llms-openai, by Responses."""

from __future__ import annotations

from checks import BASE_URL, KEY, REASONING_MODEL, run
from llama import check_model
from llama_index.llms.openai import OpenAIResponses

# The package knows the windows of models by their names, and takes no other name.
check_model(OpenAIResponses(model=REASONING_MODEL, api_base=BASE_URL, api_key=KEY, max_retries=0))

run()
