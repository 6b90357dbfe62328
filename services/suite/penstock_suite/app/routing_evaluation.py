"""`penstock eval routing`: labelled prompts through the router's classifier, with vectors of the real embedding service."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from penstock_common.contract.router import Subject, capped
from penstock_router.domain.classification.classifier import Classifier
from penstock_suite.app.prompt_vectors import vectors_of
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.requests import RoutingEvaluationRequest
from penstock_suite.domain.routing_evaluation import Prompt, Read, RoutingEvaluation, evaluation, read_prompts


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
        vectors, setting["embedding_model"] = await vectors_of(request.selection, [each.prompt for each in prompts])
    read = [_read(classifier, prompt, vector) for prompt, vector in zip(prompts, vectors, strict=True)]
    return evaluation(prompts, read, setting | {"classifier": classifier.version})


def _read(classifier: Classifier, prompt: Prompt, vector: Sequence[float] | None) -> Read:
    subject = Subject(capped(prompt.prompt))
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
