"""What Responses give goes back to them as it came, in its order: provider, contract, provider."""

import json
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from penstock_common.llm.events import Answer
from penstock_common.llm.types import GenerationInput, Message, Role, Text
from penstock_inference.adapters.providers.openai_responses.request import Asking, body_from_input
from penstock_inference.adapters.providers.openai_responses.stream import ResponseStream, whole_answer
from penstock_inference.domain.model_facts import UNKNOWN_MODEL
from penstock_inference.domain.unsupported import FieldPolicy

sys.path.insert(0, str(Path(__file__).parent))

import responses_streams as recorded  # noqa: E402

TEXTS = st.text(min_size=1, max_size=12)
IDS = st.integers(1, 999)
REASONING = st.builds(
    lambda number, said, secret: {
        "type": "reasoning", "id": f"rs_{number}",
        "summary": [{"type": "summary_text", "text": text} for text in said], "encrypted_content": secret,
    },
    IDS, st.lists(TEXTS, max_size=1), TEXTS,
)  # fmt: skip
MESSAGES = st.builds(
    lambda number, text: {
        "type": "message", "id": f"msg_{number}", "status": "completed", "role": "assistant",
        "content": [{"type": "output_text", "text": text, "annotations": []}],
    },
    IDS, TEXTS,
)  # fmt: skip
CALLS = st.builds(
    lambda number, name, said: {
        "type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}", "name": name, "arguments": said,
        "status": "completed",
    },
    IDS, st.sampled_from(["look", "bare"]), TEXTS,
)  # fmt: skip
CUSTOM = st.builds(
    lambda number, said: {
        "type": "custom_tool_call", "id": f"ctc_{number}", "call_id": f"call_{number}", "name": "run", "input": said,
    },
    IDS, TEXTS,
)  # fmt: skip
SEARCHES = st.builds(lambda number: {**recorded.SEARCH, "id": f"ws_{number}"}, IDS)
ITEMS = st.lists(st.one_of(REASONING, MESSAGES, CALLS, CUSTOM, SEARCHES), min_size=1, max_size=8)


def as_input(items):
    """Return the items as they are handed back: without what the provider alone knows; texts that follow each other are one."""
    handed = []
    for item in items:
        if item["type"] == "message":
            text = item["content"][0]["text"]
            if handed and handed[-1]["type"] == "message":
                text = handed.pop()["content"][0]["text"] + text
            handed.append({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]})
        elif item["type"] in ("reasoning", "web_search_call"):
            handed.append(item)
        else:
            handed.append({name: value for name, value in item.items() if name not in ("id", "status")})
    return handed


@given(items=ITEMS, streamed=st.booleans())
def test_every_item_goes_back_as_it_came(items, streamed):
    answer = Answer()
    if streamed:
        stream = ResponseStream()
        events = [event for frame in recorded.stream(items) for event in stream.feed(frame)]
    else:
        events = whole_answer(json.dumps(recorded.response("completed", items)).encode())
    for event in events[:-1]:
        answer.add(event)
    asked = Message(role=Role.USER, parts=(Text(text="Look."),))
    value = GenerationInput(model="m", messages=(asked, answer.message()))
    policy = FieldPolicy()
    body = json.loads(body_from_input(value, "m", Asking(), policy, UNKNOWN_MODEL, whole=False))
    assert body["input"][1:] == as_input(items)
    assert policy.dropped == ()
