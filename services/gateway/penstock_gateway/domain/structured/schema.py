"""What a schema says of a text. The port; who knows JSON Schema implements it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import NamedTuple, Protocol

from penstock_common.llm.types import ResponseFormat


class Problem(NamedTuple):
    """Why a text is not what was asked for."""

    is_json: bool
    """Whether it is JSON, which the schema does not accept."""
    told: str
    """The first fault, for the model; it quotes the text, so nobody else is shown it."""
    rule: str = ""
    """The guardrail that wants another answer; empty: the schema does."""

    @property
    def kind(self) -> str:
        """A word for metrics and traces."""
        if self.rule:
            return f"guardrail:{self.rule}"
        return "schema" if self.is_json else "not_json"


class Schema(Protocol):
    """One schema, ready."""

    def problem(self, text: str) -> Problem | None:
        """Return what is wrong with a whole text; None: nothing.

        Raises:
            TooMuch: if it would take too long to say.
        """
        ...

    def fitted(self, text: str) -> str | None:
        """Return JSON with numbers and truth values that stand in quotes out of them; None where it is not accepted then either.

        Raises:
            TooMuch: if it would take too long to say.
        """
        ...

    def is_lost(self, beginning: str) -> bool:
        """Return whether no text that begins so can be accepted, as far as that is easily seen."""
        ...


MakeSchema = Callable[[ResponseFormat], Schema | None]
"""Returns the schema of a format; None where it cannot be checked: it is no valid one, or refers to what is not in it."""


def bared(text: str) -> str:
    """Return the JSON that stands in a text between words or in a fence of Markdown; the text itself where none does."""
    at = -1
    for _ in range(_MOST_TRIES):
        found = _BEGINS.search(text, at + 1, LONGEST_PREFACE + 1)
        if found is None:
            return text
        at = found.start()
        try:
            _, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            continue
        return text[at:end]
    return text


def behind_thoughts(text: str) -> str | None:
    """Return what a text says behind the thoughts that it begins with, as ``<think>``; None as long as they go on.

    They may hold JSON, such as a draft, and be of any length: nothing in them is the answer. A text without any is itself.
    """
    begun = _THINKS.match(text)
    if begun is None:
        return text
    end = text.find(f"</{begun[1]}>", begun.end())
    return None if end < 0 else text[end + len(begun[1]) + len("</>") :]


def begins(text: str) -> int:
    """Return where the JSON of a text may begin, behind what is said before it; negative: nowhere."""
    found = _BEGINS.search(text, 0, LONGEST_PREFACE + 1)
    return -1 if found is None else found.start()


LONGEST_PREFACE = 240
"""Characters before the JSON that are looked over."""
_MOST_TRIES = 4
_BEGINS = re.compile(r"[{\[]")
_THINKS = re.compile(r"\s*<(think|thinking|thought|reasoning)>")
_DECODER = json.JSONDecoder()
