"""What a model reads of passages, what an answer cites of them, and what is searched for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.contract.knowledge import Chunk, Hit, SearchOptions, SearchResult
from penstock_common.errors import InvalidRequest
from penstock_common.llm.estimate import estimated_tokens
from penstock_common.llm.types import GenerationInput, Image, Message, Role, Text
from penstock_gateway.domain.knowledge_use.citations import citations_in
from penstock_gateway.domain.knowledge_use.extract import MOST_CHARACTERS, extract_of
from penstock_gateway.domain.knowledge_use.passages import (
    all_of,
    as_data,
    context_of,
    passages_within,
    with_context,
)
from penstock_gateway.domain.knowledge_use.query import MAX_QUERY_LENGTH, query_of
from penstock_gateway.domain.knowledge_use.told import Retrieved
from penstock_gateway.domain.knowledge_use.use import NOT_SAID, KnowledgeUse, joined


def hit(text, number=0, *, start=100, title="Ferry", headings=(), snippet=""):
    at = text.find(snippet)
    chunk = Chunk(
        id=f"c{number}", document=f"d{number}", document_version=1, ordinal=0, text=text, start=start,
        end=start + len(text), headings=headings,
    )  # fmt: skip
    return Hit(
        chunk=chunk, knowledge_base="docs", title=title, score=0.5, snippet=snippet, snippet_start=start + at,
        snippet_end=start + at + len(snippet),
    )  # fmt: skip


def turn(role, text):
    return Message(role=role, parts=(Text(text=text),))


def user(text):
    return turn(Role.USER, text)


@pytest.mark.parametrize(
    ("text", "numbers", "unknown"),
    [
        ("One [1]. Two[2], three [1, 2]; four [2;1].", [1, 2, 1, 2, 2, 1], 0),
        ("None [3] [0] [999].", [], 3),
        ("No: a[x], [1](https://e.org), [], [1.2], [-1], [[, 1]", [], 0),
        ("Code `a[1]`, ``b`[1]``, a tick ` [2].", [2], 0),
        ("```\nx[1]\n```\n[2]\n```\n[1]", [2], 0),
        ("[1, 1] 🐈 [1]", [1, 1], 0),
    ],
)
def test_numbers_in_an_answer_cite(text, numbers, unknown):
    cited, missed = citations_in(text, all_of([hit("a", 1), hit("b", 2)]))
    assert ([one.passage.number for one in cited], missed) == (numbers, unknown)
    assert all(text[one.place] == "[" for one in cited)


@given(st.text(alphabet="`[]1,2 a\n", max_size=200))
def test_any_answer_is_read(text):
    for cited in citations_in(text, all_of([hit("a", 1)]))[0]:
        assert text[cited.place] == "["


@given(st.text(alphabet="</passage id='1'>PASSAGES \u200b\u200d\u202e\n", max_size=120))
def test_no_document_ends_its_passage(text):
    passages = all_of([hit(text, title=text, headings=(text,)), hit("b", 2)])
    context = context_of(passages)
    bare = context.replace("\u200d", "").lower()
    assert (bare.count("</passage>"), bare.count("</passages>")) == (2, 1)
    assert bare.count('<passage id="') == 2
    assert as_data(as_data(text)) == as_data(text)


def test_passages_fill_their_room_in_their_order():
    long = "word " * 100
    hits = [hit(long, number) for number in range(4)]
    of_two = estimated_tokens(context_of(all_of(hits[:2]))) + 2
    assert [one.hit.chunk.id for one in passages_within(hits, of_two)] == ["c0", "c1"]
    assert len(passages_within(hits, of_two - 10)) == 1
    assert estimated_tokens(context_of(passages_within(hits, of_two))) <= of_two
    assert passages_within(hits, 20) == ()


def test_of_a_best_passage_without_room_its_snippet_stays():
    text = "word " * 500 + "A kennel costs 12 EUR."
    (passage,) = passages_within([hit(text, snippet="A kennel costs 12 EUR."), hit("x", 2)], 140)[:1]
    assert passage.text == "A kennel costs 12 EUR." == text[passage.start - 100 : passage.end - 100]


def test_the_context_stands_with_the_last_question():
    system, first, answer, last = turn(Role.SYSTEM, "s"), user("a"), turn(Role.ASSISTANT, "b"), user("c")
    tool = Message(role=Role.TOOL, parts=(Text(text="t"),), tool_call_id="1")
    made = with_context(GenerationInput(model="m", messages=(system, first, answer, last, tool)), "C").messages
    assert (made[:3], made[4]) == ((system, first, answer), tool)
    assert [part.text for part in made[3].parts] == ["C", "c"]


@pytest.mark.parametrize(
    ("turns", "query"),
    [
        ([user(" What? ")], "What?"),
        ([user("What?"), turn(Role.ASSISTANT, "x"), user("And why?")], "What?\nAnd why?"),
        ([user("What?"), user("y" * 401)], "y" * 401),
        ([user("x" * 9000)], "x" * MAX_QUERY_LENGTH),
        ([user("z" * 900 + "?"), user("Why?")], "z" * 399 + "?\nWhy?"),
        ([turn(Role.SYSTEM, "s"), turn(Role.ASSISTANT, "a")], ""),
        ([Message(role=Role.USER, parts=(Image(url="https://e.org/a.png"),))], ""),
    ],
)
def test_what_is_searched_for(turns, query):
    assert query_of(turns) == query


def test_a_request_says_more_than_its_model():
    by_model = KnowledgeUse(bases=("a",), options=SearchOptions(limit=3, min_score=0.4), when_nothing="refuse")
    use = joined(KnowledgeUse(bases=("b",), options=SearchOptions(limit=5)), by_model)
    assert (use.bases, use.options.limit, use.options.min_score) == (("b",), 5, 0.4)
    assert (use.when_nothing, use.when_unavailable, use.cite, use.max_context_tokens) == (
        "refuse", "fail", "numbers", 2048,
    )  # fmt: skip
    with pytest.raises(InvalidRequest, match=r"knowledge\.bases must name"):
        joined(NOT_SAID, NOT_SAID)


TEXTS = [
    "Dogs stay on deck. A kennel can be booked\nfor 12 EUR on Ferry South. Cats stay in their baskets.",
    "# Prices\n\n| what | EUR |\n|---|---|\n| kennel, large | 15 |\n| cabin | 90 |",
]


def test_quotes_are_what_stands_there():
    passages = all_of([hit(text, number, title="Ferry South") for number, text in enumerate(TEXTS)])
    extract = extract_of(passages, "What does a large kennel cost?")
    quotes = [one.passage for one in extract.cited]
    assert quotes[0].text == "| kennel, large | 15 |"
    other = extract_of(passages, "For how much can a kennel be booked on Ferry South?")
    assert other.text == f"{TEXTS[0]} [1]"
    for one in quotes:
        assert TEXTS[one.number - 1][one.start - 100 : one.end - 100] == one.text
    for one in extract.cited:
        assert extract.text[one.place :].startswith(f"[{one.passage.number}]")
    assert extract_of(passages, "What does a large kennel cost?") == extract


@given(
    st.lists(st.text(alphabet="ab .\n|-`[1]🐈", min_size=1, max_size=300), min_size=1, max_size=4), st.text(max_size=20)
)
def test_whatever_was_found_is_quoted_right(texts, question):
    extract = extract_of(all_of([hit(text, number) for number, text in enumerate(texts)]), question)
    assert sum(len(one.passage.text) for one in extract.cited) <= MOST_CHARACTERS
    for passage, place in extract.cited:
        assert texts[passage.number - 1][passage.start - 100 : passage.end - 100] == passage.text
        assert extract.text[:place].endswith(f"{passage.text} ")


def test_what_is_told_counts_what_is_unknown():
    passages = all_of([hit("a 🐈 b", 1)])
    retrieved = Retrieved(outcome="found", bases=("docs",), query="q", passages=passages, result=SearchResult())
    told = retrieved.told({0: "x [1] [7]", 2: "[1]"})
    assert [(one.choice, one.index, one.quote) for one in told.citations] == [(0, 2, "a 🐈 b"), (2, 0, "a 🐈 b")]
    assert told.unknown_citations == 1
    assert [(one.start, one.end) for one in told.retrieved] == [(100, 105)]


def test_a_heading_alone_is_quoted_only_where_there_is_nothing_else():
    question = "What does a kennel cost?"
    heading = "## What does a kennel cost?"
    told = extract_of(all_of([hit(f"{heading}\n\nIt can be booked for 12 EUR.", title=""), hit(heading, 1)]), question)
    assert told.text == "It can be booked for 12 EUR. [1]"
    assert extract_of(all_of([hit(heading)]), question).text == f"{heading} [1]"
