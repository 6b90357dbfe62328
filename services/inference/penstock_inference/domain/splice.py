"""Two attempts made one answer: what of the later one is new to a caller who has been sent a part of the earlier.

Pure. Whatever cannot be joined without a seam in the text is refused, and nothing of it reaches the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Protocol
from unicodedata import normalize

import msgspec

from penstock_common.llm.events import Answer
from penstock_common.llm.types import (
    ChoiceFinished,
    ContentEvent,
    OpaqueDelta,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallDelta,
)
from penstock_inference.domain.failure import AttemptFailed, FailureKind


class Splice(Protocol):
    """Takes the later attempt's content; gives what is new of it."""

    @property
    def met_stop(self) -> str:
        """The caller's stop string that ends the answer across the seam; empty where none does."""
        ...

    def take(self, content: Sequence[ContentEvent]) -> list[ContentEvent]:
        """Return what may be sent now; nothing while that is not decided.

        Raises:
            AttemptFailed: DIVERGED, where the two do not fit.
        """
        ...

    def end(self) -> list[ContentEvent]:
        """Return what was held back, where the later attempt has ended.

        Raises:
            AttemptFailed: DIVERGED, where it ended before it came to where the earlier one broke off.
        """
        ...


class Continued:
    """The later attempt was handed ``prefix``, and goes on from there.

    ``sent`` is the text that the caller has: the prefix, and spaces that no provider takes at the end of a turn. What begins
    with all of it, in whichever of Unicode's forms, may be the answer once more, of a server that disregards the prefix, and
    is refused: who is asked without one is not in doubt. Its reasoning is left out: the text has begun. ``stops`` are looked
    for across the seam, which no upstream sees.
    """

    def __init__(self, sent: str, prefix: str, stops: Sequence[str] = ()) -> None:
        self._seam = _Seam(sent, stops)
        self._spaces = sent[len(prefix) :]
        # Decomposed, the beginning of a text stays one wherever a piece ends.
        self._again = normalize("NFD", sent)
        self._at = 0
        self._held: list[str] | None = []
        """What has come while it may yet be the answer once more; None once it is not."""

    @property
    def met_stop(self) -> str:
        """The stop string across the seam; see the port."""
        return self._seam.met

    def take(self, content: Sequence[ContentEvent]) -> list[ContentEvent]:
        """Return what may be sent now; see the port."""
        new: list[ContentEvent] = []
        for event in content:
            if self._seam.met:
                break
            if isinstance(event, ReasoningDelta):
                continue
            if isinstance(event, TextDelta):
                text = self._seam.passed(self._without_spaces(self._decided(event.text)))
                if text:
                    new.append(TextDelta(text=text))
            else:
                new += (*self.end(), event)
        return new

    def end(self) -> list[ContentEvent]:
        """Return what was held back; see the port. So short an end is one."""
        text = self._seam.passed(self._without_spaces(self._let_go())) + self._seam.end()
        return [TextDelta(text=text)] if text else []

    def _decided(self, text: str) -> str:
        if self._held is None:
            return text
        self._held.append(text)
        come = normalize("NFD", text)
        left = len(self._again) - self._at
        if len(come) < left and self._again.startswith(come, self._at):
            self._at += len(come)
            return ""
        if come.startswith(self._again[self._at :]):
            raise AttemptFailed(FailureKind.DIVERGED, "the continuation begins with what had been sent")
        return self._let_go()

    def _let_go(self) -> str:
        held, self._held = self._held, None
        return "".join(held or ())

    def _without_spaces(self, text: str) -> str:
        """Return the text without the spaces that the caller has already."""
        if not self._spaces or not text:
            return text
        same = takewhile(lambda pair: pair[0] == pair[1], zip(self._spaces, text, strict=False))
        count = sum(1 for _ in same)
        self._spaces = self._spaces[count:] if count == len(text) else ""
        return text[count:]


