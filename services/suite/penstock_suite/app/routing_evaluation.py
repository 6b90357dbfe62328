"""`penstock eval routing`: labelled prompts through the router's classifier, with vectors of the real embedding service."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from penstock_common.configuration import Configuration
from penstock_common.contract.embedding import EmbedRequest, EmbedResponse
from penstock_common.contract.router import Subject
from penstock_common.contract.wire.embedding import EMBED
from penstock_common.errors import PenstockError
from penstock_common.rpc.client import Channel
from penstock_router.domain.classification.classifier import Classifier
from penstock_suite.app.plan import load
from penstock_suite.app.wiring import Wiring
from penstock_suite.domain.failure import Misconfigured, SuiteFailure
from penstock_suite.domain.requests import Role, RoutingEvaluationRequest
from penstock_suite.domain.routing_evaluation import Prompt, Read, RoutingEvaluation, evaluation, read_prompts

_SECONDS = 60.0
_BATCH = 16
# What the gateway hands the router of a long turn.
_HEAD_CHARS, _TAIL_CHARS = 3000, 1000


async def evaluate_routing(request: RoutingEvaluationRequest) -> RoutingEvaluation:
    """Return what the classifier takes the dataset's prompts for.

    Raises:
        ConfigurationError: if the configuration cannot be used.
        Misconfigured: if the dataset cannot be read, or a line of it is no labelled prompt.
        SuiteFailure: if there are no vectors.
    """
    classifier = Classifier()
    try:
        prompts = read_prompts(request.dataset.read_bytes(), classifier.tasks)
    except OSError as error:
        raise Misconfigured(f"{request.dataset} cannot be read: {error.strerror}") from None
    vectors: Sequence[Sequence[float] | None] = [None] * len(prompts)
    setting: dict[str, Any] = {"dataset": request.dataset.name, "embedding_model": ""}
    if request.with_vectors:
        vectors, setting["embedding_model"] = await _vectors(request, prompts)
    read = [_read(classifier, prompt, vector) for prompt, vector in zip(prompts, vectors, strict=True)]
    return evaluation(prompts, read, setting | {"classifier": classifier.version})


def _read(classifier: Classifier, prompt: Prompt, vector: Sequence[float] | None) -> Read:
    subject = Subject(_capped(prompt.prompt))
    began = time.perf_counter()
    reading = classifier.classify(subject, vector, has_tools=False, has_images=False)
    taken = (time.perf_counter() - began) * 1e6
    return Read(
        reading.task,
        reading.complexity,
        reading.task_confidence,
        reading.complexity_confidence,
        reading.abstains,
        reading.by_vector,
        taken,
    )


def _capped(text: str) -> str:
    return text if len(text) <= _HEAD_CHARS + _TAIL_CHARS else f"{text[:_HEAD_CHARS]}\n{text[-_TAIL_CHARS:]}"


async def _vectors(request: RoutingEvaluationRequest, prompts: Sequence[Prompt]) -> tuple[list[Sequence[float]], str]:
    written = load(request.selection)
    # Of the embedding alone, in this process: a running stack is not touched.
    sections = {name: section for name, section in written.document.items() if name in {"embedding", "upstreams"}}
    configuration = Configuration({"embedding": {}, **sections}, written.source)
    vectors: list[Sequence[float]] = []
    model = ""
    async with AsyncExitStack() as stack:
        channel = await Wiring(configuration, {Role.EMBEDDING: None}, stack).channel(Role.EMBEDDING)
        for start in range(0, len(prompts), _BATCH):
            batch = prompts[start : start + _BATCH]
            response = await _embedded(channel, tuple(_capped(prompt.prompt) for prompt in batch))
            vectors.extend(vector.values for vector in response.vectors)
            model = " ".join(filter(None, (response.model, response.revision)))
    return vectors, model


async def _embedded(channel: Channel, texts: tuple[str, ...]) -> EmbedResponse:
    try:
        return await channel.call(EMBED, EmbedRequest(texts), timeout=_SECONDS)
    except PenstockError as error:
        raise SuiteFailure(f"no vectors of the prompts: {error.message}; --features judges without them") from None
