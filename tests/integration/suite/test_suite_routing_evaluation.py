"""`penstock eval routing` with the real classifier and the real embedding model."""

from __future__ import annotations

import json

import pytest

PROMPTS = (
    {"id": "1", "prompt": "Who composed the Moonlight Sonata?", "task": "faq", "complexity": "low"},
    {"id": "2", "prompt": "python: check if a file exists", "task": "code", "complexity": "low"},
    {"id": "3", "prompt": "Write a friendly email to my tenants about the broken boiler.", "task": "general"},
)


@pytest.fixture
def dataset(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(json.dumps(prompt) + "\n" for prompt in PROMPTS))
    return path


def test_prompts_go_through_the_real_classifier_with_real_vectors(penstock, dataset):
    told = penstock("eval", "routing", dataset, "--json")
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert (found["prompts"], found["task_accuracy"], found["by_vector_ratio"]) == (3, 1.0, 1.0)
    assert found["intervals"]["complexity_accuracy"]["n"] == 2
    assert found["confusion"]["task"] == {"code": {"code": 1}, "faq": {"faq": 1}, "general": {"general": 1}}
    assert found["setting"]["embedding_model"].startswith("all-MiniLM-L6-v2")
    assert found["setting"]["classifier"]


def test_it_judges_features_alone_and_tells_what_is_wrong_with_a_line(penstock, dataset):
    told = penstock("eval", "routing", dataset, "--features")
    assert told.returncode == 0, told.stderr
    assert "Tasks: 100.0% right" in told.stderr + told.stdout
    dataset.write_text(dataset.read_text() + '{"prompt": "a", "complexity": "hard"}\n')
    told = penstock("eval", "routing", dataset)
    assert told.returncode != 0
    assert "line 4: complexity is one of low, medium, high, not 'hard'" in told.stderr
