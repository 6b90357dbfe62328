"""What the configuration says of knowledge bases that a public model's requests are answered from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from penstock_common.configuration import Section

BaseName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,64}$")]


class KnowledgeSettings(Section):
    """What is searched before a public model's requests are answered; a request may say otherwise of each."""

    bases: Annotated[list[BaseName], Field(min_length=1, max_length=8)]
    """Knowledge bases of the caller's tenant."""
    mode: Literal["hybrid", "dense", "sparse", "hybrid_rerank"] = "hybrid_rerank"
    """How they are searched: by meaning (`dense`), by words (`sparse`), by both, or by both and the best looked at again."""
    limit: Annotated[int, Field(ge=1, le=50)] = 8
    """Passages that are looked for."""
    max_per_document: Annotated[int, Field(ge=0, le=50)] = 0
    """Of one document; 0 for as many as there are."""
    diversity: Annotated[float, Field(ge=0, le=1)] = 0.0
    """How much passages that say the same are held back."""
    min_score: Annotated[float, Field(ge=0, le=1)] = 0.0
    """A passage that scores less is not relevant. With 0 and `hybrid_rerank`, passages are left out that are neither likely to
    answer nor near by meaning; with 0 and another mode, none."""
    max_context_tokens: Annotated[int, Field(ge=1, le=1_000_000)] = 2048
    """What the passages may take together, never more than the model's window has room for."""
    when_nothing: Literal["answer", "refuse", "say_so"] = "answer"
    """What is done where nothing is relevant: the model answers without passages, the request is refused with
    NOTHING_RELEVANT, or the answer is `nothing_text`."""
    nothing_text: Annotated[str, Field(max_length=4096)] = "The documents here say nothing about this."
    """What is answered where nothing is relevant and no model is asked."""
    when_unavailable: Literal["fail", "answer"] = "fail"
    """What is done where nobody can search: the request fails, or the model answers without passages."""
    cite: Literal["numbers", "extractive"] = "numbers"
    """`numbers`: the model reads the passages, and says which it rests on. `extractive`: the answer is what stands in them,
    word by word, and no model is asked."""
