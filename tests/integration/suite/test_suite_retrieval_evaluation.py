"""`penstock eval retrieval` through the real parser, splitter, model, vector store and reranker."""

from __future__ import annotations

import json

TOWNS = ("Kalm", "Oster", "Vest", "Holm")
DOCUMENTS = [
    {
        "id": f"ferry-{town.lower()}",
        "title": f"Ferry rules: {town}",
        "format": "md",
        "text": f"# Ferry rules: {town}\n\nDogs stay on deck.\n\nA kennel costs {price} EUR. Form F-{price}.",
    }
    for price, town in enumerate(TOWNS, 11)
] + [{"id": "empty", "format": "txt", "text": "  "}]
QUERIES = [
    {
        "query": f"What does a kennel cost on the ferry of {town}?",
        "kind": "number",
        "relevant": [{"doc": f"ferry-{town.lower()}", "grade": 3}],
    }
    for town in TOWNS
] + [{"query": "form F-12", "kind": "code", "relevant": [{"doc": "ferry-oster", "grade": 3}]}]


def test_modes_are_judged_over_the_real_parts(penstock, tmp_path):
    corpus, queries, plot = tmp_path / "corpus.jsonl", tmp_path / "queries.jsonl", tmp_path / "modes.svg"
    corpus.write_text("".join(json.dumps(one) + "\n" for one in DOCUMENTS))
    queries.write_text("".join(json.dumps(one) + "\n" for one in QUERIES))
    told = penstock(
        "eval",
        "retrieval",
        corpus,
        queries,
        "--json",
        "--plot",
        plot,
        "--splitter",
        "auto",
        "--splitter",
        "recursive:64",
    )
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert list(found["modes"]) == ["dense", "sparse", "hybrid", "hybrid+rerank"]
    assert found["modes"]["hybrid+rerank"]["hit@1"] == found["modes"]["sparse"]["ndcg@10"] == 1.0
    assert {"ndcg@10", "recall@10", "mrr", "by_kind", "intervals"} <= set(found["modes"]["dense"])
    assert [run["splitter"] for run in found["runs"]] == ["auto", "recursive:64"]
    assert found["runs"][0]["model_revision"].startswith("int8-") and found["runs"][0]["chunks"] >= 4
    assert list(found["runs"][0]["left_out"]) == ["empty"]
    assert all(mode["degraded"] == 0 for run in found["runs"] for mode in run["modes"].values())
    assert plot.read_text().startswith("<svg")


def test_what_cannot_be_used_is_told(penstock, tmp_path):
    corpus, queries = tmp_path / "corpus.jsonl", tmp_path / "queries.jsonl"
    corpus.write_text(json.dumps(DOCUMENTS[0]))
    queries.write_text(json.dumps({"query": "?", "relevant": [{"doc": "nobody", "grade": 1}]}))
    told = penstock("eval", "retrieval", corpus, queries)
    assert told.returncode != 0
    assert "names 'nobody', which the corpus does not have" in told.stderr
    queries.write_text(json.dumps(QUERIES[0]))
    told = penstock("eval", "retrieval", corpus, queries, "--model", "nobody")
    assert told.returncode != 0
    assert "--model nobody: the configuration has all-MiniLM-L6-v2" in told.stderr
