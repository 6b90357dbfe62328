"""`penstock eval compression`: questions with their contexts through the gateway's own compressor, built in this process."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import msgspec

from penstock_common.compression import CompressionSettings
from penstock_common.configuration import Configuration, Section
from penstock_common.sections import PublicModel
from penstock_gateway.adapters.services.embedding import EmbeddingClient
from penstock_gateway.adapters.services.vectors import EmbeddedVectors
from penstock_gateway.app.compression import rewriter_for, terms_of
from penstock_gateway.domain.compression.compressor import Compressor
from penstock_gateway.domain.compression.documents import introduction_of
from penstock_gateway.domain.compression.terms import Terms
from penstock_suite.app.plan import load
from penstock_suite.app.wiring import Wiring
from penstock_suite.domain.compression_evaluation import (
    CompressionEvaluation,
    Made,
    Question,
    evaluation,
    judge,
    read_questions,
)
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.requests import CompressionEvaluationRequest, Role

# Loads of a machine must not leave contexts as they are.
_PATIENT_SECONDS = 120.0


class _Models(Section):
    """The public models of the configuration."""

    models: list[PublicModel] = []


async def evaluate_compression(request: CompressionEvaluationRequest) -> CompressionEvaluation:
    """Return what was found of the dataset's contexts.

    Raises:
        ConfigurationError: if the configuration cannot be used.
        Misconfigured: if the dataset cannot be read, or a line of it is no question with its context.
    """
    try:
        questions = read_questions(request.dataset.read_bytes())
    except OSError as error:
        raise Misconfigured(f"{request.dataset} cannot be read: {error.strerror}") from None
    written = load(request.selection)
    terms = _terms(request, Configuration(dict(written.document), written.source))
    async with AsyncExitStack() as stack:
        vectors = None
        if terms.meaning:
            configuration = Configuration({"embedding": written.document.get("embedding") or {}}, written.source)
            channel = await Wiring(configuration, {Role.EMBEDDING: None}, stack).channel(Role.EMBEDDING)
            vectors = EmbeddedVectors(EmbeddingClient(channel, timedelta(seconds=_PATIENT_SECONDS)))
        compressor = Compressor(vectors, rewriter_for([terms]))

        async def compress(question: Question) -> Made:
            began = time.perf_counter()
            made = await compressor.compressed(
                question.context, question.question, terms, patience_seconds=_PATIENT_SECONDS
            )
            taken = (time.perf_counter() - began) * 1000
            at = question.context.index(question.answer_sentence)
            heading = introduction_of(question.context, at)
            return Made(made.text, made.tokens_before, made.tokens, made.reason, heading, taken)

        judged = await judge(compress, questions)
    setting = {
        "dataset": request.dataset.name,
        "method": terms.method.value,
        "keep": terms.keep,
        "meaning": terms.meaning,
        "model": request.model,
    }
    return evaluation(judged, setting)


def _terms(request: CompressionEvaluationRequest, configuration: Configuration) -> Terms:
    said = CompressionSettings()
    if request.model:
        found = [one for one in configuration.settings(_Models).models if one.name == request.model]
        if not found or found[0].compression is None:
            raise Misconfigured(f"the configuration has no public model '{request.model}' with 'compression'")
        said = found[0].compression
    wanted = (("method", request.method), ("keep", request.keep), ("meaning", request.meaning))
    given: dict[str, Any] = {name: value for name, value in wanted if value is not None}
    terms = terms_of(said.model_copy(update=given))
    # Each context is judged, however short, and nobody waits for it.
    return msgspec.structs.replace(terms, min_tokens=0)
