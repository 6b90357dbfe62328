"""What is found of ranked documents, and what is refused of a dataset."""

from __future__ import annotations

import json
import math

import pytest

from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.retrieval_dataset import (
    CorpusDocument,
    Question,
    Relevant,
    digest_of,
    read_corpus,
    read_queries,
    subjects_of,
)
from penstock_suite.domain.retrieval_evaluation import Ranked, RetrievalEvaluation, Run, judged
from penstock_suite.domain.retrieval_plot import quality_svg

CORPUS = [CorpusDocument(id=name, text="x") for name in ("tax-old", "tax-new", "dog-a", "dog-b", "other")]
SUBJECTS = subjects_of(CORPUS)


def _question(kind: str = "", **grades: int) -> Question:
    return Question(query="?", relevant=[Relevant(doc.replace("_", "-"), g) for doc, g in grades.items()], kind=kind)


def _found(*documents: str) -> Ranked:
    return Ranked(documents, 1.0)


def test_measures_are_those_of_the_field() -> None:
    questions = [_question("a", tax_new=3, tax_old=1), _question("b", dog_a=3)]
    modes, gains = judged(
        questions,
        {
            "dense": [_found("tax-old", "other", "tax-new"), _found("dog-b")],
            "hybrid": [_found("tax-new", "tax-old"), _found("other", "dog-a")],
        },
        SUBJECTS,
    )
    dense, hybrid = modes["dense"], modes["hybrid"]
    ideal = 3 + 1 / math.log2(3)
    assert dense.by_kind["a"].ndcg_10 == pytest.approx((1 + 3 / 2) / ideal, abs=1e-4)
    assert (dense.recall_10, dense.mrr, dense.hit_1) == (0.5, 0.5, 0.5)
    assert (dense.right_subject_1, dense.right_subject_wrong_variant_1) == (1.0, 0.5)
    assert hybrid.by_kind["a"].ndcg_10 == 1.0 and hybrid.by_kind["b"].mrr == 0.5
    assert (hybrid.hit_1, hybrid.right_subject_1, hybrid.precision_5) == (0.5, 0.5, 0.3)
    gain = gains["hybrid over dense"]
    assert gain.ndcg_10 == pytest.approx(hybrid.ndcg_10 - dense.ndcg_10, abs=2e-4)
    assert gain.interval.low <= gain.ndcg_10 <= gain.interval.high


def test_subjects_are_told_by_ids_that_others_share() -> None:
    assert SUBJECTS == {"tax-old": "tax", "tax-new": "tax", "dog-a": "dog", "dog-b": "dog"}
    modes, _ = judged([_question(other=3)], {"dense": [_found("other")]}, SUBJECTS)
    assert modes["dense"].right_subject_1 is None


def test_what_stands_behind_the_tenth_is_not_found() -> None:
    modes, _ = judged([_question(other=3)], {"dense": [_found(*"abcdefghij", "other")]}, {})
    assert (modes["dense"].mrr, modes["dense"].recall_10, modes["dense"].ndcg_10) == (0, 0, 0)


def test_a_folder_is_a_corpus(tmp_path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "one.md").write_text("# One")
    assert read_corpus(tmp_path) == [CorpusDocument(id="one", text="# One", format="md")]
    assert read_corpus(tmp_path)[0].filename == "one.md"


@pytest.mark.parametrize(
    ("corpus", "queries", "told"),
    [
        ('{"id":"a","text":""}\n{"id":1}', "", "line 2 is no document"),
        ('{"id":"a","text":""}\n{"id":"a","text":""}', "", "'a' is there twice"),
        ("", "", "has no documents"),
        ('{"id":"a","text":""}', "", "has no questions"),
        ('{"id":"a","text":""}', '\n{"query":"q"}', "line 2 is no question"),
        ('{"id":"a","text":""}', '{"query":"q","relevant":[]}', "line 1 is no question"),
        ('{"id":"a","text":""}', '{"id":"q7","query":"q","relevant":[{"doc":"b","grade":3}]}', "q7 names 'b'"),
        ('{"id":"a","text":""}', '{"query":"q","relevant":[{"doc":"a","grade":0}]}', "no document answers"),
        ('{"id":"a","text":""}', '{"query":"q","relevant":[{"doc":"a","grade":4}]}', "line 1 is no question"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path, corpus: str, queries: str, told: str) -> None:
    documents, questions = tmp_path / "corpus.jsonl", tmp_path / "queries.jsonl"
    documents.write_text(corpus)
    questions.write_text(queries)
    with pytest.raises(Misconfigured, match=told):
        read_queries(questions, read_corpus(documents))


def test_the_hash_is_of_questions_and_grades_in_any_order() -> None:
    one, other = _question(tax_new=3), _question(dog_a=2)
    assert digest_of([one, other]) == digest_of([other, one]) != digest_of([one, _question(dog_a=1)])


def test_the_plot_has_a_bar_for_each_mode() -> None:
    modes, gains = judged([_question(other=3)], {"dense": [_found("other")], "hybrid": [_found()]}, {})
    run = Run(
        model="<m>", model_revision="r", splitter="auto", chunks=1, modes=modes, gains=gains, left_out={}, seconds=1.0
    )
    drawn = quality_svg(
        RetrievalEvaluation(modes=modes, runs=[run, run], documents=1, queries=1, qrels="", setting={}), "a & b"
    )
    assert drawn.count("1.000</text>") == 2 and "&lt;m&gt;" in drawn and "a &amp; b" in drawn
    assert json.dumps(drawn)
