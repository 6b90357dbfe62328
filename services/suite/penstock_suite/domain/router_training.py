"""Training the router's classifier on a team's own prompts: which are enough, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.routing_evaluation import COMPLEXITIES, Prompt

LEAST_OF_A_TASK = 10
"""Of fewer nothing is learned, nor can it be judged by folds."""


class RouterTraining(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. Accuracies of the new weights are by five folds, each judged by what has not seen it.

    Those of the shipped weights, on the same prompts, are None where a prompt has a task that they do not know.
    """

    prompts: int
    also: int
    tasks: list[str]
    task_accuracy: float
    complexity_accuracy: float
    shipped_task_accuracy: float | None
    shipped_complexity_accuracy: float
    version: str
    output: str
    bytes: int


def tasks_of(prompts: Sequence[Prompt]) -> list[str]:
    """Return the tasks of labelled prompts, the most frequent first.

    Raises:
        Misconfigured: for a prompt without a label, or a task or a complexity of which there are too few.
    """
    bare = next((prompt for prompt in prompts if prompt.task is None or prompt.complexity is None), None)
    if bare is not None:
        raise Misconfigured(f"the prompt '{bare.id}' lacks a label: training takes task and complexity of each")
    tasks = Counter(str(prompt.task) for prompt in prompts)
    few = [f"{task} ({count})" for task, count in tasks.items() if count < LEAST_OF_A_TASK]
    if few:
        raise Misconfigured(
            f"of each task {LEAST_OF_A_TASK} prompts are the least; there are fewer of {', '.join(few)}"
        )
    if len(tasks) == 1:
        raise Misconfigured("all prompts are of one task, so that there is nothing to tell apart")
    missing = [level for level in COMPLEXITIES if not any(prompt.complexity == level for prompt in prompts)]
    if missing:
        raise Misconfigured(f"no prompt is of the complexity {' or '.join(missing)}, which could then never be seen")
    return [task for task, _ in tasks.most_common()]
