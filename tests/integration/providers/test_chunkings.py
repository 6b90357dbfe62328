"""A stream of each wire gives equal events, however its bytes come."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock_common.http.client import HttpClient
from penstock_common.llm.events import merge_deltas
from penstock_common.llm.types import ToolCallDelta, Usage
from penstock_faults.http.formats import FORMATS
from penstock_faults.http.response import reply_of
from penstock_faults.script import Answer, Refusal, Text, Thought, ToolCall
from penstock_inference.adapters.providers.openai.stream import CompletionStream
from penstock_inference.adapters.providers.registry import PROVIDERS
from penstock_inference.domain.upstream import Stopped, Unread, UpstreamCall

sys.path.insert(0, str(Path(__file__).parent))

from conversations import WEATHER, asked, user  # noqa: E402
from wires import WIRES  # noqa: E402

COUNTED = {"input": 900, "output": 70, "cached": 300, "written": 200, "written_1h": 50, "reasoning": 30}
# Characters of one to four bytes, and of two in JSON's escapes, so that cuts fall within them.
ANSWERS = {
    "blocks": Answer(
        blocks=(
            Thought(pieces=("Hé", "lås 👋", "."), signature="c2lnbmVk"),
            Thought(hidden="aGlkZGVu"),
            Text(pieces=("Wör", "ld\n", "👋🏽 日本")),
            ToolCall(name="weather", fragments=('{"ci', 'ty":"Zü', 'rich"}'), id="call_a", signature="c2lnbmVk"),
            ToolCall(name="weather", fragments=('{"city":"Rom"}',), id="call_b"),
        ),
        finish_reason="tool_calls", usage=COUNTED, service_tier="priority",
    ),
    "every usage": Answer(tokens=("one ", "two"), usage=COUNTED, usage_in="every"),
    "refusal": Answer(blocks=(Refusal(pieces=("I ", "won't.")),), finish_reason="content_filter", details={"category": "cyber"}),
    "stop": Answer(tokens=("so far",), matched_stop="END"),
}  # fmt: skip


@asynccontextmanager
async def streams_of(name: str):
    """A function that begins to read a stream of a wire."""
    wire = WIRES[name]
    if wire.format in ("openai", "azure"):
        # Its answers are looked at before it is known that they are streams.
        yield CompletionStream
        return

    class Nobody:
        def base_url_of(self, _format: str) -> str:
            return "http://127.0.0.1:9/v1"

    provider = PROVIDERS[wire.provider or name]
    entry = provider.settings.model_validate(wire.upstream(name, Nobody()))  # type: ignore[arg-type]
    call = UpstreamCall("m", asked(user("Hi?"), tools=(WEATHER,)), 1, lambda: None, lambda: None)
    async with HttpClient() as client, provider.open_upstream(entry, client) as opened:
        yield lambda: opened.upstream.ask(call)._stream()


def read(stream: Any, pieces: list[bytes]) -> list[Any]:
    """The events of a stream in their canonical form."""
    events: list[Any] = []
    for piece in pieces:
        if not stream.done:
            events += stream.feed(piece)
    if not stream.done:
        events += stream.end()
    deltas = merge_deltas(_with_known_id(event) for event in events if not isinstance(event, Usage | Stopped | Unread))
    # Of what is told more than once the last word counts.
    last = [[event for event in events if isinstance(event, kind)][-1:] for kind in (Usage, Unread, Stopped)]
    return [*deltas, *(event for one in last for event in one)]


def _with_known_id(event: Any) -> Any:
    """A call without an id is given one by chance."""
    is_given = isinstance(event, ToolCallDelta) and event.id not in ("", "call_a", "call_b")
    return msgspec.structs.replace(event, id="given") if is_given else event


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("name", WIRES)
async def test_every_chunking_gives_equal_events(name: str, answer: str):
    pieces = list(FORMATS[WIRES[name].format].events(reply_of(ANSWERS[answer], "m")))
    whole = b"".join(pieces)
    async with streams_of(name) as begun:
        expected = read(begun(), pieces)
        assert any(isinstance(event, Stopped) for event in expected)
        assert any(isinstance(event, Usage) for event in expected)
        assert read(begun(), [whole]) == expected
        assert read(begun(), [whole[at : at + 1] for at in range(len(whole))]) == expected
        for size in (2, 3, 7, 64):
            assert read(begun(), [whole[at : at + size] for at in range(0, len(whole), size)]) == expected


@pytest.mark.parametrize("name", WIRES)
async def test_chunks_of_any_sizes_give_equal_events(name: str):
    pieces = list(FORMATS[WIRES[name].format].events(reply_of(ANSWERS["blocks"], "m")))
    whole = b"".join(pieces)
    async with streams_of(name) as begun:
        expected = read(begun(), pieces)

        @settings(max_examples=25)
        @given(st.lists(st.integers(0, len(whole)), max_size=12).map(sorted))
        def holds(cuts: list[int]) -> None:
            bounds = [0, *cuts, len(whole)]
            chunks = [whole[begin:end] for begin, end in zip(bounds, bounds[1:], strict=False)]
            assert read(begun(), chunks) == expected

        holds()
