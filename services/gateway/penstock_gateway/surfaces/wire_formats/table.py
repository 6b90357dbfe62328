"""The wire formats that are served: a new one is its folder, and a line here."""

from __future__ import annotations

from collections.abc import Iterable

from penstock_gateway.surfaces.wire_formats.anthropic import batches as message_batches
from penstock_gateway.surfaces.wire_formats.anthropic import count_tokens, messages
from penstock_gateway.surfaces.wire_formats.cohere import rerank
from penstock_gateway.surfaces.wire_formats.format import Family, Format, GenerationFormat
from penstock_gateway.surfaces.wire_formats.openai import (
    batches,
    chat,
    completions,
    embeddings,
    files,
    models,
    moderations,
    organization,
    responses,
    vector_stores,
)
from penstock_gateway.surfaces.wire_formats.openai.errors import OPENAI

FORMATS: tuple[Format, ...] = (
    chat.FORMAT,
    completions.FORMAT,
    responses.FORMAT,
    embeddings.FORMAT,
    *rerank.FORMATS,
    moderations.FORMAT,
    models.FORMAT,
    vector_stores.FORMAT,
    files.FORMAT,
    batches.FORMAT,
    organization.FORMAT,
    messages.FORMAT,
    count_tokens.FORMAT,
    message_batches.FORMAT,
)


def with_state(formats: Iterable[Format]) -> list[GenerationFormat]:
    """Return those whose answers can be kept."""
    return [one for one in formats if isinstance(one, GenerationFormat) and one.state is not None]


DEFAULT_FAMILY: Family = OPENAI
"""Tells the errors of requests that no format knows."""
