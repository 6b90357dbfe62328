"""`penstock eval grounding` with the real check."""

from __future__ import annotations

import gzip
import json

import pytest

CONTEXT = "# Boat hire\n\n- Kayak: 15 EUR an hour\n- Deposit: 50 EUR\n- Dogs: not allowed\n"
ANSWERS = (
    {"context": CONTEXT, "answer": "A kayak costs 15 EUR an hour.", "label": "grounded", "kind": "verbatim"},
    {
        "context": CONTEXT,
        "answer": "A kayak costs 15 EUR an hour. The deposit is 90 EUR.",
        "label": "partly",
        "kind": "number_swap",
    },
    {"context": CONTEXT, "answer": "Dogs are allowed.", "label": "ungrounded", "kind": "negation_flip"},
)


@pytest.fixture
def dataset(tmp_path):
    path = tmp_path / "answers.jsonl.gz"
    path.write_bytes(gzip.compress("".join(json.dumps(answer) + "\n" for answer in ANSWERS).encode()))
    return path


def test_answers_go_through_the_real_check(penstock, dataset):
    told = penstock("eval", "grounding", dataset, "--json")
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert (found["answers"], found["macro_f1"], found["accuracy"]["hits"]) == (3, 1.0, 3)
    assert found["confusion"]["partly"] == {"grounded": 0, "partly": 1, "ungrounded": 0}
    assert {"label": "partly", "kind": "number_swap", "answers": 1, "right": 1} in found["kinds"]
    assert found["setting"]["check"].startswith("grounding ")


def test_it_fails_below_what_is_asked_for_and_tells_what_is_wrong_with_a_line(penstock, dataset, tmp_path):
    path = tmp_path / "wrong.jsonl"
    path.write_text(json.dumps(ANSWERS[0] | {"label": "ungrounded"}) + "\n")
    told = penstock("eval", "grounding", path, "--min-f1", "0.5")
    assert (told.returncode, "lower than 0.5" in told.stderr) == (1, True)
    path.write_text('{"context": "a"}\n')
    told = penstock("eval", "grounding", path)
    assert told.returncode == 2
    assert "line 1 is no labelled answer" in told.stderr
    assert "--min-f1 must be between 0 and 1" in penstock("eval", "grounding", dataset, "--min-f1", "7").stderr
