"""Which parts of a conversation are context, and what each is made shorter for."""

from __future__ import annotations

import threading

import msgspec
import pytest

from penstock_common.compression import CompressionSettings
from penstock_common.configuration import ConfigurationError
from penstock_common.errors import ServiceUnavailable
from penstock_common.llm.types import File, Message, Role, Text, ToolCall
from penstock_gateway.app import compression as composed
from penstock_gateway.domain.compression import turns as turns_module
from penstock_gateway.domain.compression.compressor import Compressor
from penstock_gateway.domain.compression.quoted import quoted_in
from penstock_gateway.domain.compression.terms import Method, Terms
from penstock_gateway.domain.compression.turns import Turns

FACTS = "\n".join(
    f"Station {name} is led by {leader}." for name, leader in zip("ABCDEFGHIJ", "KLMNOPQRST", strict=True)
)
TERMS = Terms(keep=0.3, min_tokens=10, patience_seconds=60.0)
ASKED = Message(role=Role.USER, parts=(Text(text="Who leads station A?"),))


class Written:
    """Makes vectors that favour the second document."""

    def __init__(self):
        self.asked = []

    async def vectors(self, texts):
        self.asked.append(tuple(texts))
        return [(1.0, 0.0), *((0.0, 1.0) if at != 1 else (1.0, 0.0) for at in range(len(texts) - 1))]


class Away:
    async def vectors(self, texts):
        raise ServiceUnavailable("away", service="embedding")


async def shorter(messages, terms=TERMS, compressor=None):
    turns = Turns(compressor or Compressor(), terms)
    return [await turns.shorter(message) for message in messages], turns


def result(text, call_id="c", **more):
    return Message(role=Role.TOOL, parts=(Text(text=text),), tool_call_id=call_id, **more)


async def test_results_are_made_shorter_for_the_question_before_them_and_for_their_call():
    call = Message(role=Role.ASSISTANT, tool_calls=(ToolCall(id="c", name="find", arguments_json='{"station": "J"}'),))
    (_, _, found), turns = await shorter([ASKED, call, result(FACTS)])
    assert "Station A is led by K." in found.text and "Station J is led by T." in found.text
    assert len(found.text) < 0.5 * len(FACTS)
    assert turns.tokens < turns.tokens_before
    assert turns.reason == ""


@pytest.mark.parametrize("role", [Role.SYSTEM, Role.DEVELOPER, Role.USER, Role.ASSISTANT])
async def test_nobodys_own_words_are_touched(role):
    turn = Message(role=role, parts=(Text(text=FACTS),))
    made, _ = await shorter([ASKED, turn])
    assert made == [ASKED, turn]


async def test_a_document_beside_the_question_is_made_shorter_for_it():
    document = File(name="facts.txt", media_type="text/plain", data=FACTS.encode(), cache_breakpoint=True)
    turn = msgspec.structs.replace(ASKED, parts=(document, *ASKED.parts))
    (made,), _ = await shorter([turn])
    assert b"Station A is led by K." in made.parts[0].data
    assert len(made.parts[0].data) < 0.5 * len(FACTS)
    assert made.parts[0].cache_breakpoint and made.parts[1] == ASKED.parts[0]


@pytest.mark.parametrize(
    "part",
    [
        File(media_type="text/plain", data=FACTS.encode(), with_citations=True),
        File(media_type="application/pdf", data=FACTS.encode()),
        File(media_type="text/plain", data=b"\xff" + FACTS.encode()),
        File(media_type="text/plain", url="https://example.org/facts.txt"),
    ],
    ids=["cited", "no text", "not UTF-8", "elsewhere"],
)
async def test_documents_that_cannot_be_shortened_stay(part):
    turn = msgspec.structs.replace(ASKED, parts=(part, *ASKED.parts))
    made, _ = await shorter([turn])
    assert made == [turn]


async def test_a_result_that_an_answer_may_cite_stays():
    turn = Message(role=Role.TOOL, parts=(Text(text=FACTS, citations_json="[]"),), tool_call_id="c")
    made, _ = await shorter([ASKED, turn])
    assert made[1] == turn


async def test_later_turns_change_nothing_of_earlier_ones():
    later = [result(FACTS), Message(role=Role.USER, parts=(Text(text="And station J?"),)), result(FACTS, "d")]
    once, _ = await shorter([ASKED, result(FACTS)])
    grown, _ = await shorter([ASKED, *later])
    assert grown[:2] == once
    assert grown[3] != once[1]


