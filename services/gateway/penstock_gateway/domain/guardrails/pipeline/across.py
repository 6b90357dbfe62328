"""Texts that a model reads as one though they were sent as parts: those of a turn, and of turns of one speaker in a row."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import msgspec

from penstock_common.llm.types import GenerationInput, Message, Role, Text
from penstock_gateway.domain.guardrails.pipeline.json_texts import replaced
from penstock_gateway.domain.guardrails.pipeline.rule import Found, Rule, Surface
from penstock_gateway.domain.guardrails.pipeline.texts import SURFACES

# What may stand between two parts, as models read them.
_BETWEEN = ("", " ")
# Around each border so much is looked at; what is looked for is shorter.
AROUND = 2048
# Each tool's result is a text of its own, and so are the turns of the assistant.
_GO_ON = frozenset({Role.USER, Role.SYSTEM, Role.DEVELOPER})
# Each part has its own length and language, and each text its own marks.
_OF_EACH = frozenset({"length", "language", "spotlight", "tools"})

Look = Callable[[Rule, str, Surface], Awaitable[Sequence[Found]]]


class Place(NamedTuple):
    """Where a text stands: its message, and its part of that."""

    message: int
    part: int


class Run(NamedTuple):
    """Texts in a row that are read as one."""

    surface: Surface
    places: list[Place]
    texts: list[str]

    def joined(self, between: str) -> tuple[str, list[int]]:
        """Return the texts as one, and where each begins."""
        starts, at = list[int](), 0
        for text in self.texts:
            starts.append(at)
            at += len(text) + len(between)
        return between.join(self.texts), starts


def runs_of(messages: Sequence[Message]) -> list[Run]:
    """Return the runs of two texts and more."""
    runs: list[Run] = []
    run, speaker = Run(Surface.INPUT, [], []), None
    for number, message in enumerate(messages):
        surface = SURFACES[message.role]
        goes_on = surface if message.role in _GO_ON else None
        if goes_on is None or goes_on is not speaker:
            run = Run(surface, [], [])
            runs.append(run)
        speaker = goes_on
        for at, part in enumerate(message.parts):
            if isinstance(part, Text) and part.text.strip():
                run.places.append(Place(number, at))
                run.texts.append(part.text)
    return [one for one in runs if len(one.texts) > 1]


def looks_across(rule: Rule) -> bool:
    """Return whether a rule looks at texts as one."""
    return rule.kind not in _OF_EACH


async def found_across(rule: Rule, run: Run, look: Look) -> tuple[str, list[Found]]:
    """Return the first way of reading a run as one in which a rule finds something that no text has alone."""
    for between in _BETWEEN:
        text, starts = run.joined(between)
        found: list[Found] = []
        for start, end in _windows(starts[1:], len(text)):
            looked = await look(rule, text[start:end], run.surface)
            moved = (one._replace(start=one.start + start, end=one.end + start) for one in looked)
            found += [one for one in moved if _is_across(one, starts[1:], len(between))]
        if found and (found := await _of_none(rule, run, starts, found, look)):
            return between, found
    return "", []


def _is_across(one: Found, borders: Sequence[int], between: int) -> bool:
    return any(one.start < border - between and border < one.end for border in borders)


async def _of_none(rule: Rule, run: Run, starts: list[int], found: list[Found], look: Look) -> list[Found]:
    """Return what was found that overlaps with nothing that a text has alone: that was seen to, or may stay."""
    for start, text in zip(starts, run.texts, strict=True):
        end = start + len(text)
        if any(one.start < end and start < one.end for one in found):
            own = [(one.start + start, one.end + start) for one in await look(rule, text, run.surface)]
            found = [one for one in found if not any(at < one.end and one.start < last for at, last in own)]
    return found


def _windows(borders: Sequence[int], length: int) -> list[tuple[int, int]]:
    """Return what is looked at: all around each border, what overlaps as one."""
    windows: list[tuple[int, int]] = []
    for border in borders:
        start, end = max(0, border - AROUND), min(length, border + AROUND)
        if windows and start <= windows[-1][1]:
            windows[-1] = (windows[-1][0], end)
        else:
            windows.append((start, end))
    return windows


def with_marks(run: Run, between: str, found: Sequence[Found]) -> Run:
    """Return the run with marks for what was found: each where its finding begins, and nothing of that in what follows."""
    _, starts = run.joined(between)
    texts: list[str] = []
    for start, own in zip(starts, run.texts, strict=True):
        end = start + len(own)
        cut = [
            Found(
                one.kind,
                max(one.start, start) - start,
                min(one.end, end) - start,
                one.mark if one.start >= start else "",
            )
            for one in found
            if one.start < end and start < one.end
        ]
        texts.append(replaced(own, cut))
    return run._replace(texts=texts)


def with_run(request: GenerationInput, run: Run) -> GenerationInput:
    """Return the request with the texts of a run as they are now."""
    messages = list(request.messages)
    for place, text in zip(run.places, run.texts, strict=True):
        message = messages[place.message]
        part = message.parts[place.part]
        if isinstance(part, Text) and part.text != text:
            # No provider takes an empty text.
            parts = [*message.parts]
            parts[place.part] = msgspec.structs.replace(part, text=text or " ")
            messages[place.message] = msgspec.structs.replace(message, parts=tuple(parts))
    return msgspec.structs.replace(request, messages=tuple(messages))


def replaced_by(run: Run, text: str) -> Run:
    """Return the run with one text in the place of all."""
    return run._replace(texts=[text, *[""] * (len(run.texts) - 1)])
