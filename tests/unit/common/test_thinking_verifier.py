"""The test kit's vendor of signed thinking: what is handed back as it came is right, and whatever else is refused."""

import copy
import json
from typing import Any

import pytest

from penstock_common.testing.openai_upstream import RecordedRequest
from penstock_common.testing.thinking_verifier import Bound, SignedThinker, ThinkingVerifier

TOOL = {"name": "f", "input_schema": {"type": "object", "properties": {"z": {}, "a": {}}}}
QUESTION = {"role": "user", "content": "Why?"}


def request(body: dict[str, Any], **headers: str) -> RecordedRequest:
    return RecordedRequest("/v1/messages", headers, json.dumps(body).encode(), 0.0)


def answered(thinker: SignedThinker, body: dict[str, Any]) -> dict[str, Any]:
    return json.loads(thinker(request(body)).frames[0])


def conversation(thinker: SignedThinker, questions: int = 2) -> dict[str, Any]:
    """Return a request whose history is of several questions, each answered after a loop of tools."""
    body: dict[str, Any] = {"model": "m", "system": "Be brief.", "tools": [TOOL], "messages": []}
    for _ in range(questions):
        body["messages"].append(QUESTION)
        while (answer := answered(thinker, body))["stop_reason"] == "tool_use":
            assert answer["type"] == "message"
            body["messages"].append({"role": "assistant", "content": answer["content"]})
            calls = [block["id"] for block in answer["content"] if block["type"] == "tool_use"]
            results = [{"type": "tool_result", "tool_use_id": call, "content": "ok"} for call in calls]
            body["messages"].append({"role": "user", "content": results})
        body["messages"].append({"role": "assistant", "content": answer["content"]})
    body["messages"].append(QUESTION)
    return body


def places(body: dict[str, Any]) -> list[tuple[int, int]]:
    return [
        (place, number)
        for place, turn in enumerate(body["messages"])
        if turn["role"] == "assistant"
        for number, block in enumerate(turn["content"])
        if block["type"] in ("thinking", "redacted_thinking")
    ]


def test_what_comes_back_as_it_went_is_right():
    thinker = SignedThinker()
    body = conversation(thinker)
    assert answered(thinker, body)["type"] == "message"
    assert thinker.refusals == []
    assert {block["type"] for turn in body["messages"] for block in turn["content"] if turn["role"] == "assistant"} == {
        "thinking", "redacted_thinking", "text", "tool_use",
    }  # fmt: skip
    assert thinker.verified > len(places(body))


def test_breakpoints_of_the_cache_may_move():
    thinker = SignedThinker()
    body = conversation(thinker)
    body["tools"][0] = {**TOOL, "cache_control": {"type": "ephemeral"}}
    body["messages"][0] = {
        "role": "user",
        "content": [{"type": "text", "text": "Why?", "cache_control": {"type": "ephemeral"}}],
    }
    body["system"] = [{"text": "Be brief.", "type": "text"}]
    assert answered(thinker, body)["type"] == "message"


def _another_system(body: dict[str, Any]) -> None:
    body["system"] += " Today is Monday."


def _another_tool(body: dict[str, Any]) -> None:
    body["tools"].append({**TOOL, "name": "g"})


def _another_order_of_a_schema(body: dict[str, Any]) -> None:
    body["tools"][0] = {"name": "f", "input_schema": {"type": "object", "properties": {"a": {}, "z": {}}}}


def _another_question(body: dict[str, Any]) -> None:
    body["messages"][0] = {"role": "user", "content": "Why not?"}


def _another_order_of_arguments(body: dict[str, Any]) -> None:
    call = next(block for block in body["messages"][1]["content"] if block["type"] == "tool_use")
    call["input"] = dict(sorted(call["input"].items()))


def _another_result(body: dict[str, Any]) -> None:
    body["messages"][2]["content"][0]["content"] = "no"


def _less_thinking(body: dict[str, Any]) -> None:
    del body["messages"][1]["content"][0]


def _moved_thinking(body: dict[str, Any]) -> None:
    place = next(at for at, number in places(body) if number)
    body["messages"][place]["content"].reverse()


@pytest.mark.parametrize(
    "alter",
    [_another_system, _another_tool, _another_order_of_a_schema, _another_question, _another_order_of_arguments,
     _another_result, _less_thinking, _moved_thinking],
)  # fmt: skip
def test_whatever_is_altered_before_thinking_is_found(alter: Any):
    thinker = SignedThinker()
    body = copy.deepcopy(conversation(thinker))
    alter(body)
    answer = answered(thinker, body)
    assert answer["error"]["type"] == "invalid_request_error"
    assert "Invalid signature in thinking block" in answer["error"]["message"]
    assert len(thinker.refusals) == 1
    # Under the controls it is passed over; with the header alone, or the field alone, it is not.
    controls = {"thinking": {"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "drop_block"}}}
    beta = {"anthropic-beta": "a,thinking-binding-controls-2026-08-01"}
    verifier = ThinkingVerifier("account")
    assert verifier.refusal({**body, **controls}, beta) == ""
    assert verifier.refusal(body, beta)
    assert verifier.refusal({**body, **controls})


def test_thinking_itself_cannot_be_altered_or_made_up():
    thinker = SignedThinker(bound=Bound.NOTHING)
    for forged in (False, True):
        body = copy.deepcopy(conversation(thinker, 1))
        del body["messages"][-1]
        block = body["messages"][-1]["content"][0]
        block["signature" if forged else "thinking"] = "Something else."
        told = answered(thinker, body)["error"]["message"]
        assert ("Invalid signature" if forged else "cannot be modified") in told


def test_without_any_thinking_nothing_is_checked():
    thinker = SignedThinker()
    body = copy.deepcopy(conversation(thinker))
    for turn in body["messages"]:
        if turn["role"] == "assistant":
            turn["content"] = [block for block in turn["content"] if "thinking" not in block["type"]]
    body["system"] = "Another."
    assert answered(thinker, body)["type"] == "message"


def test_an_account_takes_its_own_alone_where_they_are_bound_to_it():
    body = conversation(SignedThinker(account="first"))
    assert answered(SignedThinker(account="second"), body)["type"] == "message"
    other = SignedThinker(account="second", bound=Bound.ACCOUNT)
    assert "different account" in answered(other, body)["error"]["message"]


def test_a_model_passes_over_what_it_does_not_read():
    body = {**conversation(SignedThinker()), "model": "n", "system": "Another."}
    assert answered(SignedThinker(), body)["type"] == "message"
    assert "Invalid" in answered(SignedThinker(reads={"n": ["m"]}), body)["error"]["message"]


def test_an_open_loop_under_a_budget_begins_with_thinking():
    thinker = SignedThinker()
    body: dict[str, Any] = {"model": "m", "tools": [TOOL], "messages": [QUESTION]}
    answer = answered(thinker, body)
    call = next(block for block in answer["content"] if block["type"] == "tool_use")
    body["thinking"] = {"type": "enabled", "budget_tokens": 1024}
    body["messages"] += [
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call["id"], "content": "ok"}]},
    ]
    assert "Expected `thinking`" in answered(thinker, body)["error"]["message"]
