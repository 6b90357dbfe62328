"""Questions and answers in a file: both forms, what is wrong with a line, and an export that reads back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from penstock_common.configuration import parse_duration
from penstock_suite.domain.cache_entries import CacheEntry
from penstock_suite.domain.cache_rows import exported_line, read_rows
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.interval import share


def rows(content, model="fast"):
    return read_rows(content if isinstance(content, bytes) else content.encode(), model, parse_duration)


def bad(content, model="fast"):
    return [(one.line, one.reason) for one in rows(content, model).bad]


JSON_ROW = {
    "question": "Wie spät?", "answer": "Zwölf.", "tags": ["a", "b"], "model": "safe", "system": "Kurz.",
    "language": "de", "ttl": "12h",
}  # fmt: skip
CSV = 'question,answer,tags,model,system,language,ttl\n"Wie spät?",Zwölf.,a;b,safe,Kurz.,de,12h\n'


@pytest.mark.parametrize("prefix", ["", "\ufeff"], ids=["plain", "bom"])
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("text", [json.dumps(JSON_ROW) + "\n", CSV], ids=["jsonl", "csv"])
def test_both_forms_say_the_same(text, end, prefix):
    read = rows((prefix + text.replace("\n", end)).encode())
    (row,) = read.good
    assert (row.question, row.answer, row.model, row.system) == ("Wie spät?", "Zwölf.", "safe", "Kurz.")
    assert (row.tags, row.ttl) == (("a", "b", "language:de"), timedelta(hours=12))
    assert read.bad == ()


def test_a_file_of_nothing_has_no_rows():
    assert rows("") == rows("\n\n") == rows(b"\xef\xbb\xbf")


def test_bad_lines_have_their_number_and_the_rest_goes_in():
    text = "\n".join(  # noqa: FLY002 - a line each
        (
            '{"question": "a", "answer": "b"}',
            "",
            '{"question": "c"}',
            "{no json",
            '{"question": "e", "answer": 1}',
            '{"question": "f", "answer": "g", "ttl": "soon"}',
            '{"question": "h", "answer": "i", "tags": [1]}',
            '{"question": "j", "answer": "k", "colour": "red"}',
            "[]",
            '{"question": "l", "answer": "m", "ttl": 60}',
        )
    )
    read = rows(text)
    assert [(row.line, row.ttl) for row in read.good] == [(1, None), (10, timedelta(minutes=1))]
    told = {one.line: one.reason for one in read.bad}
    assert list(told) == [3, 4, 5, 6, 7, 8, 9]
    for line, words in zip(
        told, ("answer is missing", "not JSON", "not a text", "'soon'", "tags", "'colour'", "not an object"),
        strict=True,
    ):  # fmt: skip
        assert words in told[line]


def test_lines_of_csv_are_counted_where_fields_hold_line_breaks():
    read = rows('question,answer\n"a\nb",c\nd,e,f\n,g\n')
    assert [(row.line, row.question) for row in read.good] == [(2, "a\nb")]
    assert [one.line for one in read.bad] == [4, 5]


@pytest.mark.parametrize(
    "titles", ["question", "question,answer,colour", "question,answer,answer", "What is it?,This."]
)
def test_titles_that_are_none_end_it(titles):
    with pytest.raises(Misconfigured, match="first line"):
        rows(f"{titles}\na,b\n")


def test_what_is_not_utf8_is_told_by_its_line():
    with pytest.raises(Misconfigured, match="line 2"):
        rows(b"question,answer\n\xff,b\n")
    assert [line for line, _ in bad(b'{"question": "a", "answer": "b"}\n{"question": "\xff", "answer": "b"}\n')] == [2]


def test_a_question_with_two_answers_is_told_and_the_first_goes_in():
    text = "question,answer,model\na,b,\na,b,\na,c,\na,c,safe\n"
    read = rows(text)
    assert [row.line for row in read.good] == [2, 3, 5]
    assert bad(text) == [(4, "another answer to the question of line 2")]


def test_a_line_without_a_model_needs_the_option():
    assert bad('{"question": "a", "answer": "b"}', model="") == [
        (1, "it names no model, and --model none for those that do not")
    ]


NOW = datetime(2026, 1, 1, tzinfo=UTC)


def entry(**more):
    return CacheEntry(
        **{
            "id": "e1", "model": "safe", "question": "Wie spät?", "answer": "Zwölf.\n", "tags": ("a;b", "language:de"),
            "is_private": False, "created_at": NOW, "expires_at": NOW + timedelta(minutes=5), "origin": "answered",
            "hits": 2, "threshold": 0.5, "same_answers": 1, "different_answers": 0, "alias_of": "", "saved_tokens": 1,
            "saved_nano_usd": 2, **more,
        }
    )  # fmt: skip


def test_an_export_reads_back():
    read = rows(exported_line(entry(), NOW.timestamp()), model="")
    (row,) = read.good
    assert (row.question, row.answer, row.model, row.tags) == ("Wie spät?", "Zwölf.\n", "safe", ("a;b", "language:de"))
    assert row.ttl == timedelta(minutes=5)


def test_an_entry_of_one_user_is_exported_and_not_imported():
    assert "one user alone" in bad(exported_line(entry(is_private=True), NOW.timestamp()))[0][1]


# By hand, from Wilson's formula.
@pytest.mark.parametrize(
    ("hits", "n", "low", "high"), [(0, 120, 0.0, 0.031021), (1, 120, 0.001473, 0.045696), (5, 10, 0.236593, 0.763407)]
)
def test_the_interval_of_a_share(hits, n, low, high):
    found = share(hits, n)
    assert found.ratio == pytest.approx(hits / n, abs=1e-6)
    assert (found.low, found.high) == (pytest.approx(low, abs=2e-5), pytest.approx(high, abs=2e-5))


def test_a_share_of_nothing_is_not_zero():
    assert share(0, 0).ratio is None
