"""Judging the injection detector by labelled texts: what is counted, and what a bad line says."""

import gzip
import json

import pytest

from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.injection_evaluation import (
    GuardedText,
    Taken,
    area_under_curve,
    injection_evaluation,
    read_texts,
)


def lines(*rows):
    return "\n".join(json.dumps(row) for row in rows).encode()


def taken(is_attack, score=0.5, *rules):
    return Taken(is_attack, score, rules, 100.0)


def test_recall_and_false_alarms_by_kind_and_surface():
    texts = [
        GuardedText("1", "a", "attack", "override", "user"),
        GuardedText("2", "b", "attack", "indirect", "document"),
        GuardedText("3", "c", "benign", "draft", "user"),
        GuardedText("4", "d", "benign", "draft", "document"),
    ]
    found = injection_evaluation(
        texts, [taken(True, 0.9, "x", "x"), taken(False, 0.4), taken(True, 0.8, "x", "y"), taken(False, 0.1)], {"d": 1}
    )
    assert (found.recall, found.false_alarm_ratio, found.auc) == (0.5, 0.5, 0.75)
    assert {kind: one.hits for kind, one in found.recall_by_kind.items()} == {"indirect": 0, "override": 1}
    assert {kind: (one.hits, one.n) for kind, one in found.false_alarms_by_kind.items()} == {"draft": (1, 2)}
    assert {name: one.hits for name, one in found.false_alarms_by_surface.items()} == {"document": 0, "user": 1}
    assert (found.missed, found.alarms, found.rules) == (["2"], ["3"], {"x": 2, "y": 1})
    assert found.intervals["recall"].n == 2


def test_a_side_that_is_missing_is_not_judged():
    found = injection_evaluation([GuardedText("1", "a", "attack")], [taken(True)], {})
    assert (found.recall, found.false_alarm_ratio, found.auc) == (1.0, None, None)
    assert area_under_curve([0.5], [0.5]) == 0.5


def test_a_packed_file_is_read():
    rows = lines({"text": "a", "label": "benign"}, {"id": "x", "text": "b", "label": "attack", "surface": "output"})
    assert [(one.id, one.surface) for one in read_texts(gzip.compress(rows))] == [("1", "user"), ("x", "output")]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no texts"),
        (b"\x1f\x8bno", "packed by gzip, and broken"),
        (lines({"text": "a", "label": "benign"}) + b"\n{", "line 2 is no labelled text"),
        (lines({"text": "a", "label": "good"}), "line 1 is no labelled text"),
        (lines({"text": "a", "label": "attack", "surface": "mail"}), "line 1 is no labelled text"),
        (
            lines({"id": "1", "text": "a", "label": "attack"}, {"id": "1", "text": "b", "label": "attack"}),
            "that of line 1",
        ),
    ],
)
def test_a_bad_line_is_named(content, told):
    with pytest.raises(Misconfigured, match=told):
        read_texts(content)
