"""Makes an upstream of OpenAI's format from its settings."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

from penstock_common.configuration import ConfigurationError
from penstock_common.http.client import HttpPools
from penstock_inference.adapters.providers.free_text import FreeTextUpstream
from penstock_inference.adapters.providers.openai.client import OpenAIUpstream
from penstock_inference.adapters.providers.openai.dialect import Dialect
from penstock_inference.adapters.providers.openai.interfaces import BothInterfaces
from penstock_inference.adapters.providers.openai.settings import OpenAISettings
from penstock_inference.adapters.providers.openai_responses.client import ResponsesUpstream
from penstock_inference.adapters.providers.openai_responses.request import Asking
from penstock_inference.adapters.providers.provider import OpenUpstream
from penstock_inference.adapters.questions.http_questions import HttpQuestions
from penstock_inference.adapters.questions.rerank_formats import RERANK_FORMATS
from penstock_inference.domain.batch_upstream import BatchUpstream
from penstock_inference.domain.upstream import Upstream


@asynccontextmanager
async def open_upstream(settings: OpenAISettings, client: HttpPools) -> AsyncGenerator[OpenUpstream, None]:
    """Yield the upstream; its connections are the client's.

    Raises:
        ConfigurationError: if its address cannot be one.
    """
    url, key = settings.base_url, settings.api_key.get_secret_value()
    try:
        chat = OpenAIUpstream(client, url, key, dialect_of(settings), settings.manners_remembered)
        responses = ResponsesUpstream(client, url, key, asking_of(settings))
        bearer = settings.key_headers() or {}
        questions = HttpQuestions(client, url, key, bearer, RERANK_FORMATS[settings.rerank])
        batches = batches_of(settings, client) if settings.batches else None
    except ValueError as error:
        raise ConfigurationError(f"'base_url' of the upstream '{settings.name}': {error}") from None
    asked = by_interface(settings, with_free_text(settings, chat), responses)
    yield OpenUpstream(asked, questions=questions, batches=batches)


def batches_of(settings: OpenAISettings, client: HttpPools) -> BatchUpstream:
    """Return who answers many requests at once, later."""
    from penstock_inference.adapters.batches.openai_batches import OpenAIBatches

    key, is_openai = settings.api_key.get_secret_value(), settings.provider == "openai"
    return OpenAIBatches(client, settings.base_url, key, dialect_of(settings), takes_expiry=is_openai)


def dialect_of(settings: OpenAISettings) -> Dialect:
    """Return how the server takes chat completions."""
    tiers = any(model.service_tiers for model in settings.models)
    dialect = replace(settings.dialect(), passthrough=settings.passthrough, service_tiers=tiers)
    return dialect if settings.hand_back_extras is None else replace(dialect, extras=settings.hand_back_extras)


def with_free_text(settings: OpenAISettings, chat: Upstream) -> Upstream:
    """Return what takes tools of free text, as functions where the server knows those alone."""
    dialect = dialect_of(settings)
    return chat if dialect.custom_tools or dialect.passthrough else FreeTextUpstream(chat)


def asking_of(settings: OpenAISettings) -> Asking:
    """Return how the server takes requests of the Responses API."""
    tiers = any(model.service_tiers for model in settings.models)
    return Asking(passthrough=settings.passthrough, service_tiers=tiers, summary=settings.reasoning_summary or "")


def by_interface(settings: OpenAISettings, chat: Upstream, responses: Upstream) -> Upstream:
    """Return what is asked: one of the interfaces, or the one that a call needs."""
    api = settings.interface
    if api == "auto":
        return BothInterfaces(chat, responses)
    return chat if api == "chat" else responses