class _Seam:
    """Looks for stop strings that begin in what was sent, and end in what follows; what may be a part of one is held back."""

    __slots__ = ("_before", "_held", "_is_near", "_stops", "met")

    def __init__(self, sent: str, stops: Sequence[str]) -> None:
        longest = max(map(len, stops), default=0)
        self._stops = stops
        self._before = sent[-(longest - 1) :] if longest > 1 else ""
        self._held = ""
        self._is_near = bool(self._before)
        self.met = ""

    def passed(self, text: str) -> str:
        """Return what may be sent of the next piece and of what was held back."""
        if self.met:
            return ""
        if not self._is_near or not text:
            return text
        come = self._held + text
        around = self._before + come
        is_open = False
        ends: list[tuple[int, str]] = []
        for start in range(len(self._before)):
            for stop in self._stops:
                if around.startswith(stop, start) and start + len(stop) > len(self._before):
                    ends.append((start + len(stop), stop))
                is_open = is_open or stop.startswith(around[start:])
        if ends:
            self._held, self.met = "", min(ends)[1]
            return ""
        self._is_near, self._held = is_open, come if is_open else ""
        return "" if is_open else come

    def end(self) -> str:
        """Return what was held back, where nothing follows."""
        held, self._held, self._is_near = self._held, "", False
        return held


class Regenerated:
    """The later attempt answers anew: it must begin with what has been sent, and the rest of it is new.

    Text and tool calls are compared character by character; names and order of calls too, not their ids, which stay those
    that were sent. Reasoning differs each time: what is new of it is told where it goes on as it began and nothing else had
    been sent, else none is.
    """

    met_stop = ""
    """Whoever answers anew sees the stop strings itself."""

    def __init__(self, sent: Answer) -> None:
        self._text = _Expected(sent.text)
        self._calls = {
            index: (call, _Expected(call.arguments_json)) for index, call in sent.tool_calls_by_index.items()
        }
        self._last_call = max(self._calls, default=-1)
        has_begun = bool(sent.text or self._calls)
        self._reasoning = None if has_begun else _Expected(sent.reasoning)
        self._held: list[ContentEvent] = []
        self._calls_to_come = set(self._calls)

    def take(self, content: Sequence[ContentEvent]) -> list[ContentEvent]:
        """Return what may be sent now; see the port."""
        for event in content:
            new = self._new_of(event)
            if new is not None:
                self._held.append(new)
        if self._waits():
            return []
        new, self._held = self._held, []
        return new

    def end(self) -> list[ContentEvent]:
        """Return nothing, or refuse; see the port."""
        if self._waits():
            raise _diverged()
        return []

    def _waits(self) -> bool:
        return bool(self._text.left or self._calls_to_come or any(left.left for _, left in self._calls.values()))

    def _new_of(self, event: ContentEvent) -> ContentEvent | None:
        if isinstance(event, TextDelta):
            text = self._text.beyond(event.text)
            if text and self._calls:
                # The text had ended where the calls began.
                raise _diverged()
            return msgspec.structs.replace(event, text=text) if text else None
        if isinstance(event, ReasoningDelta):
            return self._new_reasoning(event)
        if isinstance(event, ChoiceFinished | OpaqueDelta):
            raise _diverged()
        return self._new_of_call(event)

    def _new_reasoning(self, event: ReasoningDelta) -> ReasoningDelta | None:
        if self._reasoning is None:
            return None
        try:
            text = self._reasoning.beyond(event.text)
        except AttemptFailed:
            self._reasoning = None
            return None
        is_new = not self._reasoning.left and (text or event.signature or event.hidden or event.extra_json)
        return msgspec.structs.replace(event, text=text) if is_new else None

    def _new_of_call(self, event: ToolCallDelta) -> ToolCallDelta | None:
        if self._text.left:
            raise _diverged()
        found = self._calls.get(event.index)
        if found is None:
            return event
        sent, arguments = found
        self._calls_to_come.discard(event.index)
        if event.name and not _is_same(event, sent):
            raise _diverged()
        fragment = arguments.beyond(event.arguments_json_fragment)
        if not fragment:
            return None
        if event.index != self._last_call:
            # Another had begun after it, so it was complete.
            raise _diverged()
        return ToolCallDelta(index=event.index, arguments_json_fragment=fragment)


class _Expected:
    """A text that must come before anything new does."""

    __slots__ = ("_at", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    @property
    def left(self) -> bool:
        """Whether some of it has not come yet."""
        return self._at < len(self._text)

    def beyond(self, piece: str) -> str:
        """Return what of the next piece comes after it."""
        expected = self._text[self._at : self._at + len(piece)]
        if not piece.startswith(expected):
            raise _diverged()
        self._at += len(expected)
        return piece[len(expected) :]


def _is_same(event: ToolCallDelta, sent: ToolCall) -> bool:
    return event.name == sent.name and event.is_custom == sent.is_custom


def _diverged() -> AttemptFailed:
    return AttemptFailed(FailureKind.DIVERGED, "the new answer does not begin with what had been sent")
