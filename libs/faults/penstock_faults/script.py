"""What an upstream does with its requests, as plain values: readable from YAML and JSON, the same on every wire.

A ``Script`` is a list of ``Step``s. A request meets the first step that is not
used up yet; after the last one every request gets a normal answer.
"""

from __future__ import annotations

from typing import Literal

import msgspec

TOKENS: tuple[str, ...] = (
    "Whoever ", "asks ", "shall ", "have ", "the ", "whole ", "answer", ": ", "once", ", ", "in ", "order", ", ", "to ",
    "its ", "end", ".",
)  # fmt: skip
"""The answer of a script that says no other: seventeen tokens, so that there is a middle."""
TEXT = "".join(TOKENS)
OTHER_TOKENS: tuple[str, ...] = ("Nobody ", "can ", "say ", "what ", "another ", "model ", "says", ".")
"""An answer that no other one begins with."""
OTHER_TEXT = "".join(OTHER_TOKENS)
BREAK_AFTER_EVENTS = 4
"""Where the scripts by name break an answer: the role and three tokens."""

Ending = Literal["reset", "close", "stall", "end", "repeat"]
"""``reset``: the connection is reset. ``close``: it is closed, the end of the body never said. ``stall``: nothing more
comes, and it stays open. ``end``: the body ends as the protocol says. ``repeat``: the last piece again and again."""
Prefill = Literal["continues", "refuses", "ignores", "when_asked"]
"""What becomes of a conversation that ends in an assistant's turn: it is gone on from, refused (400), passed over, or gone
on from only where the request says ``continue_final_message``, as vLLM wants it."""


class _Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A part of a script; a word that it does not know is refused."""


class ToolCall(_Value, frozen=True):
    """A tool call and the pieces that its arguments come in."""

    name: str
    fragments: tuple[str, ...] = ("{}",)
    id: str = "call_1"


class Answer(_Value, frozen=True):
    """An answer, one event per token where it is streamed."""

    tokens: tuple[str, ...] = TOKENS
    reasoning: tuple[str, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = "stop"
    """None: it never says why it ended."""
    usage: Literal["counted", "missing", "zero"] | dict[str, int] = "counted"
    done: bool = True
    """Whether ``[DONE]`` ends a stream."""


class Pace(_Value, frozen=True):
    """How long things take, in seconds; 0 is at once. Every ``slow_every``th request waits ``slow_first_token_seconds``."""

    headers_seconds: float = 0.0
    first_token_seconds: float = 0.0
    token_seconds: float = 0.0
    slow_every: int = 0
    slow_first_token_seconds: float = 0.0


class Error(_Value, frozen=True):
    """The object under ``error``."""

    message: str = ""
    type: str | None = None
    code: str | int | None = None
    param: str | None = None


class Body(_Value, frozen=True):
    """A body in the place of an answer. ``fill_bytes``: ``text`` over and over until there are so many; sent piece by piece."""

    content_type: str = "text/html; charset=utf-8"
    text: str = ""
    fill_bytes: int = 0
    gzip: bool = False
    """Compressed on the way: few bytes on the wire become ``fill_bytes``."""


class Insert(_Value, frozen=True):
    """Something between the events of a stream, before the event ``event``; the one of the role is 0.

    An answer that is asked for whole is the ``error`` in its place, or has ``data`` after its first byte; a ``raw`` text is left out.
    """

    event: int
    error: Error | None = None
    data: str = ""
    """What one event carries, as it stands."""
    raw: str = ""
    """Bytes of the stream as they stand, such as a comment."""


class Break(_Value, frozen=True):
    """Where an answer ends before its time, and how. One of the places; none is the end of the answer.

    ``events`` leaves half of an answer that was asked for whole. ``bytes`` count the body, ``wire_bytes`` all that is written:
    head, chunk sizes and body.
    """

    by: Ending = "reset"
    events: int | None = None
    bytes: int | None = None
    wire_bytes: int | None = None


class Step(_Value, frozen=True, rename={"broken": "break"}):
    """What requests meet: the next ``times``, or those of the next ``seconds`` after the first; neither: all that follow."""

    times: int | None = None
    seconds: float | None = None
    drop: Ending | None = None
    """No byte comes back, and then this: ``stall`` is silence."""
    status: int = 200
    error: Error | None = None
    """With a status of success: an error object where the answer should be."""
    headers: dict[str, str] = {}
    retry_after: str = ""
    """``2`` (seconds), ``1500ms``, ``date+60`` (an HTTP date so many seconds ahead); anything else stands as it is."""
    body: Body | None = None
    answer: Answer = Answer()
    insert: tuple[Insert, ...] = ()
    broken: Break | None = None
    pace: Pace = Pace()
    framing: Literal["chunked", "until_close"] = "chunked"
    """Whether the body says its end, or the connection's end is it."""
    hold: dict[int, str] = {}
    """By event, the gate that must be open before it is written; -1 is the end. An answer in one piece is not held. Whoever
    plays the script has gates or has none: then nothing waits."""


class Script(_Value, frozen=True):
    """What an upstream does, by name."""

    name: str = ""
    about: str = ""
    steps: tuple[Step, ...] = ()
    prefill: Prefill = "continues"
    streams: Literal["as_asked", "always", "never"] = "as_asked"
    """Whether an answer is streamed: as the request says, or whatever it says."""


def once(step: Step) -> Step:
    """Return the step for one request."""
    return msgspec.structs.replace(step, times=1)


def lasting(step: Step, seconds: float) -> Step:
    """Return the step for all requests within ``seconds`` of the first."""
    return msgspec.structs.replace(step, seconds=seconds)
