"""Judging the detector of personal data: what is counted, and what a bad line says."""

from __future__ import annotations

import json

import pytest

from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.pii_evaluation import Entity, Seen, Text, evaluation, read_texts
from penstock_suite.surfaces.cli.evaluate_pii import missed

GOOD = {"id": "1", "text": "mail a@b.example", "entities": [{"type": "email", "start": 5, "end": 16, "value": "x"}]}
MAIL, PART = Entity("email", 5, 16), Entity("email", 5, 9)
PERSON, PHONE = Entity("person", 0, 3), Entity("phone", 0, 8)


def seen(*rows):
    texts = [
        Seen(Text(str(number), "x" * 40, tuple(marked), "en" if number % 2 else "de"), tuple(told), float(number))
        for number, (marked, told) in enumerate(rows, 1)
    ]
    return evaluation(texts, {"names": True})


def test_what_is_found_and_what_is_not_is_counted():
    told = seen(
        ([MAIL], [MAIL]), ([MAIL], [PART]), ([MAIL, PERSON], [PERSON]), ([MAIL], [PHONE]), ([], []), ([], [PHONE])
    )
    mail = told.by_type["email"]
    assert (mail.entities, mail.right, mail.exact, mail.found, mail.false) == (4, 2, 1, 2, 0)
    assert (mail.recall, mail.precision, mail.exact_recall, mail.exact_precision) == (0.5, 1.0, 0.25, 0.5)
    assert mail.f2 == round(5 * 0.5 / (4 + 0.5), 6)
    assert (told.structured.right, told.structured.found, told.structured.false) == (2, 4, 2)
    assert told.named.f2 == 1.0
    assert told.by_type["address"].f2 is None
    assert told.by_type["iban"].recall is None
    assert (told.clean_texts, told.clean_touched, told.clean_found) == (2, 1, {"phone": 1})
    assert told.missed == ("3 email", "4 email")
    assert told.false_hits == ("4 phone", "6 phone")
    assert told.by_language["en"]["structured"].right == 1
    assert (told.p50_ms, told.p95_ms) == (4.0, 6.0)


def test_what_overlaps_in_another_type_is_not_found():
    told = seen(([MAIL], [Entity("person", 5, 16)]))
    assert (told.by_type["email"].recall, told.by_type["person"].false) == (0.0, 1)
    assert told.by_type["email"].f2 == 0.0


def test_a_goal_that_is_missed_is_named():
    told = seen(([MAIL], [MAIL]), ([MAIL, PERSON], []), ([], [PHONE]))
    goals = {"--min-recall": 0.99, "--min-precision": 0.98, "--min-f2": 0.85, "--max-touched": 0.02}
    assert missed(told, goals) == [
        "50.00% of the structured types is found, less than 99.00%.",
        "50.00% of what is found of the structured types is right, less than 98.00%.",
        "0.00% is the lower F2 of persons and addresses, less than 85.00%.",
        "100.00% of the clean texts are touched, more than 2.00%.",
    ]
    assert missed(told, dict.fromkeys(goals)) == []


def lines(*rows):
    return "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows).encode()


def test_texts_are_read():
    assert [one.id for one in read_texts(b"\xef\xbb\xbf" + lines(GOOD, "", {**GOOD, "id": "2", "more": 1}))] == [
        "1",
        "2",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lines(GOOD, "{"), "line 2 is no text with its entities: "),
        (lines({"id": "1", "text": "x"}), "line 1 is no text with its entities: Object missing required field"),
        (lines({**GOOD, "entities": [{"type": "name", "start": 0, "end": 1}]}), "line 1: a type is one of email, "),
        (lines({**GOOD, "entities": [{"type": "email", "start": 5, "end": 99}]}), "line 1: 5 to 99 is no part of the text"),
        (lines({**GOOD, "entities": [{"type": "email", "start": 5, "end": 5}]}), "line 1: 5 to 5 is no part of the text"),
        (lines(GOOD, GOOD), "line 2: the id '1' is that of line 1"),
        (lines(""), "the dataset has no texts"),
        (b"\xff\xfe", "line 1 is no text with its entities: "),
    ],
)  # fmt: skip
def test_a_bad_line_is_named(content, said):
    with pytest.raises(Misconfigured) as caught:
        read_texts(content)
    assert said in str(caught.value)
