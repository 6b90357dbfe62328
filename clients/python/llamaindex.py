"""llama-index, by its classes for servers that are like OpenAI's."""

from __future__ import annotations

from checks import BASE_URL, EMBEDDING_MODEL, KEY, MODEL, check, equal, run
from llama import check_model
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike

check_model(
    OpenAILike(
        model=MODEL, api_base=BASE_URL, api_key=KEY, is_chat_model=True, is_function_calling_model=True, max_retries=0
    )
)


@check
def embeddings() -> None:
    embedder = OpenAILikeEmbedding(model_name=EMBEDDING_MODEL, api_base=BASE_URL, api_key=KEY)
    equal([len(vector) for vector in embedder.get_text_embedding_batch(["one", "two"])], [8, 8])


run()
