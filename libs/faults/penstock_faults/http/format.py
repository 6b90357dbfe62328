"""What a wire's format is to the server: how its requests are read, and the bytes of what a script answers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import msgspec

from penstock_faults.record import Seen
from penstock_faults.script import Answer, Block, Error, Refusal, Text, Thought, ToolCall

INPUT_TOKENS = 7
"""What every conversation counts for."""
JSON = "application/json"
EVENT_STREAM = "text/event-stream; charset=utf-8"

Document = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a request asks for. ``prefix``: the text of an assistant's turn that ends the conversation."""

    model: str
    streams: bool = False
    turns: int = 0
    prefix: str = ""
    continues: bool = False
    """Whether it says that the prefix is to be gone on from."""
    kind: Literal["answer", "models", "other"] = "answer"
    """``other``: something that is answered in one piece, whatever the script's answer says."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Tokens as a script has them; ``more`` are names that stand as they are."""

    input: int = INPUT_TOKENS
    output: int = 0
    cached: int = 0
    written: int = 0
    written_1h: int = 0
    reasoning: int = 0
    more: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What is answered to one request."""

    answer: Answer
    blocks: tuple[Block, ...]
    model: str
    counts: Counts | None

    @property
    def text(self) -> str:
        """All of its text."""
        return "".join("".join(block.pieces) for block in self.blocks if isinstance(block, Text))


@dataclass(frozen=True)
class Failure:
    """A response that is no answer."""

    status: int
    document: bytes
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    content_type: str = JSON


class Format(Protocol):
    """A wire's own bytes. ``name`` is what a wire is called, by ``--wire`` too."""

    name: str
    base_path: str
    """What a client's base URL ends with."""
    stream_type: str
    """The content type of its streams."""
    ping: bytes
    torn: str
    """Half of an event that is a piece of the answer."""

    def answers(self, path: str) -> bool:
        """Return whether a path, without its query, is one of its own."""
        ...

    def asked(self, seen: Seen) -> Asked:
        """Return what a request asks for."""
        ...

    def events(self, reply: Reply) -> Iterator[bytes]:
        """Yield a stream: what comes before the first piece of the answer, each piece, the end and what is after it."""
        ...

    def whole(self, reply: Reply) -> bytes:
        """Return the answer in one piece."""
        ...

    def other(self, seen: Seen, asked: Asked) -> bytes:
        """Return what is answered to the requests that ask for no conversation."""
        ...

    def failure(self, error: Error, status: int, retry_after: str, asked: Asked) -> Failure:
        """Return an error in the place of an answer."""
        ...

    def error_event(self, error: Error) -> bytes:
        """Return an error within a stream."""
        ...

    def event(self, data: str) -> bytes:
        """Return an event of a stream that carries this."""
        ...


def server_sent_event(data: str, name: str = "") -> bytes:
    """Return a server-sent event."""
    return (f"event: {name}\n" if name else "").encode() + f"data: {data}\n\n".encode()


def encoded(document: Document) -> bytes:
    """Return the JSON of a document."""
    return msgspec.json.encode(document)


def written(document: Document) -> str:
    """Return the JSON of a document as a stream's event has it."""
    return json.dumps(document)


def arguments_of(call: ToolCall) -> Any:
    """Return a call's arguments as a part of a document, verbatim where they are JSON."""
    text = "".join(call.fragments)
    try:
        return json.loads(text)
    except ValueError:
        return text


def counts_of(answer: Answer, blocks: Sequence[Block]) -> Counts | None:
    """Return the usage of an answer of which these blocks are said; None where it has none."""
    if answer.usage == "missing":
        return None
    if answer.usage == "zero":
        return Counts(input=0)
    thought = sum(len(block.pieces) for block in blocks if isinstance(block, Thought))
    output = thought + sum(len(pieces_of(block)) for block in blocks if not isinstance(block, Thought))
    if answer.usage == "counted":
        return Counts(output=output)
    known = {name: number for name, number in answer.usage.items() if name in _COUNTS}
    more = {name: number for name, number in answer.usage.items() if name not in _COUNTS}
    return Counts(**{"input": INPUT_TOKENS, "output": output, **known}, more=more)


_COUNTS = frozenset({"input", "output", "cached", "written", "written_1h", "reasoning"})


def pieces_of(block: Block) -> tuple[str, ...]:
    """Return the pieces that a block comes in."""
    return block.fragments if isinstance(block, ToolCall) else block.pieces


def said_by(block: Block) -> str:
    """Return all that a block says."""
    return "".join(pieces_of(block))


def is_text(block: Block) -> bool:
    """Return whether a block is text on a wire that knows no refusals."""
    return isinstance(block, Text | Refusal)


_STATUS_OF_CODE = {"overloaded": 503, "rate_limit_exceeded": 429, "server_error": 500, "context_length_exceeded": 400}


def status_of(error: Error) -> int:
    """Return the status that an error within a stream would have had."""
    if isinstance(error.code, int):
        return error.code
    known = _STATUS_OF_CODE.get(str(error.code)) or _STATUS_OF_CODE.get(str(error.type))
    return known or (400 if error.type == "invalid_request_error" else 500)
