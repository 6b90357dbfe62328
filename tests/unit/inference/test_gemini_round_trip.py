"""Whatever Gemini says comes back to it as it was: every part, every signature, in its order."""

import json
from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.llm.events import Answer
from penstock_common.llm.types import GenerationInput, Message, Role, Usage
from penstock_inference.adapters.providers.gemini.contents import Conversation
from penstock_inference.adapters.providers.gemini.stream import ContentStream, whole_answer
from penstock_inference.adapters.providers.http.large_data import LargeData
from penstock_inference.domain.upstream import Stopped

QUESTION = GenerationInput(model="m", messages=())
WORDS = st.text(min_size=1, max_size=6)
SIGNATURES = st.text("ABCxyz019+/=_-", min_size=1, max_size=8)
ARGUMENTS = st.dictionaries(WORDS, WORDS | st.integers(-9, 9) | st.none(), max_size=2)


def part(**members):
    return st.fixed_dictionaries(members)


CALLS = part(name=WORDS, args=ARGUMENTS)
PARTS = st.one_of(
    part(text=WORDS),
    part(text=WORDS, thoughtSignature=SIGNATURES),
    part(text=WORDS, thought=st.just(True), thoughtSignature=SIGNATURES),
    part(text=st.just(""), thoughtSignature=SIGNATURES),
    part(executableCode=part(language=st.just("PYTHON"), code=WORDS), thoughtSignature=SIGNATURES),
    part(inlineData=part(mimeType=st.just("image/png"), data=st.just("AA=="))),
    part(functionCall=CALLS),
    part(functionCall=CALLS, thoughtSignature=SIGNATURES),
)


def is_told_apart(parts):
    """Whether no text is merged with its neighbour's, and the first call is signed, as every first one is."""
    calls = [one for one in parts if "functionCall" in one]
    merged = [
        one.keys() == {"text"} and other["text"] and not other.get("thought")
        for one, other in pairwise(parts)
        if "text" in one and "text" in other
    ]
    return not any(merged) and (not calls or "thoughtSignature" in calls[0])


ANSWERS = st.lists(PARTS, min_size=1, max_size=8).filter(is_told_apart)


def response(parts, **more):
    return json.dumps(
        {"candidates": [{"content": {"role": "model", "parts": parts}, **more}]}, ensure_ascii=False
    ).encode()


def turn_of(events):
    answer = Answer()
    for event in events:
        if not isinstance(event, Usage | Stopped):
            answer.add(event)
    return answer.message()


def sent_back(message):
    """Return the parts that the turn is told as, without the ids of calls."""
    (content,) = Conversation([message], LargeData(), any_url=False).contents()
    parts = json.loads(msgspec.json.encode(content["parts"]))
    for one in parts:
        one.get("functionCall", {}).pop("id", None)
    assert message.role is Role.ASSISTANT
    return parts


@given(ANSWERS)
def test_a_whole_answer_comes_back_as_it_was(parts):
    assert sent_back(turn_of(whole_answer(response(parts, finishReason="STOP"), QUESTION))) == parts


@given(ANSWERS, st.integers(1, 40))
def test_a_streamed_answer_comes_back_as_it_was(parts, size):
    data = b"".join(b"data: %b\r\n\r\n" % response([one]) for one in parts)
    stream = ContentStream(QUESTION)
    events = [event for at in range(0, len(data), size) for event in stream.feed(data[at : at + size])]
    assert sent_back(turn_of(events)) == parts


@given(ANSWERS)
def test_what_comes_back_is_the_same_bytes_each_time(parts):
    message: Message = turn_of(whole_answer(response(parts, finishReason="STOP"), QUESTION))
    told = [msgspec.json.encode(Conversation([message], LargeData(), any_url=False).contents()) for _ in range(2)]
    assert told[0] == told[1]
