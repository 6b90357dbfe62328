"""The action ``retry``: an answer that a rule refuses is asked for again before anything of it is sent, billed and told."""

from __future__ import annotations

import json

import pytest

from penstock_common.configuration import ConfigurationError
from penstock_common.testing.openai_upstream import Answer, Failure

HEADER = "x-penstock-guardrails"
BAD, GOOD = ("We sell what ", "Acme", " Corp sells."), ("We sell ", "our own.")
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
WANTED = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}


@pytest.fixture
def guardrails(document):
    rivals = {
        "kind": "words",
        "deny": ["acme corp", "66"],
        "action": "retry",
        "text": "No word of that.",
        "ask": "Name no rivals.",
    }
    section = {"rules": {"rivals": rivals}, "pipelines": [{"models": ["fast"], "output": ["rivals"]}]}
    document["guardrails"] = section
    return section


def both(test):
    return pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])(test)


def content_of(answered, stream):
    if not stream:
        return answered.json["choices"][0]["message"]["content"]
    choices = [choice for chunk in answered.chunks for choice in chunk.get("choices", ())]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def reason_of(answered, stream):
    choices = (
        [choice for chunk in answered.chunks for choice in chunk["choices"]] if stream else answered.json["choices"]
    )
    return [choice["finish_reason"] for choice in choices if choice["finish_reason"]][-1]


@both
async def test_an_answer_is_asked_for_again_with_what_the_rule_says(guardrails, serve, upstream, stream):
    suite = await serve()
    upstream.enqueue(Answer(tokens=BAD), Answer(tokens=GOOD))
    answered = await suite.ask(stream=stream)
    assert content_of(answered, stream) == "".join(GOOD)
    assert reason_of(answered, stream) == "stop"
    assert answered.header[HEADER] == "rivals=retry:1"
    assert "x-penstock-schema" not in answered.header
    first, again = upstream.requests
    said, asked = again.body["messages"][len(first.body["messages"]) :]
    assert (said["role"], said["content"]) == ("assistant", "".join(BAD))
    assert "Name no rivals." in asked["content"] and "acme" not in asked["content"].lower()
    (row,) = await suite.ledger_after_close()
    # Both are billed: 7 tokens in each, 3 and 2 out, at 1 and 2 dollars a million.
    assert (row["attempts"], row["input_tokens"], row["output_tokens"]) == (2, 14, 5)
    assert row["cost_nano_usd"] == 2 * 7 * 1000 + 5 * 2000
    (told,) = json.loads(row["guardrails"])
    assert (told["rule"], told["action"], told["count"]) == ("rivals", "retry", 1)


@both
async def test_the_last_answer_is_refused_and_all_are_billed(guardrails, serve, upstream, stream):
    guardrails["retries"] = 2
    suite = await serve()
    upstream.enqueue(*[Answer(tokens=BAD)] * 4)
    answered = await suite.ask(stream=stream)
    assert "Corp" not in content_of(answered, stream)
    assert content_of(answered, stream).endswith("No word of that.")
    assert reason_of(answered, stream) == "content_filter"
    assert len(upstream.requests) == 3
    (row,) = await suite.ledger_after_close()
    assert (row["attempts"], row["input_tokens"], row["output_tokens"]) == (3, 21, 9)
    assert (row["stopped_by"], row["cost_nano_usd"]) == ("guardrail", 3 * (7 * 1000 + 3 * 2000))


async def test_where_asking_again_fails_the_answer_is_refused(guardrails, serve, upstream):
    suite = await serve()
    upstream.enqueue(Answer(tokens=BAD), *[Failure(status=500)] * 6)
    answered = await suite.ask()
    assert (answered.status, reason_of(answered, False)) == (200, "content_filter")


async def test_a_clean_answer_is_asked_for_once(guardrails, serve, upstream):
    suite = await serve()
    upstream.enqueue(Answer(tokens=GOOD))
    answered = await suite.ask()
    assert HEADER not in answered.header
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("how", [{"shadow": True}, {"retries": 0}])
async def test_a_shadow_and_no_retries_ask_once(guardrails, serve, upstream, how):
    guardrails["retries"] = how.get("retries", 1)
    guardrails["rules"]["rivals"]["shadow"] = how.get("shadow", False)
    suite = await serve()
    upstream.enqueue(Answer(tokens=BAD), Answer(tokens=GOOD))
    answered = await suite.ask()
    assert len(upstream.requests) == 1
    assert reason_of(answered, False) == ("stop" if how.get("shadow") else "content_filter")


async def test_schema_and_rule_share_one_loop(document, guardrails, serve, upstream):
    document["models"][0]["structured_output"] = {"repairs": 2}
    suite = await serve()
    upstream.enqueue(Answer(tokens=['{"n": "x"}']), Answer(tokens=['{"n": 1}']))
    answered = await suite.ask(response_format=WANTED)
    assert answered.json["choices"][0]["message"]["content"] == '{"n": 1}'
    upstream.enqueue(Answer(tokens=['{"n": 66}']), Answer(tokens=['{"n": 2}']))
    answered = await suite.ask("Another?", response_format=WANTED)
    assert answered.json["choices"][0]["message"]["content"] == '{"n": 2}'
    assert answered.header["x-penstock-schema"] == "repaired; again=1"
    assert answered.header[HEADER] == "rivals=retry:1"
    assert len(upstream.requests) == 4


@pytest.mark.parametrize(
    ("rule", "side", "told"),
    [
        ({"action": "retry"}, "input", "name it under 'output'"),
        ({"action": "refuse", "ask": "Say otherwise."}, "output", "only a rule whose action is 'retry'"),
    ],
)
async def test_what_makes_no_sense_stops_the_start(document, serve, rule, side, told):
    document["guardrails"] = {
        "rules": {"one": {"kind": "words", "deny": ["a"], **rule}},
        "pipelines": [{side: ["one"]}],
    }
    with pytest.raises(ConfigurationError, match=told):
        await serve()


async def test_what_the_upstream_has_filtered_is_not_asked_for_again(guardrails, serve, upstream):
    suite = await serve()
    upstream.enqueue(Answer(tokens=BAD, finish_reason="content_filter"), Answer(tokens=GOOD))
    assert reason_of(await suite.ask(), False) == "content_filter"
    assert len(upstream.requests) == 1
