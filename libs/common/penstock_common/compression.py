"""What the configuration says of how context is made shorter."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from penstock_common.configuration import Duration, Section

LLMLINGUA2_MODEL = "microsoft/llmlingua-2-bert-base-multilingual-cased-meetingbank"
"""The smaller of the two that were published with the method (Pan et al. 2024, arXiv 2403.12968)."""


class CompressionSettings(Section):
    """How the context of a public model's requests is made shorter."""

    method: Literal["extract", "dedupe", "llmlingua2"] = "extract"
    """`extract` keeps what the turn's question needs, `dedupe` what was not said before; `llmlingua2` needs the package
    `llmlingua`."""
    llmlingua2_model: Annotated[str, Field(min_length=1)] = LLMLINGUA2_MODEL
    """Of `llmlingua2`: the model, a folder or its name at the hub of models, from which it is fetched by the first context."""
    by_default: bool = True
    """Whether requests are compressed that do not say `x-penstock-compress: on`."""
    keep: Annotated[float, Field(gt=0, le=1)] = 0.5
    """The share of a context's tokens that may stay."""
    min_tokens: Annotated[int, Field(ge=0)] = 2000
    """Shorter contexts stay as they are: each tool's result, document and quoted block by itself."""
    user_context: bool = False
    """Whether documents that a user's turn quotes before its question are context, too."""
    meaning: bool = False
    """Whether documents are also compared to the question by the embedding model's vectors; without one they stay as
    they are."""
    timeout: Annotated[Duration, Field(gt=timedelta())] = timedelta(milliseconds=500)
    """What the contexts of a request may take together; those that are left then stay as they are."""
