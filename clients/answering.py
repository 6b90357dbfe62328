"""A provider that speaks every wire that penstock_faults knows, and answers by what it is asked, as a model would.

Tools are called once, all of them, and their results said back; a question with ``twice`` in it has them called again. A
schema is filled in. Whatever else is asked gets a sentence, and where an effort is named, a thought before it. A stream
comes in small pieces. A question may hold a wish:

* ``call NAME {…}``: this tool with these arguments, and no other.
* ``say <<<…>>>``: these words.
* ``at length``: a long answer; ``slowly``: one that takes minutes.
* ``fail with 429``: the provider's own error; ``fail midway``: an error after a few words.
* ``patience``: a minute of silence.
"""

from __future__ import annotations

import json
import re

from conversation import Conversation, Tool, conversation_of, instance_of, schema_in

from penstock_faults.http.server import ScriptedUpstream
from penstock_faults.playback import Playback
from penstock_faults.record import Seen
from penstock_faults.script import Answer, Block, Error, Insert, Pace, Script, Step, Text, Thought, ToolCall

SENTENCE = "The water is let through where it is needed."
PICTURE_SAID = "It is a picture."
LONG_SENTENCES = 400
REASONING = "Where is it needed?"
REFUSED = "The provider will not have this."
SLOWLY = "slowly"
_PIECE = 7
_LONG_PIECE = 45
"""Of a long answer: a stream of it is hundreds of events, and not thousands."""
_MOST_TOOLS = 4
"""A client that offers more is an agent, whose tools are called by name."""
_LONG = 1000
_MIDWAY = 200
_CALL = re.compile(r"\bcall (\w+) (\{.*\})")
_SAY = re.compile(r"say <<<(.*?)>>>", re.DOTALL)
_FAIL = re.compile(r"fail with (\d+)")


class AnsweringProvider(ScriptedUpstream):
    """Serves while it is entered; every wire has its own ``base_url_of``."""

    def __init__(self) -> None:
        """Have a socket of its own."""
        super().__init__(Script())

    def playback_of(self, seen: Seen) -> Playback:
        """Return what one request meets."""
        return Playback(Script(steps=(step_for(conversation_of(seen.bare_path, seen.body)),)))


def step_for(asked: Conversation) -> Step:
    """Return what is done with a question."""
    question = asked.question.text
    if failing := _FAIL.search(question):
        return Step(status=int(failing[1]), error=Error(message=REFUSED, type="invalid_request_error"))
    if "fail midway" in question:
        broken = Insert(event=_MIDWAY, error=Error(message=REFUSED, type="server_error", code="server_error"))
        return Step(answer=_said(long_text()), insert=(broken,))
    if SLOWLY in question:
        return Step(answer=_said(long_text()), pace=Pace(token_seconds=0.2))
    pace = Pace(first_token_seconds=60 if "patience" in question else 0)
    return Step(answer=_answer(asked), pace=pace)


def long_text() -> str:
    """Return the long answer."""
    return " ".join([SENTENCE] * LONG_SENTENCES)


def _answer(asked: Conversation) -> Answer:
    thought = (Thought(pieces=_pieces(REASONING), signature="c2lnbmVk"),) if asked.thinks else ()
    calls = _calls(asked)
    if calls:
        return Answer(blocks=(*thought, *calls), finish_reason="tool_calls")
    return _said(_words(asked), thought)


def _said(text: str, thought: tuple[Block, ...] = ()) -> Answer:
    return Answer(blocks=(*thought, Text(pieces=_pieces(text))))


def _words(asked: Conversation) -> str:
    question = asked.question
    if said := _SAY.search(question.text):
        return said[1]
    if asked.schema is not None:
        return json.dumps(instance_of(asked.schema))
    told = None if asked.tools else schema_in(asked.system + question.text)
    if asked.wants_json or told is not None:
        return json.dumps(instance_of(told or {}))
    if asked.results:
        return f"The tools say: {'; '.join(asked.results)}"
    if any(turn.shows for turn in asked.turns):
        return PICTURE_SAID
    return long_text() if "at length" in question.text else SENTENCE


def _calls(asked: Conversation) -> tuple[ToolCall, ...]:
    begun = len(asked.results)
    if begun >= (2 if "twice" in asked.question.text else 1):
        return ()
    if wish := _CALL.search(asked.question.text):
        arguments = [(wish[1], wish[2])]
    elif len(asked.tools) <= _MOST_TOOLS:
        arguments = [(tool.name, _arguments(tool)) for tool in asked.tools]
    else:
        arguments = []
    return tuple(
        ToolCall(name=name, fragments=_pieces(text), id=f"call_{begun + index}")
        for index, (name, text) in enumerate(arguments)
        if any(tool.name == name for tool in asked.tools)
    )


def _arguments(tool: Tool) -> str:
    return json.dumps(instance_of(tool.schema))


def _pieces(text: str) -> tuple[str, ...]:
    size = _PIECE if len(text) < _LONG else _LONG_PIECE
    return tuple(text[at : at + size] for at in range(0, len(text), size)) or ("",)
