"""llama-index, by its classes for servers that are like OpenAI's."""

from __future__ import annotations

from checks import BASE_URL, EMBEDDING_MODEL, KEY, MODEL, SENTENCE, check, equal, run
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike

model = OpenAILike(
    model=MODEL, api_base=BASE_URL, api_key=KEY, is_chat_model=True, is_function_calling_model=True, max_retries=0
)
QUESTION = [ChatMessage(role="user", content="What does a penstock do?")]


def weather(city: str) -> str:
    """The weather in a city."""
    return f"rain in {city}"


@check
def chat() -> None:
    equal(model.chat(QUESTION).message.content, SENTENCE)


@check
def completion_as_a_chat() -> None:
    equal(model.complete("What does a penstock do?").text, SENTENCE)


@check
def stream() -> None:
    equal("".join(part.delta or "" for part in model.stream_chat(QUESTION)), SENTENCE)


@check
async def asynchronous_stream() -> None:
    equal("".join([part.delta or "" async for part in await model.astream_chat(QUESTION)]), SENTENCE)


@check
def tools() -> None:
    answer = model.predict_and_call([FunctionTool.from_defaults(weather)], "How is the weather?")
    equal(str(answer), "rain in Oslo")


@check
def embeddings() -> None:
    embedder = OpenAILikeEmbedding(model_name=EMBEDDING_MODEL, api_base=BASE_URL, api_key=KEY)
    equal([len(vector) for vector in embedder.get_text_embedding_batch(["one", "two"])], [8, 8])


run()
