import os

from llama_index.llms.openai_like import OpenAILike

model = OpenAILike(
    model="penstock-demo",
    api_base="http://127.0.0.1:8080/v1",
    api_key=os.environ["PENSTOCK_KEY"],
    is_chat_model=True,
    is_function_calling_model=True,
)
print(model.complete("What does a penstock do?"))
