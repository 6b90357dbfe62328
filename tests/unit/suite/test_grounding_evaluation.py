"""Judging the grounding check by labelled answers: what is counted, and what a bad line says."""

import gzip
import json

import pytest

from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.grounding_evaluation import Answer, OfKind, Taken, evaluation, read_answers

GOOD = {"context": "Tea is free.", "answer": "Tea is free.", "label": "grounded", "kind": "verbatim"}


def lines(*rows):
    return "\n".join(json.dumps(row) for row in rows).encode()


def answer(label, kind="k"):
    return Answer("1", "c", "a", label, kind)


def taken(label, score=0.5, milliseconds=1.0):
    return Taken(label, score, milliseconds)


def test_figures_by_label_and_kind():
    answers = [answer("grounded"), answer("grounded", "other"), answer("partly"), answer("ungrounded")]
    found = evaluation(
        answers,
        [taken("grounded", 0.9), taken("partly", 0.7), taken("partly", milliseconds=9.0), taken("ungrounded", 0.1)],
        {"dataset": "d"},
    )
    assert (found.labels["grounded"].precision, found.labels["grounded"].recall) == (1.0, 0.5)
    assert found.labels["partly"].precision == 0.5
    assert found.macro_f1 == pytest.approx((2 / 3 + 2 / 3 + 1) / 3, abs=1e-6)
    assert (found.accuracy.hits, found.accuracy.n) == (3, 4)
    assert found.confusion["grounded"] == {"grounded": 1, "partly": 1, "ungrounded": 0}
    assert OfKind("grounded", "other", 1, 0) in found.kinds
    assert (found.mean_score["grounded"], found.p95_ms, found.setting) == (0.8, 9.0, {"dataset": "d"})


def test_a_label_that_no_answer_has_is_not_in_the_mean():
    found = evaluation([answer("grounded")], [taken("grounded")], {})
    assert (found.macro_f1, found.labels["partly"].recall, found.labels["partly"].precision) == (1.0, None, None)


def test_files_are_read_packed_or_not():
    content = b"\xef\xbb\xbf" + lines(GOOD) + b"\n\n" + lines(GOOD | {"id": "x"})
    assert [one.id for one in read_answers(content)] == ["1", "x"]
    assert read_answers(gzip.compress(content, mtime=0)) == read_answers(content)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no answers"),
        (lines(GOOD) + b"\n{", "line 2 is no labelled answer"),
        (b"[]", "line 1 is no labelled answer: Expected `object`"),
        (b"\xff", "line 1 is no labelled answer"),
        (lines(GOOD | {"answer": " "}), "line 1 is no labelled answer: it is empty"),
        (lines({"context": "c", "answer": "a"}), "line 1 is no labelled answer"),
        (lines(GOOD | {"label": "true"}), "line 1: label is one of grounded, partly, ungrounded, not 'true'"),
        (gzip.compress(lines(GOOD), mtime=0)[:-9], "cannot be unpacked"),
    ],
)
def test_what_is_no_dataset_is_refused_by_its_line(content, told):
    with pytest.raises(Misconfigured, match=told.replace("`", ".")):
        read_answers(content)
