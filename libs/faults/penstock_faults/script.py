"""What an upstream does with its requests, as plain values: readable from YAML and JSON, the same on every wire.

A ``Script`` is a list of ``Step``s. A request meets the first step that is not
used up yet; after the last one every request gets a normal answer.
"""

from __future__ import annotations

from typing import Any, Literal

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


class Text(_Value, frozen=True, tag="text"):
    """Text in pieces. ``citations`` are what it refers to, each as the wire has them."""

    pieces: tuple[str, ...]
    citations: tuple[dict[str, Any], ...] = ()
    signature: str = ""
    """Base64; only Gemini signs text."""


class Thought(_Value, frozen=True, tag="reasoning"):
    """Reasoning in pieces, and its signature; or ``hidden``: in the place of both, what the provider does not show. Base64."""

    pieces: tuple[str, ...] = ()
    signature: str = ""
    hidden: str = ""


class Refusal(_Value, frozen=True, tag="refusal"):
    """Text that says that the model will not answer; plain text on a wire that has no other."""

    pieces: tuple[str, ...]


class ToolCall(_Value, frozen=True, tag="call"):
    """A tool call and the pieces that its arguments come in; a wire that knows no pieces has it whole."""

    name: str
    fragments: tuple[str, ...] = ("{}",)
    id: str = "call_1"
    signature: str = ""
    """Base64; only Gemini signs calls."""


Block = Text | Thought | Refusal | ToolCall


class Answer(_Value, frozen=True):
    """An answer, one event per token where it is streamed."""

    tokens: tuple[str, ...] = TOKENS
    reasoning: tuple[str, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    blocks: tuple[Block, ...] = ()
    """All of these in an order of their own, in their place; a beginning is passed over then."""
    finish_reason: str | None = "stop"
    """``stop``, ``length``, ``tool_calls`` and ``content_filter`` in the wire's own word; any other word as it stands. None: it
    never says why it ended."""
    matched_stop: str = ""
    """The stop string that ended it, where the wire tells."""
    details: dict[str, str] = {}
    """Of a refusal: ``category`` and ``explanation``, where the wire tells."""
    service_tier: str = ""
    usage: Literal["counted", "missing", "zero"] | dict[str, int] = "counted"
    """Numbers are ``input``, ``output``, ``cached``, ``written``, ``written_1h`` and ``reasoning``, in the wire's own names: input
    holds what was cached and written, output the reasoning. Any other name stands as it is."""
    usage_in: Literal["last", "end", "every"] = "last"
    """Where a stream has it: after the end where the wire has a place there, with the end, or with every event."""
    done: bool = True
    """Whether what ends a stream comes: ``[DONE]``, ``message_stop`` or the wire's like."""

    def said(self, tokens: tuple[str, ...]) -> tuple[Block, ...]:
        """Return what is said, in its order; ``tokens`` are those of the text that are left to say."""
        if self.blocks:
            return self.blocks
        thought = (Thought(pieces=self.reasoning),) if self.reasoning else ()
        text = (Text(pieces=tokens),) if tokens else ()
        return (*thought, *text, *self.tool_calls)


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
    """Something between the events of a stream, before the event ``event``.

    All that comes before the first piece of the answer is event 0, and every piece is one, with what stands before it.
    An answer that is asked for whole is the ``error`` in its place, or has ``data`` or what is ``torn`` after its first byte; the
    rest is left out.
    """

    event: int
    error: Error | None = None
    data: str = ""
    """What one event carries, as it stands."""
    torn: bool = False
    """An event that is half a piece of the answer, and no JSON."""
    ping: bool = False
    """A sign of life in the wire's own form: an event that says nothing, a comment, a blank line."""
    raw: str = ""
    """Bytes of the stream as they stand."""


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
