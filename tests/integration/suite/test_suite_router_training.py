"""`penstock router train`: prompts in, weights out, and everything that is not enough refused with what is missing."""

from __future__ import annotations

import json

import pytest

from penstock_router.domain.classification.classifier import Classifier
from penstock_router.domain.classification.model import read
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.router_training import Said, labelled, tasks_of
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


def test_feedback_labels_prompts_by_their_answers_the_newest_word_first():
    given = [
        Prompt("1", "a", generation_id="chatcmpl-0a1"), Prompt("2", "b", "billing", "low", "0b2"),
        Prompt("3", "c", "billing", generation_id="msg_0c3"), Prompt("4", "d", "returns", "high"),
    ]  # fmt: skip
    said = [
        Said("0a1", {"task": "returns", "team": "x"}), Said("0a1", {"task": "billing", "complexity": "low"}),
        Said("0b2", {"task": "returns"}), Said("0d4", {"task": "other"}),
    ]  # fmt: skip
    labels = labelled(given, said)
    told = [(prompt.id, prompt.task, prompt.complexity) for prompt in labels.prompts]
    assert told == [("1", "returns", "low"), ("2", "returns", "low"), ("4", "returns", "high")]
    assert (labels.by_feedback, labels.without_label) == (2, 1)
    # Of whatever else feedback says something nothing is learned, nor is it a fault.
    assert labelled(given, [*said, Said("0e5", {"complexity": "hard"}), Said("", {"task": "other"})]) == labels
    with pytest.raises(Misconfigured, match="not 'hard' as feedback says of 0a1"):
        labelled(given, [Said("0a1", {"complexity": "hard"})])


def test_weights_of_ones_own_know_ones_own_tasks(penstock, tmp_path):
    lines = [
        {"prompt": f"{words} number {at}", "generation_id": f"chatcmpl-{task}{at}"}
        for task, words in (("billing", "Why was I charged twice on invoice"), ("returns", "How do I send back order"))
        for at in range(12)
    ]
    said = [
        {"generation_id": f"{task}{at}", "tags": {"task": task, "complexity": LEVELS[at % 3]}, "thumb": "down"}
        for task in ("billing", "returns")
        for at in range(12)
    ]
    dataset, feedback, output = (tmp_path / name for name in ("own.jsonl", "feedback.json", "own.npz"))
    dataset.write_text("\n".join(map(json.dumps, [*lines, {"prompt": "Of this nobody said anything."}])))
    feedback.write_text(json.dumps(said))
    bare = penstock("router", "train", dataset, "--output", output)
    assert (bare.returncode, "lacks a label" in bare.stderr) == (2, True)
    told = penstock("router", "train", dataset, "--feedback", feedback, "--output", output, "--json")
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert (found["by_feedback"], found["without_label"]) == (24, 1)
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
    wrong = penstock("router", "train", dataset, "--feedback", dataset, "--output", tmp_path / "other.npz")
    assert (wrong.returncode, "penstock feedback list --json" in wrong.stderr) == (2, True)
