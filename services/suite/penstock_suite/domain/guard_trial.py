"""What rules would have done with traffic of before: texts out of a file, and what is told of them, never their words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import msgspec

from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.interval import Share, share

MOST_EXAMPLES = 5
_SURFACES = {"system": "system", "developer": "system", "user": "input", "assistant": "input", "tool": "tool_result"}
_KNOWN = frozenset({"system", "input", "tool_result", "document", "output", "tool_call"})


class Call(NamedTuple):
    """A call of a tool."""

    name: str
    arguments: str


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """One text of a line; ``where`` says where in it. ``call`` stands for a call, whose text are its arguments."""

    line: int
    where: str
    surface: str
    text: str
    call: Call | None = None
    context: str = ""
    """What an answer is to rest on."""


class Hit(NamedTuple):
    """A rule's finding in a passage."""

    kind: str
    start: int
    end: int


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule says of a passage: ``outcome`` is clean, hit or failed."""

    passage: Passage
    outcome: str
    found: tuple[Hit, ...] = ()
    microseconds: float = 0.0


class RuleTrial(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule would have done: ``lines`` are those with a hit, of those that it looked at."""

    rule: str
    kind: str
    version: str
    action: str
    lines: Share
    texts: int
    hits: int
    failed: int
    by_kind: dict[str, int]
    by_surface: dict[str, int]
    p95_microseconds: float
    examples: tuple[str, ...]
    """Where: line, place, surface, kind and code points; nothing of a text."""


class GuardTrial(msgspec.Struct, frozen=True, kw_only=True):
    """What all rules would have done with ``lines`` of a file."""

    lines: int
    texts: int
    unread: int
    """Parts that are no text, such as images."""
    rules: tuple[RuleTrial, ...]


def read_passages(content: bytes) -> tuple[list[Passage], int, int]:
    """Return the texts of a file of JSON lines, how many lines it has, and how many parts are no texts.

    A line is a request of chat completions (``messages``, itself or under ``body``) with its ``answer``, a case of
    `penstock eval answers`, or what `penstock reviews export` wrote.

    Raises:
        Misconfigured: for the first line that is none, or if there is none.
    """
    passages: list[Passage] = []
    lines = unread = 0
    for number, row in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not row.strip():
            continue
        found, passed_over = _line(number, row)
        passages += found
        lines, unread = lines + 1, unread + passed_over
    if not lines:
        raise Misconfigured("the file has no lines")
    return passages, lines, unread


def _line(number: int, row: bytes) -> tuple[list[Passage], int]:
    try:
        said = msgspec.json.decode(row, type=dict[str, Any])
        body = cast("dict[str, Any]", said.get("body", said))
        found = _Reading(number)
        for at, turn in enumerate(body.get("messages", ())):
            found.turn(f"messages[{at}]", turn)
        found.single(body, said)
    except (msgspec.MsgspecError, UnicodeDecodeError, TypeError, AttributeError, KeyError):
        raise Misconfigured(
            f"line {number} is no request with messages, no case and no exported review: see docs/guardrails.md"
        ) from None
    if not found.passages and not found.unread:
        raise Misconfigured(f"line {number} has no 'messages', 'input', 'text' or 'answer'")
    return found.passages, found.unread


class _Reading:
    def __init__(self, line: int) -> None:
        self.line, self.unread = line, 0
        self.passages: list[Passage] = []
        self._context: list[str] = []

    def add(self, where: str, surface: str, text: str, call: Call | None = None) -> None:
        """Take in a text, where there is one."""
        if surface in ("tool_result", "document"):
            self._context.append(text)
        if text:
            context = "\n\n".join(self._context) if surface == "output" else ""
            self.passages.append(
                Passage(line=self.line, where=where, surface=surface, text=text, call=call, context=context)
            )

    def turn(self, where: str, turn: dict[str, Any]) -> None:
        """Take in a turn: its text or parts, and its calls."""
        surface = _SURFACES[turn["role"]]
        content = turn.get("content") if "content" in turn else turn.get("text")
        if isinstance(content, list):
            for at, part in enumerate(cast("list[dict[str, Any]]", content)):
                self._part(f"{where}.content[{at}]", surface, part)
        elif content is not None:
            self.add(f"{where}.content", surface, _text(content))
        for at, call in enumerate(turn.get("tool_calls") or ()):
            function = call["function"]
            arguments = _text(function.get("arguments", ""))
            self.add(f"{where}.tool_calls[{at}]", "tool_call", arguments, Call(_text(function["name"]), arguments))

    def single(self, body: dict[str, Any], line: dict[str, Any]) -> None:
        """Take in what stands alone: a case's input, a review's text and context, and the answer."""
        if "text" in body:
            surface = _text(body.get("surface", "input"))
            if surface not in _KNOWN:
                raise KeyError(surface)
            self.add("context", "document", _text(body.get("context") or ""))
            self.add("text", surface, _text(body["text"]))
        elif "input" in body:
            self.add("input", "input", _text(body["input"]))
        if (answer := line.get("answer")) is not None:
            self.add("answer", "output", _text(answer))

    def _part(self, where: str, surface: str, part: dict[str, Any]) -> None:
        if isinstance(part.get("text"), str):
            self.add(where, surface, part["text"])
        else:
            self.unread += 1


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def trial_of(rule: tuple[str, str, str, str], looked: Sequence[Looked]) -> RuleTrial:
    """Return what a rule (its name, kind, version and action) would have done."""
    name, kind, version, action = rule
    hits = [one for one in looked if one.outcome == "hit"]
    took = sorted(one.microseconds for one in looked)
    lines = {one.passage.line for one in looked}
    return RuleTrial(
        rule=name,
        kind=kind,
        version=version,
        action=action,
        lines=share(len({one.passage.line for one in hits}), len(lines)),
        texts=len(looked),
        hits=sum(len(one.found) for one in hits),
        failed=sum(one.outcome == "failed" for one in looked),
        by_kind=dict(sorted(Counter(each.kind for one in hits for each in one.found).items())),
        by_surface=dict(sorted(Counter(one.passage.surface for one in hits for _ in one.found).items())),
        p95_microseconds=took[min(len(took) - 1, int(0.95 * len(took)))] if took else 0.0,
        examples=tuple(told for _, told in zip(range(MOST_EXAMPLES), _examples(hits), strict=False)),
    )


def _examples(hits: Sequence[Looked]) -> Iterator[str]:
    for one in hits:
        at = one.passage
        for each in one.found:
            yield f"line {at.line}, {at.where} ({at.surface}): {each.kind} {each.start}-{each.end}"
