"""An answer of sixty tokens, cut at and beside every event's end over sockets: whole without a seam, or an honest error."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from penstock_common.testing.generations import GenerationCaller
from penstock_common.testing.transports import SOCKET, channel_to
from penstock_faults.http.formats import FORMATS
from penstock_faults.http.response import reply_of
from penstock_faults.http.server import ScriptedUpstream
from penstock_faults.playback import Playback
from penstock_faults.script import Answer, Break, Ending, Prefill, Script, Step
from penstock_inference.app import build
from penstock_inference.domain.generation import Pauses
from penstock_inference.settings import Settings

sys.path.insert(0, str(Path(__file__).parent))

from scenery import upstream_settings  # noqa: E402

# Characters of one to four bytes, so that cuts fall within them.
ANSWER = Answer(tokens=tuple(f"{word}{number} " for number, word in enumerate(("Hé", "wörld", "日本", "👋🏽") * 15)))
TEXT = "".join(ANSWER.tokens)
OTHER = Answer(tokens=("Something ", "else."))
EVENTS = list(FORMATS["openai"].events(reply_of(ANSWER, "first-model")))
ENDS = [len(b"".join(EVENTS[:number])) for number in range(1, 65)]
WHOLE = len(b"".join(EVENTS))
OFFSETS = sorted({min(max(1, end + beside), WHOLE) for end in ENDS for beside in (-1, 0, 1)})


@dataclass
class Cast:
    """What the two upstreams play now."""

    first: Playback
    second: Playback


async def instantly(_seconds: float) -> None:
    """A pause that is over."""


@pytest.fixture
async def service():
    """A caller of an inference service over a socket, and what its two upstreams play."""
    cast = Cast(Playback(Script()), Playback(Script()))
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(ScriptedUpstream(lambda _: cast.first))
        second = await stack.enter_async_context(ScriptedUpstream(lambda _: cast.second))
        upstreams = [
            {**upstream_settings(name), "base_url": server.base_url}
            for name, server in (("first", first), ("second", second))
        ]
        settings = Settings.model_validate({"upstreams": upstreams})
        built = await stack.enter_async_context(build(settings, Pauses(chance=lambda: 0.0, sleep=instantly)))
        yield GenerationCaller(await stack.enter_async_context(channel_to(built, SOCKET))), cast


@pytest.mark.parametrize("by", ["reset", "close", "end"])
@pytest.mark.parametrize(
    ("prefill", "answer"),
    [("continues", ANSWER), ("refuses", ANSWER), ("ignores", ANSWER), ("refuses", OTHER)],
    ids=["takes_a_prefix", "refuses_and_answers_the_same", "ignores_it_and_answers_the_same", "answers_otherwise"],
)
async def test_a_cut_anywhere_is_never_a_truncated_success(by: Ending, prefill: Prefill, answer: Answer, service):
    caller, cast = service
    for offset in OFFSETS:
        cast.first = Playback(Script(steps=(Step(answer=ANSWER, broken=Break(by=by, bytes=offset)),)))
        cast.second = Playback(Script(steps=(Step(answer=answer),), prefill=prefill))
        outcome = await caller.ask("first/first-model", "second/second-model")
        text, whole = outcome.answer.text, outcome.answer.finished is not None
        if answer is ANSWER:
            assert (text, whole, outcome.error) == (TEXT, True, None), offset
        elif whole:
            # Its end was there already, or nothing of it had been sent.
            assert text in (TEXT, "".join(OTHER.tokens)), offset
        else:
            assert outcome.error is not None, offset
            assert text and TEXT.startswith(text), offset
