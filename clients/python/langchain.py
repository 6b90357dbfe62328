"""langchain-openai."""

from __future__ import annotations

from checks import BASE_URL, EMBEDDING_MODEL, KEY, MODEL, PICTURE, SENTENCE, check, equal, run
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, SecretStr

model = ChatOpenAI(model=MODEL, base_url=BASE_URL, api_key=SecretStr(KEY), max_retries=0)


class Place(BaseModel):
    """What is asked for as structured output."""

    city: str
    inhabitants: int


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"rain in {city}"


@check
def chat() -> None:
    answer = model.invoke("What does a penstock do?")
    equal(answer.content, SENTENCE)
    assert answer.usage_metadata and answer.usage_metadata["total_tokens"] > 0


@check
def stream() -> None:
    equal("".join(str(chunk.content) for chunk in model.stream("What does a penstock do?")), SENTENCE)


@check
async def asynchronous_stream() -> None:
    equal("".join([str(chunk.content) async for chunk in model.astream("Hello")]), SENTENCE)


@check
def tools_and_their_results() -> None:
    bound = model.bind_tools([weather])
    question = HumanMessage("How is the weather?")
    answer = bound.invoke([question])
    results = [ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"]) for call in answer.tool_calls]
    equal(bound.invoke([question, answer, *results]).content, "The tools say: rain in Oslo")


@check
def structured_output() -> None:
    for method in ("json_schema", "function_calling"):
        equal(model.with_structured_output(Place, method=method).invoke("Where?"), Place(city="Oslo", inhabitants=7))


@check
def picture() -> None:
    parts = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": PICTURE}}]
    equal(model.invoke([HumanMessage(parts)]).content, SENTENCE)


@check
def embeddings() -> None:
    embedder = OpenAIEmbeddings(
        model=EMBEDDING_MODEL, base_url=BASE_URL, api_key=SecretStr(KEY), check_embedding_ctx_length=False
    )
    equal([len(vector) for vector in embedder.embed_documents(["one", "two"])], [8, 8])


run()
