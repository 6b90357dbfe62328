import os

from llama_index.llms.openai import OpenAIResponses

# This package takes names of OpenAI's models alone: give a public model such a name.
model = OpenAIResponses(model="gpt-5-mini", api_base="http://127.0.0.1:8080/v1", api_key=os.environ["PENSTOCK_KEY"])
print(model.complete("What does a penstock do?"))
