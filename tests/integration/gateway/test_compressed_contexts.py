"""Context made shorter on its way to the model, as callers of each surface ask for it, forbid it and are told of it."""

from __future__ import annotations

import pytest

from penstock.gateway.v1 import chat_service_pb2 as pb
from penstock.gateway.v1 import chat_service_pb2_grpc as rpc

QUESTION = "What does a kennel cost on Ferry South?"
ANSWER = "A kennel can be booked for 12 EUR."
FOUND = "\n\n".join(
    f"[{at}] Source: {name}.md | {name}\n# {name}\n\n" + "\n".join(lines)
    for at, (name, lines) in enumerate(
        {
            "Ferry South": ["Dogs stay on deck.", ANSWER, "Cats stay in their baskets."],
            "Museum": [f"Room {number} shows ships of the {number}th century." for number in range(1, 40)],
            "Library": [f"Shelf {number} has books on gardens, part {number}." for number in range(1, 40)],
        }.items(),
        1,
    )
)
CALL = {"id": "c1", "type": "function", "function": {"name": "search", "arguments": '{"query": "kennel"}'}}
TURNS = [
    {"role": "system", "content": f"Answer from what you find.\n\n{FOUND}"},
    {"role": "user", "content": QUESTION},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": FOUND},
]
ON, OFF = {"x-penstock-compress": " ON "}, {"x-penstock-compress": "off"}
# Machines that run tests stall for longer than the work takes.
PATIENT = {"min_tokens": 200, "keep": 0.4, "timeout": "1m"}


@pytest.fixture
def document(document):
    document["models"][1]["compression"] = PATIENT
    document["models"].append(
        {"name": "asked", "candidates": ["first/m1"], "compression": {**PATIENT, "by_default": False}}
    )
    document["models"].append(
        {"name": "quoting", "candidates": ["first/m1"], "compression": {**PATIENT, "user_context": True}}
    )
    return document


def seen(upstream, at=-1):
    return [turn["content"] for turn in upstream.requests[at].body["messages"]]


async def test_a_tools_result_is_made_shorter_and_everybody_is_told(suite, upstream):
    answered = await suite.ask(model="safe", messages=TURNS)
    system, user, _, tool = seen(upstream)
    assert ANSWER in tool and "[1] Source: Ferry South.md" in tool
    assert len(tool) < 0.45 * len(FOUND)
    assert (system, user) == (TURNS[0]["content"], QUESTION)
    told = answered.header["x-penstock-compressed"]
    saved = int(told.removeprefix("saved=").split(";")[0])
    assert told == f"saved={saved}; kept={1 - saved / -(-len(FOUND) // 4):.2f}"
    (row,) = await suite.ledger_after_close()
    assert row["compressed_tokens"] == saved > 0


@pytest.mark.parametrize(
    ("model", "headers", "is_shorter"),
    [("fast", {}, False), ("fast", ON, False), ("safe", OFF, False), ("asked", {}, False), ("asked", ON, True)],
)
async def test_model_and_request_decide(suite, upstream, model, headers, is_shorter):
    answered = await suite.ask(model=model, messages=TURNS, headers=headers)
    assert (seen(upstream)[3] != FOUND) is is_shorter
    # Of another model it is asked for by its default terms, which leave short contexts alone.
    assert ("x-penstock-compressed" in answered.header) is (is_shorter or headers == ON)


@pytest.mark.parametrize("kind", ["Chat", "StreamChat"])
async def test_the_typed_request_says_the_same(suite, upstream, kind):
    stub, metadata = rpc.ChatServiceStub(suite.channel), (("authorization", f"Bearer {suite.KEY}"),)
    messages = [
        {"role": "ROLE_USER", "parts": [{"text": QUESTION}]},
        {"role": "ROLE_ASSISTANT", "tool_calls": [{"id": "c1", "name": "search", "arguments_json": "{}"}]},
        {"role": "ROLE_TOOL", "tool_call_id": "c1", "parts": [{"text": FOUND}]},
    ]
    request = getattr(pb, f"{kind}Request" if kind == "Chat" else "StreamChatRequest")
    for compress in (True, False):
        call = getattr(stub, kind)(
            request(
                input={"model": "asked", "messages": messages}, compress=compress, cache_control={"no_store": True}
            ),
            metadata=metadata,
        )
        told = dict(await call.initial_metadata())
        if kind == "Chat":
            await call
        else:
            [event async for event in call]
        assert (seen(upstream)[2] != FOUND) is compress
        assert ("x-penstock-compressed" in told) is compress


async def test_what_a_user_quotes_is_context_where_the_model_says_so(suite, upstream):
    quoted = f"{FOUND}\n\n{QUESTION}"
    await suite.ask(quoted, model="safe")
    assert seen(upstream) == [quoted]
    await suite.ask(quoted, model="quoting")
    (turn,) = seen(upstream)
    assert turn.endswith(f"\n\n{QUESTION}")
    assert ANSWER in turn and len(turn) < 0.5 * len(quoted)


async def test_a_turn_stays_the_same_while_the_conversation_grows(suite, upstream):
    await suite.ask(model="safe", messages=TURNS)
    again = [
        {"role": "assistant", "content": "12 EUR."},
        {"role": "user", "content": "Which shelf has gardens, part 7?"},
    ]
    await suite.ask(model="safe", messages=[*TURNS, *again])
    assert seen(upstream, -1)[:4] == seen(upstream, -2)


async def test_out_of_time_it_stays_as_it_is_and_says_so(serve, document, upstream):
    document["models"][1]["compression"] = {**PATIENT, "timeout": "0.001ms"}
    suite = await serve()
    # What is long is read beside the loop, so that time can end.
    answered = await suite.ask(model="safe", messages=[*TURNS[:3], {**TURNS[3], "content": FOUND * 4}])
    assert answered.status == 200
    assert answered.header["x-penstock-compressed"] == "saved=0; kept=1.00; reason=late"
    assert seen(upstream)[3] == FOUND * 4


async def test_without_the_embedding_that_it_asks_for_it_stays_as_it_is(serve, document, upstream):
    document["models"][1]["compression"] = {**PATIENT, "meaning": True}
    suite = await serve()
    answered = await suite.ask(model="safe", messages=TURNS)
    assert answered.header["x-penstock-compressed"] == "saved=0; kept=1.00; reason=failed"
    assert seen(upstream)[3] == FOUND


async def test_a_word_that_means_nothing_is_refused(suite):
    answered = await suite.ask(headers={"x-penstock-compress": "hard"})
    assert answered.status == 400
    assert "must be on or off: whether context is made shorter" in answered.error["message"]


async def test_nothing_is_told_of_requests_that_are_not_compressed(suite):
    answered = await suite.ask()
    assert answered.status == 200
    assert "x-penstock-compressed" not in answered.header
