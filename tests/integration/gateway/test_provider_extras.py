"""What a provider gives beside text and calls: the caller gets it, may send it back, and the provider has it again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock_common.testing.openai_upstream import Body, Failure
from penstock_gateway.surfaces.wire_formats.openai.chat.thinking import unwrapped_extras

SIGNED = {"google": {"thought_signature": "AY89a18Iw=="}}
DETAILS = [{"type": "reasoning.text", "text": "Hm.", "index": 0, "signature": "sig", "format": "x"}]
BLOCKS = [{"type": "thinking", "thinking": "Hm.", "signature": "sig"}]
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALL = {"id": "call_one", "type": "function", "function": {"name": "weather", "arguments": "{}"}}


def events(*deltas: dict[str, Any], finish: str = "stop") -> Body:
    """Return a stream of these deltas."""
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": finish})
    frames = [b"data: " + json.dumps({"choices": [choice]}, indent=None).encode() + b"\n\n" for choice in choices]
    return Body(frames=[*frames, b"data: [DONE]\n\n"])


def whole(finish: str = "stop", **message: Any) -> Body:
    """Return a whole answer with this message."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    # As some write it: over several lines.
    frame = json.dumps({"object": "chat.completion", "choices": [choice]}, indent=1).encode()
    return Body(frames=[frame], content_type="application/json")


def opened(told: Any) -> Any:
    """Return what a caller was given as the provider gave it: its signatures are wrapped, with whose they are."""
    text, origin = unwrapped_extras(json.dumps(told))
    assert origin == "first/m1"
    return json.loads(text)


def message_of(answered: Any) -> dict[str, Any]:
    """Return the assistant's message, put together by OpenAI's rules where it came as a stream."""
    assert answered.status == 200
    if not answered.header["content-type"].startswith("text/event-stream"):
        return answered.json["choices"][0]["message"]
    message: dict[str, Any] = {"role": "assistant", "content": "", "tool_calls": []}
    for delta in (chunk["choices"][0]["delta"] for chunk in answered.chunks if chunk["choices"]):
        for name in ("content", "reasoning_content"):
            if delta.get(name):
                message[name] = message.get(name, "") + delta[name]
        for name in ("reasoning_details", "thinking_blocks", "extra_content"):
            if name in delta:
                message[name] = delta[name]
        for piece in delta.get("tool_calls", ()):
            assert isinstance(piece["index"], int)
            if piece["index"] == len(message["tool_calls"]):
                message["tool_calls"].append({**piece, "function": {**piece["function"]}})
                continue
            assert "id" not in piece
            message["tool_calls"][piece["index"]]["function"]["arguments"] += piece["function"]["arguments"]
            message["tool_calls"][piece["index"]].update({k: v for k, v in piece.items() if k == "extra_content"})
    return message


async def continued(suite: Any, message: dict[str, Any], **body: Any) -> Any:
    """Ask on, with the message in the history."""
    messages = [{"role": "user", "content": "Hi"}, message]
    messages += [
        {"role": "tool", "tool_call_id": call["id"], "content": "4"} for call in message.get("tool_calls") or ()
    ]
    messages.append({"role": "user", "content": "And?"})
    return await suite.ask(messages=messages, headers={"x-penstock-cache": "no-cache"}, **body)


def last_turn_of_the_assistant(upstream: Any) -> dict[str, Any]:
    turns = upstream.requests[-1].body["messages"]
    return next(turn for turn in reversed(turns) if turn["role"] == "assistant")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_calls_signature_comes_and_goes_back(suite, upstream, stream):
    call = {**CALL, "extra_content": SIGNED}
    if stream:
        upstream.enqueue(events({"tool_calls": [{"index": 0, **call}]}, finish="tool_calls"))
    else:
        upstream.enqueue(whole("tool_calls", content=None, tool_calls=[call]))
    message = message_of(await suite.ask(stream=stream, tools=[WEATHER]))
    assert [opened(called["extra_content"]) for called in message["tool_calls"]] == [SIGNED]
    assert (await continued(suite, message, tools=[WEATHER])).status == 200
    (sent,) = last_turn_of_the_assistant(upstream)["tool_calls"]
    assert (sent["id"], sent["extra_content"]) == ("call_one", SIGNED)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_reasoning_and_its_proofs_come_and_go_back(suite, upstream, stream):
    given = {"content": "Hi", "reasoning": "Hm.", "reasoning_details": DETAILS, "thinking_blocks": BLOCKS,
             "extra_content": SIGNED}  # fmt: skip
    upstream.enqueue(events(given) if stream else whole(**given))
    message = message_of(await suite.ask(stream=stream))
    assert message["reasoning_content"] == "Hm."
    extras = {"reasoning_details": DETAILS, "thinking_blocks": BLOCKS, "extra_content": SIGNED}
    assert {name: opened(message[name]) for name in extras} == extras
    assert (await continued(suite, message)).status == 200
    turn = last_turn_of_the_assistant(upstream)
    assert {name: turn[name] for name in extras} == extras
    assert (turn["reasoning_content"], turn["content"]) == ("Hm.", "Hi")


