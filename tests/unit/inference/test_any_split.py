"""However a server cuts an answer, into deltas, events or bytes, it is the same answer."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from penstock_common.llm.events import Answer
from penstock_common.llm.types import FinishReason, GenerationInput, SamplingParams
from penstock_inference.adapters.providers.openai.choices import ChoicesReader
from penstock_inference.adapters.providers.openai.reader import Reader, whole_answer
from penstock_inference.adapters.providers.openai.stream import CompletionStream
from penstock_inference.domain.upstream import Stopped, UpstreamEvent

TWO = GenerationInput(model="m", messages=(), sampling=SamplingParams(choices=2))
# With pairs of surrogates, ends of lines, and what JSON and the format itself are made of.
TEXTS = st.text(st.sampled_from('ab"\\{}é日😀👋🏽\n\r\t: []data'), max_size=12) | st.text(max_size=6)
ARGUMENTS = st.dictionaries(TEXTS, TEXTS | st.integers() | st.none(), max_size=3).map(
    lambda value: json.dumps(value, ensure_ascii=False)
)
# As servers make them: a piece never looks like all that came before it.
IDS = ["call_VzrxH5a7", "chatcmpl-tool-9f8e7d", "functions.get:0", "toolu_01Xy"]
NAMES = ["get_weather", "look-up", "a.b:c", "f"]
BETWEEN = [b"", b"", b"", b": ping\n\n", b"data:\n\n", b"event: ping\ndata: {}\n\n", b"data: null\n\n", b"id: 4\n\n",
           b'data: {"choices":[]}\n\n', b'data: {"choices":[{"index":0,"delta":{"role":"assistant"}}]}\n\n']  # fmt: skip


@dataclass(frozen=True)
class Said:
    """One answer."""

    text: str
    reasoning: str
    calls: tuple[tuple[str, str, str], ...]


SAID = st.builds(
    Said,
    text=TEXTS,
    reasoning=TEXTS,
    calls=st.integers(0, 3).flatmap(
        lambda count: st.tuples(
            *[st.tuples(st.just(identity), st.sampled_from(NAMES), ARGUMENTS) for identity in IDS[:count]]
        )
    ),
)


def halves_of(text: str) -> str:
    """Return the text with each pair of surrogates as two characters, so that it can be cut between them."""
    units = text.encode("utf-16-le", "surrogatepass")
    return "".join(chr(int.from_bytes(units[at : at + 2], "little")) for at in range(0, len(units), 2))


def pieces_of(text: str, chance: random.Random) -> list[str]:
    """Return the text in pieces; none where it is empty."""
    text = halves_of(text)
    cuts = sorted({0, len(text), *(chance.randint(0, len(text)) for _ in range(chance.randint(0, 4)))})
    return [text[begin:end] for begin, end in zip(cuts, cuts[1:], strict=False)]


def deltas_of(said: Said, chance: random.Random) -> list[dict[str, Any]]:
    """Return deltas that say it."""
    deltas: list[dict[str, Any]] = [{"reasoning_content": piece} for piece in pieces_of(said.reasoning, chance)]
    deltas += [{"content": piece} for piece in pieces_of(said.text, chance)]
    for number, (identity, name, arguments) in enumerate(said.calls):
        index = chance.choice([number, str(number)])
        if chance.random() < 0.5:
            ways = _one_after_another(identity, name, arguments, chance)
        else:
            ways = _side_by_side(identity, name, arguments, chance)
        deltas += [{"tool_calls": [{"index": index, **piece}]} for piece in ways]
    return deltas


def _one_after_another(identity: str, name: str, arguments: str, chance: random.Random) -> list[dict[str, Any]]:
    ids = [{"id": piece} for piece in pieces_of(identity, chance)]
    names = [{"function": {"name": piece}} for piece in pieces_of(name, chance)]
    first, second = (ids, names) if chance.random() < 0.5 else (names, ids)
    return [*first, *second, *[{"function": {"arguments": piece}} for piece in pieces_of(arguments, chance)]]


def _side_by_side(identity: str, name: str, arguments: str, chance: random.Random) -> list[dict[str, Any]]:
    ids, names = pieces_of(identity, chance), pieces_of(name, chance)
    # Arguments alone say that id and name are whole: those are in as many pieces at most.
    beside = pieces_of(arguments, chance)
    while len(beside) < max(len(ids), len(names)):
        beside.insert(0, "")
    pieces: list[dict[str, Any]] = []
    for place, argument in enumerate(beside):
        function: dict[str, Any] = {"arguments": argument}
        if place < len(names):
            function["name"] = names[place]
        pieces.append({"id": ids[place] if place < len(ids) else "", "function": function})
    return pieces


def event_of(chunk: dict[str, Any], chance: random.Random) -> bytes:
    """Return the chunk as an event, of one line or of several."""
    if chance.random() < 0.2:
        text = json.dumps(chunk, indent=1)
        return b"".join(b"data: " + line.encode() + b"\n" for line in text.split("\n")) + b"\n"
    return b"data:" + chance.choice([b"", b" "]) + json.dumps(chunk).encode() + b"\n\n"


def choices_of(said: Said, chance: random.Random, number: int = 0) -> list[dict[str, Any]]:
    """Return what a choice's chunks hold of it."""
    choices = [{"index": number, "delta": delta, "finish_reason": None} for delta in deltas_of(said, chance)]
    end = {"index": number, "delta": {}, "finish_reason": "tool_calls" if said.calls else "stop"}
    if choices and chance.random() < 0.3:
        choices[-1]["finish_reason"] = end["finish_reason"]
    else:
        choices.append(end)
    return choices


