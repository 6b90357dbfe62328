import os

from llama_index.llms.anthropic import Anthropic

# This package takes names of Anthropic's models alone, and no SDK of Anthropic's from 1.0 on.
model = Anthropic(model="claude-sonnet-4-5", base_url="http://127.0.0.1:8080", api_key=os.environ["PENSTOCK_KEY"])
print(model.complete("What does a penstock do?"))
