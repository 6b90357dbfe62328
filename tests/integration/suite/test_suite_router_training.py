"""`penstock router train`: prompts in, weights out, and everything that is not enough refused with what is missing."""

from __future__ import annotations

import json

import pytest

from penstock_router.domain.classification.classifier import Classifier
from penstock_router.domain.classification.model import read
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.router_training import tasks_of
from penstock_suite.domain.routing_evaluation import Prompt

LEVELS = ("low", "medium", "high")


def prompts(**counts):
    return [
        Prompt(f"{task}{at}", f"{task} {at}", task, LEVELS[at % 3])
        for task, count in counts.items()
        for at in range(count)
    ]


def test_tasks_are_whatever_the_labels_say_the_most_frequent_first():
    assert tasks_of(prompts(billing=10, returns=12)) == ["returns", "billing"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (prompts(billing=10, returns=9), r"10 prompts are the least.*returns \(9\)"),
        (prompts(billing=12), "nothing to tell apart"),
        ([*prompts(billing=10, returns=10), Prompt("x", "x", "billing")], "'x' lacks a label"),
        (
            [prompt for prompt in prompts(a=30, b=30) if prompt.complexity != "high"],
            "no prompt is of the complexity high",
        ),
    ],
)
def test_what_is_not_enough_is_refused_with_what_is_missing(given, told):
    with pytest.raises(Misconfigured, match=told):
        tasks_of(given)


def test_weights_of_ones_own_know_ones_own_tasks(penstock, tmp_path):
    lines = [
        {"prompt": f"{words} number {at}", "task": task, "complexity": LEVELS[at % 3]}
        for task, words in (("billing", "Why was I charged twice on invoice"), ("returns", "How do I send back order"))
        for at in range(12)
    ]
    dataset, output = tmp_path / "own.jsonl", tmp_path / "own.npz"
    dataset.write_text("\n".join(map(json.dumps, lines)))
    told = penstock("router", "train", dataset, "--output", output, "--json")
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert (found["prompts"], sorted(found["tasks"]), found["shipped_task_accuracy"]) == (
        24,
        ["billing", "returns"],
        None,
    )
    assert found["task_accuracy"] == 1.0
    classifier = Classifier(read(output.read_bytes()))
    assert (sorted(classifier.tasks), classifier.version) == (["billing", "returns"], found["version"])
    again = penstock("router", "train", dataset, "--output", output)
    assert again.returncode == 2
    assert "--force" in again.stderr