async def test_a_signature_of_its_own_comes_in_a_stream(suite, upstream):
    upstream.enqueue(events({"content": "Hi"}, {"content": "", "extra_content": SIGNED}))
    message = message_of(await suite.ask(stream=True))
    assert (message["content"], opened(message["extra_content"])) == ("Hi", SIGNED)


async def test_pieces_of_a_detail_are_one_to_who_does_not_stream(serve, document, upstream):
    document["upstreams"][0]["whole_answers"] = "stream"
    suite = await serve()
    pieces = [{"type": "reasoning.text", "index": 0, "text": text} for text in ("Hm", ".")]
    pieces.append({"type": "reasoning.text", "index": 0, "signature": "sig"})
    upstream.enqueue(events(*[{"reasoning_details": [piece]} for piece in pieces], {"content": "Hi"}))
    message = message_of(await suite.ask())
    detail = {"type": "reasoning.text", "index": 0, "text": "Hm.", "signature": "sig"}
    assert opened(message["reasoning_details"]) == [detail]


@pytest.mark.parametrize(
    "more",
    [
        {"reasoning_content": None, "reasoning": None, "reasoning_details": None, "extra_content": None},
        {"extra_content": {}, "reasoning_details": [], "thinking_blocks": [], "annotations": []},
        {"function_call": None, "audio": None, "tool_calls": None, "refusal": None},
        {"reasoning": "Hm."},
        {"reasoning": {"effort": "low"}},
    ],
)
async def test_what_clients_send_back_beside_a_message_is_taken(suite, more):
    assert (await continued(suite, {"role": "assistant", "content": "Hi", **more})).status == 200


# Servers that refuse, or miss, what others do not.


async def test_a_server_that_refuses_extras_is_asked_without(suite, upstream):
    message = {"role": "assistant", "content": "Hi", "reasoning_content": "Hm.", "extra_content": SIGNED}
    upstream.enqueue(Failure(400, {"message": "'messages.1': property 'reasoning_content' is unsupported"}))
    for _ in range(2):
        assert (await continued(suite, message)).status == 200
    sent = [request.body["messages"][1] for request in upstream.requests]
    assert ["reasoning_content" in turn for turn in sent] == [True, False, False]
    assert sent[-1] == {"role": "assistant", "content": "Hi"}


async def test_a_server_that_misses_a_signature_is_given_its_own_for_lost_ones(suite, upstream):
    message = {"role": "assistant", "content": None, "tool_calls": [CALL, {**CALL, "id": "call_two"}]}
    said = "Function call is missing a thought_signature in functionCall parts. This is required."
    upstream.enqueue(Failure(400, {"code": 400, "message": said, "status": "INVALID_ARGUMENT"}))
    for _ in range(2):
        assert (await continued(suite, message, tools=[WEATHER])).status == 200
    calls = [request.body["messages"][1]["tool_calls"] for request in upstream.requests]
    assert [["extra_content" in call for call in each] for each in calls] == [[False] * 2, [True, False], [True, False]]


async def test_a_server_that_misses_reasoning_is_given_an_empty_one(suite, upstream):
    message = {"role": "assistant", "content": "Hi"}
    said = "The `reasoning_content` in the thinking mode must be passed back to the API."
    upstream.enqueue(Failure(400, {"message": said, "type": "invalid_request_error"}))
    for _ in range(2):
        assert (await continued(suite, message)).status == 200
    turns = [request.body["messages"][1] for request in upstream.requests]
    assert [turn.get("reasoning_content") for turn in turns] == [None, "", ""]


async def test_openai_itself_is_sent_none(serve, document, upstream):
    document["upstreams"][0]["provider"] = "openai"
    suite = await serve()
    call = {**CALL, "extra_content": SIGNED}
    message = {"role": "assistant", "content": "Hi", "reasoning_content": "Hm.", "reasoning_details": DETAILS,
               "tool_calls": [call]}  # fmt: skip
    assert (await continued(suite, message, tools=[WEATHER])).status == 200
    turn = last_turn_of_the_assistant(upstream)
    assert turn == {"role": "assistant", "content": "Hi", "tool_calls": [CALL]}


async def test_a_server_may_be_sent_none_by_its_settings(serve, document, upstream):
    document["upstreams"][0]["hand_back_extras"] = False
    suite = await serve()
    assert (await continued(suite, {"role": "assistant", "content": "Hi", "reasoning_content": "Hm."})).status == 200
    assert last_turn_of_the_assistant(upstream) == {"role": "assistant", "content": "Hi"}
