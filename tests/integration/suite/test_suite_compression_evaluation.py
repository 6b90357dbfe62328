"""`penstock eval compression` through the gateway's own compressor."""

from __future__ import annotations

import json

FILLING = "\n".join(f"Room {number} shows ships of the {number}th century." for number in range(1, 30))
QUESTIONS = [
    {
        "id": name,
        "question": f"What does a kennel cost on Ferry {name}?",
        "context": "\n\n".join(
            f"[{at}] Source: ferry-{one}.md | Ferry {one}\nDogs stay on deck.\nA kennel costs {9 + at} EUR.\n{FILLING}"
            for at, one in enumerate(("North", "South"), 1)
        ),
        "answer_sentence": f"A kennel costs {price} EUR.",
        "near_duplicates": 1,
    }
    for name, price in (("North", 10), ("South", 11))
]
MODELS = "models: [{name: long, candidates: [up/m], compression: {keep: 0.2}}]\n"


def test_contexts_go_through_the_real_compressor(penstock, tmp_path):
    dataset, configuration = tmp_path / "questions.jsonl", tmp_path / "penstock.yaml"
    dataset.write_text("".join(json.dumps(one) + "\n" for one in QUESTIONS))
    told = penstock("eval", "compression", dataset, "--json", "--min-survived", "1", "--min-saved", "0.4")
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert (found["questions"], found["answer_survived_ratio"], found["heading_survived_ratio"]) == (2, 1.0, 1.0)
    assert 0.4 < found["tokens_saved_ratio"] < 0.6
    assert found["by_near_duplicates"]["1"]["with_heading"] == 2
    configuration.write_text(MODELS)
    told = penstock("eval", "compression", dataset, "--model", "long", "--config", configuration, "--min-saved", "0.9")
    assert told.returncode == 1
    assert "of the tokens are saved, less than 90.00%" in told.stderr


def test_a_model_without_it_is_named(penstock, tmp_path):
    dataset = tmp_path / "questions.jsonl"
    dataset.write_text(json.dumps(QUESTIONS[0]))
    told = penstock("eval", "compression", dataset, "--model", "nobody")
    assert told.returncode != 0
    assert "has no public model 'nobody' with 'compression'" in told.stderr
