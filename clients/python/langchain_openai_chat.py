"""langchain-openai, by chat completions."""

from __future__ import annotations

from checks import BASE_URL, EMBEDDING_MODEL, KEY, MODEL, check, equal, run
from lang import check_model
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import SecretStr

model = ChatOpenAI(model=MODEL, base_url=BASE_URL, api_key=SecretStr(KEY), max_retries=0)
check_model(model, ("json_schema", "function_calling"))


@check
def embeddings() -> None:
    embedder = OpenAIEmbeddings(
        model=EMBEDDING_MODEL, base_url=BASE_URL, api_key=SecretStr(KEY), check_embedding_ctx_length=False
    )
    equal([len(vector) for vector in embedder.embed_documents(["one", "two"])], [8, 8])


run()
