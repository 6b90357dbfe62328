"""`penstock eval cache` through the cache's own service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

# The tier of meaning and the engine that it keeps vectors in.
pytest.importorskip("penstock_cache.app.meaning")
pytest.importorskip("qdrant_edge")

PAIRS = (
    {"id": "1", "a": "How do I reset my password?", "b": "How do I reset my password ?", "same_answer": True},
    {"id": "2", "a": "Is it refunded within 30 days?", "b": "Is it refunded within 45 days?", "same_answer": False},
)


def test_pairs_go_through_the_real_cache_and_nothing_is_left(penstock, tmp_path):
    dataset, scratch = tmp_path / "pairs.jsonl", tmp_path / "scratch"
    dataset.write_text("".join(json.dumps(pair) + "\n" for pair in PAIRS))
    scratch.mkdir()
    plot = tmp_path / "plot.svg"
    told = penstock("eval", "cache", dataset, "--json", "--plot", plot, TMPDIR=str(scratch))
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert (found["pairs"], found["hits"], found["served_true_ratio"], found["false_of_hits_ratio"]) == (2, 1, 1.0, 0.0)
    assert (found["not_kept"], found["unlike_explain"]) == (0, 0)
    assert plot.read_text().startswith("<svg")
    assert list(Path(scratch).iterdir()) == []
