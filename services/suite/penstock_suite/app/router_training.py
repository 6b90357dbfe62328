"""`penstock router train`: the router's classifier, trained on a team's own prompts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from penstock_common.contract.router import Subject, capped
from penstock_router.domain.classification.classifier import Classifier
from penstock_router.domain.classification.model import COMPLEXITIES, packed, read
from penstock_router.domain.classification.training import Labelled, Plan, cross_validated, labels_of, trained
from penstock_suite.app.prompt_vectors import vectors_of
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.requests import RouterTrainingRequest
from penstock_suite.domain.router_training import Labels, RouterTraining, Said, labelled, tasks_of
from penstock_suite.domain.routing_evaluation import Prompt, read_prompts

_JUDGES = Plan(members=2)


async def train_router(request: RouterTrainingRequest) -> RouterTraining:
    """Train, judge by folds, and write the weights.

    Raises:
        ConfigurationError: if the configuration cannot be used.
        Misconfigured: if a dataset cannot be read or is not enough, or the output is there and not to be overwritten.
        SuiteFailure: if there are no vectors.
    """
    if request.output.exists() and not request.overwrites:
        raise Misconfigured(f"{request.output} is there already: --force overwrites it")
    own, by_feedback, without_label = _own(request)
    others = [prompt for path in request.also for prompt in _prompts(path)]
    tasks = tasks_of(own)
    alien = next((prompt for prompt in others if prompt.task not in tasks or prompt.complexity is None), None)
    if alien is not None:
        raise Misconfigured(
            f"the prompt '{alien.id}' of --also has no task of {request.dataset.name}, or lacks a label"
        )
    prompts = [*own, *others]
    vectors = (await vectors_of(request.selection, [prompt.prompt for prompt in prompts])).of_prompts
    rows = [
        Labelled(capped(prompt.prompt), str(prompt.task), str(prompt.complexity), vector)
        for prompt, vector in zip(prompts, vectors, strict=True)
    ]
    is_own = np.arange(len(rows)) < len(own)
    unseen, labels = cross_validated(rows, tasks, is_own, _JUDGES)[0], labels_of(rows[: len(own)], tasks)
    content = packed(trained(rows, tasks, is_own), request.output.stem)
    request.output.write_bytes(content)
    shipped = _of_the_shipped(rows[: len(own)])
    return RouterTraining(
        prompts=len(own),
        by_feedback=by_feedback,
        without_label=without_label,
        also=len(others),
        tasks=tasks,
        task_accuracy=_ratio(unseen.sum(axis=2).argmax(axis=1) == labels // len(COMPLEXITIES)),
        complexity_accuracy=_ratio(unseen.sum(axis=1).argmax(axis=1) == labels % len(COMPLEXITIES)),
        shipped_task_accuracy=shipped[0],
        shipped_complexity_accuracy=shipped[1],
        version=read(content).version,
        output=str(request.output),
        bytes=len(content),
    )


def _own(request: RouterTrainingRequest) -> Labels:
    prompts = _prompts(request.dataset)
    if request.feedback is None:
        return Labels(prompts, 0, 0)
    try:
        said = msgspec.json.decode(request.feedback.read_bytes(), type=list[Said])
    except OSError as error:
        raise Misconfigured(f"{request.feedback} cannot be read: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        told = f"{request.feedback} is nothing that 'penstock feedback list --json' has written: {error}"
        raise Misconfigured(told) from None
    return labelled(prompts, said)


def _prompts(path: Path) -> list[Prompt]:
    try:
        return read_prompts(path.read_bytes(), None)
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}") from None


def _of_the_shipped(rows: Sequence[Labelled]) -> tuple[float | None, float]:
    """Return the shares of tasks and complexities that the weights that come with Penstock see right."""
    shipped = Classifier()
    seen = [shipped.classify(Subject(row.prompt), row.vector, has_tools=False, has_images=False) for row in rows]
    right = [reading.task == row.task for reading, row in zip(seen, rows, strict=True)]
    is_known = all(row.task in shipped.tasks for row in rows)
    complexities = [reading.complexity == row.complexity for reading, row in zip(seen, rows, strict=True)]
    return (_ratio(right) if is_known else None), _ratio(complexities)


def _ratio(right: Sequence[bool] | np.ndarray[tuple[int], np.dtype[np.bool_]]) -> float:
    return round(float(np.mean(right)), 4)
