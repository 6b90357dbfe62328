"""The items of an answer that is kept: with what proves its reasoning, and otherwise those that its caller was told."""

from __future__ import annotations

import json

from penstock_common.llm.events import Answer
from penstock_common.llm.types import Candidate, Finished, FinishReason, Started, TextDelta, ToolCallDelta
from penstock_gateway.surfaces.wire_formats.openai.responses.form import ResponseForm
from penstock_gateway.surfaces.wire_formats.openai.responses.state import input_items, output_items
from penstock_gateway.surfaces.wire_formats.openai.responses.whole import items_of_answer

ASKED = Candidate("u", "m")


def answer(*events):
    told = Answer()
    told.extend((Started("g", ASKED), *events, Finished(reason=FinishReason.TOOL_CALLS, answered_by=ASKED)))
    return told


def test_what_is_kept_besides_changes_no_ids():
    # Nobody but we gave the calls ids, and what the provider wants back with each is an item before it.
    made = answer(
        ToolCallDelta(index=0, name="f", arguments_json_fragment="{}", extra_json='{"a":1}', origin="u"),
        ToolCallDelta(index=1, name="g", arguments_json_fragment="{}", extra_json='{"a":2}', origin="u"),
        TextDelta(text="Done."),
    )
    shown = items_of_answer(made, "resp_1", ResponseForm(model="m"))
    kept = json.loads(output_items(made, "resp_1", ResponseForm(model="m")))
    assert len(kept) > len(shown)
    told = [(item["id"], item.get("call_id")) for item in shown]
    assert [(item["id"], item.get("call_id")) for item in kept if item["type"] != "reasoning"] == told
    assert len({item["id"] for item in kept}) == len(kept)


def test_what_was_asked_is_listed_with_ids_and_types():
    items = [
        {"role": "assistant", "content": "Said."},
        {"role": "user", "content": [{"type": "input_text", "text": "Hi"}], "id": "msg_own"},
        {"type": "function_call_output", "call_id": "c", "output": "x", "status": None},
        {"type": "web_search_call"},
    ]
    listed = json.loads(input_items(json.dumps(items).encode(), "resp_1"))
    assert [item["id"] for item in listed] == ["msg_1_i0", "msg_own", "fco_1_i2", "item_1_i3"]
    assert [item["type"] for item in listed] == ["message", "message", "function_call_output", "web_search_call"]
    assert {item["status"] for item in listed} == {"completed"}
    assert listed[0]["content"] == [{"type": "output_text", "text": "Said.", "annotations": []}]