def bytes_of(choices: list[dict[str, Any]], chance: random.Random) -> bytes:
    """Return a stream of them."""
    stream = b"".join(chance.choice(BETWEEN) + event_of({"choices": [choice]}, chance) for choice in choices)
    stream += chance.choice([b"", b"data: [DONE]\n\n"])
    return chance.choice([b"", b"\xef\xbb\xbf"]) + stream.replace(b"\n", chance.choice([b"\n", b"\r\n", b"\r"]))


def read(stream: bytes, chance: random.Random, reader: Reader | None = None) -> list[UpstreamEvent]:
    """Return the events of the stream, fed in pieces."""
    completion = CompletionStream(reader)
    events: list[UpstreamEvent] = []
    cuts = sorted({0, len(stream), *(chance.randint(0, len(stream)) for _ in range(chance.choice([0, 2, 30])))})
    for begin, end in zip(cuts, cuts[1:], strict=False):
        if not completion.done:
            events += completion.feed(stream[begin:end])
    return events if completion.done else [*events, *completion.end()]


def told(events: list[UpstreamEvent]) -> tuple[Said, list[str]]:
    """Return what these events say, and how it ended."""
    answer = Answer()
    ends: list[str] = []
    for event in events:
        if isinstance(event, Stopped):
            ends.append(event.reason.value)
        else:
            answer.add(event)
    return said_by(answer), ends


def said_by(answer: Answer) -> Said:
    """Return what an answer says."""
    calls = tuple((call.id, call.name, call.arguments_json) for call in answer.tool_calls)
    return Said(answer.text, answer.reasoning, calls)


@given(SAID, st.integers(0, 2**32))
def test_any_split_says_the_same(said: Said, seed: int) -> None:
    chance = random.Random(seed)
    stream = bytes_of(choices_of(said, chance), chance)
    assert told(read(stream, chance)) == (said, ["tool_calls" if said.calls else "stop"])


@given(SAID, SAID, st.integers(0, 2**32))
def test_any_split_of_two_choices_says_the_same(first: Said, second: Said, seed: int) -> None:
    chance = random.Random(seed)
    waiting = [choices_of(first, chance), choices_of(second, chance, 1)]
    choices: list[dict[str, Any]] = []
    while any(waiting):
        choices.append(chance.choice([left for left in waiting if left]).pop(0))
    answer, ends = Answer(), list[str]()
    for event in read(bytes_of(choices, chance), chance, ChoicesReader(TWO)):
        if isinstance(event, Stopped):
            ends.append(event.reason.value)
        else:
            answer.add(event)
    (other,) = answer.more
    assert (said_by(answer), said_by(other)) == (first, second)
    assert other.reason is (FinishReason.TOOL_CALLS if second.calls else FinishReason.STOP)
    assert ends == ["tool_calls" if first.calls else "stop"]


@given(SAID, st.integers(0, 2**32))
def test_a_stream_says_what_the_whole_does(said: Said, seed: int) -> None:
    calls = [
        {"id": identity, "function": {"name": name, "arguments": arguments}} for identity, name, arguments in said.calls
    ]
    message = {"content": said.text, "reasoning_content": said.reasoning, "tool_calls": calls}
    whole = {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}]}
    chance = random.Random(seed)
    assert told(whole_answer(json.dumps(whole).encode())) == told(
        read(bytes_of(choices_of(said, chance), chance), chance)
    )
