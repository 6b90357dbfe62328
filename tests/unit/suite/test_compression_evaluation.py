"""Judging compression: what is counted, and what a bad line says."""

from __future__ import annotations

import json

import pytest

from penstock_suite.domain.compression_evaluation import Made, Question, evaluation, judge, read_questions
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.surfaces.cli.evaluate_compression import _missed

GOOD = {
    "id": "1",
    "question": "How old is Ada?",
    "context": "[1] a\nAda is 9. Bob is 7.",
    "answer_sentence": "Ada is 9.",
}
QUESTIONS = [
    Question("1", "q", "[1] a\nAda is 9.", "Ada is 9.", near_duplicates=1),
    Question("2", "q", "[1] b\nBob is 7.", "Bob is 7.", near_duplicates=1),
    Question("3", "q", "Eve is 5.", "Eve is 5."),
    Question("4", "q", "Max is 3.", "Max is 3."),
]


async def found():
    made = {
        "1": Made("Ada is 9.", 10, 4, "", "[1] a", 1.0),
        "2": Made("[1] b", 10, 2, "", "[1] b", 2.0),
        "3": Made("Eve is 5.", 10, 10, "unasked", "", 3.0),
        "4": Made("Max is 3.", 10, 10, "unasked", "", 4.0),
    }

    async def compress(question):
        return made[question.id]

    return evaluation(await judge(compress, QUESTIONS), {"keep": 0.5})


async def test_what_stays_and_what_goes_is_counted():
    told = await found()
    assert (told.questions, told.survived, told.answer_survived_ratio, told.lost) == (4, 3, 0.75, ("2",))
    assert (told.tokens_before, told.tokens_saved, told.tokens_saved_ratio) == (40, 14, 0.35)
    assert (told.heading_survived_ratio, told.near_duplicates_heading_survived_ratio) == (0.5, 0.5)
    assert told.by_near_duplicates["1"].tokens_saved_ratio == 0.7
    assert told.by_near_duplicates["0"].survived == 2
    assert told.unchanged == {"unasked": 2}
    assert (told.p50_ms, told.p99_ms, told.ms_per_10k_tokens) == (3.0, 4.0, 2500.0)


async def test_a_goal_that_is_missed_is_named():
    told = await found()
    assert _missed(told, 0.98, 0.4) == [
        "75.00% of the answers stay, fewer than 98.00%.",
        "35.00% of the tokens are saved, less than 40.00%.",
    ]
    assert _missed(told, 0.75, None) == []


def lines(*rows):
    return "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows).encode()


def test_questions_are_read():
    assert [one.id for one in read_questions(b"\xef\xbb\xbf" + lines(GOOD, "", {**GOOD, "id": "2", "more": 1}))] == [
        "1",
        "2",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lines(GOOD, "{"), "line 2 is no question with its context: "),
        (lines({**GOOD, "context": 5}), "line 1 is no question with its context: Expected `str`"),
        (lines({"id": "1"}), "line 1 is no question with its context: Object missing required field"),
        (lines({**GOOD, "question": " "}), "question or answer_sentence is empty"),
        (lines({**GOOD, "answer_sentence": "Ada is 8."}), "line 1: the answer_sentence is not in the context"),
        (lines(GOOD, GOOD), "line 2: the id '1' is that of line 1"),
        (lines(""), "the dataset has no questions"),
        (b"\xff\xfe", "line 1 is no question with its context: "),
    ],
)  # fmt: skip
def test_a_bad_line_is_named(content, said):
    with pytest.raises(Misconfigured) as caught:
        read_questions(content)
    assert said in str(caught.value)