async def test_what_is_known_is_read_once_and_asked_for_once():
    compressor, terms = Compressor(written := Written()), msgspec.structs.replace(TERMS, meaning=True)
    first, _ = await shorter([ASKED, result(FACTS)], terms, compressor)
    again, _ = await shorter([ASKED, result(FACTS)], terms, compressor)
    assert first == again
    assert len(written.asked) == 1
    assert written.asked[0][0].startswith("Who leads station A?")


async def test_of_large_contexts_fewer_are_known(monkeypatch):
    compressor, terms = Compressor(written := Written()), msgspec.structs.replace(TERMS, meaning=True)
    asked = [Message(role=Role.USER, parts=(Text(text=f"Who leads station {name}?"),)) for name in "ABC"]
    await shorter([asked[0], result(FACTS)], terms, compressor)
    monkeypatch.setattr("penstock_gateway.domain.compression.compressor._KNOWN_SPANS", 8)
    for question in (*asked, *asked):
        await shorter([question, result(FACTS)], terms, compressor)
    # Each pushes the others out: a station's line alone is three spans or more.
    assert len(written.asked) > 4
    last = len(written.asked)
    await shorter([asked[-1], result(FACTS)], terms, compressor)
    assert len(written.asked) == last


async def test_a_question_that_meets_nothing_leaves_it_and_says_so():
    nothing = Message(role=Role.USER, parts=(Text(text="?"),))
    made, turns = await shorter([nothing, result(FACTS)])
    assert made[1] == result(FACTS)
    assert turns.reason == "unasked"


async def test_short_contexts_stay_without_a_word():
    made, turns = await shorter([ASKED, result(FACTS)], msgspec.structs.replace(TERMS, min_tokens=1000))
    assert made[1] == result(FACTS)
    assert (turns.reason, turns.tokens) == ("", turns.tokens_before)


async def test_without_vectors_it_stays_and_says_so():
    for compressor in (Compressor(Away()), Compressor()):
        made, turns = await shorter([ASKED, result(FACTS)], msgspec.structs.replace(TERMS, meaning=True), compressor)
        assert made[1] == result(FACTS)
        assert turns.reason == "failed"


async def test_time_that_is_over_leaves_the_rest():
    terms = msgspec.structs.replace(TERMS, patience_seconds=0.0)
    made, turns = await shorter([ASKED, result(FACTS)], terms)
    assert made[1] == result(FACTS)
    assert turns.reason == "late"


async def test_who_leaves_words_out_is_asked_where_the_terms_say_so():
    class Halving:
        def rewritten(self, text, keep, model):
            return text[: int(len(text) * keep)]

    terms = msgspec.structs.replace(TERMS, method=Method.LLMLINGUA2)
    made, turns = await shorter([ASKED, result(FACTS)], terms, Compressor(None, Halving()))
    assert made[1].text == FACTS[: int(len(FACTS) * 0.3)]
    made, turns = await shorter([ASKED, result(FACTS)], terms)
    assert (made[1], turns.reason) == (result(FACTS), "failed")


def test_llmlingua_is_refused_where_it_is_not_installed(monkeypatch):
    terms = composed.terms_of(CompressionSettings(method="llmlingua2"))
    monkeypatch.setattr(composed, "is_installed", lambda: False)
    with pytest.raises(ConfigurationError, match="needs the package 'llmlingua', which is not installed"):
        composed.rewriter_for([terms])
    assert composed.rewriter_for([composed.terms_of(CompressionSettings())]) is None


@pytest.mark.parametrize(("times", "is_beside"), [(1, False), (100, True)])
async def test_a_long_turn_is_read_beside_the_loop(times, is_beside, monkeypatch):
    threads = []

    def quoted(text):
        threads.append(threading.current_thread())
        return quoted_in(text)

    monkeypatch.setattr(turns_module, "quoted_in", quoted)
    documents = "".join(f"[{at}] Station {at}\n{FACTS}\n\n" for at in range(times))
    asked = Message(role=Role.USER, parts=(Text(text=f"{documents}Who leads station A?"),))
    await shorter([asked], msgspec.structs.replace(TERMS, user_context=True))
    assert [thread is not threading.main_thread() for thread in threads] == [is_beside]
