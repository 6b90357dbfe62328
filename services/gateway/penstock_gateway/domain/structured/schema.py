"""What a schema says of a text. The port; who knows JSON Schema implements it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from penstock_common.llm.types import ResponseFormat


class Problem(NamedTuple):
    """Why a text is not what was asked for."""

    is_json: bool
    """Whether it is JSON, which the schema does not accept."""
    told: str
    """The first fault, for the model; it quotes the text, so nobody else is shown it."""

    @property
    def kind(self) -> str:
        """A word for metrics and traces."""
        return "schema" if self.is_json else "not_json"


class Schema(Protocol):
    """One schema, ready."""

    def problem(self, text: str) -> Problem | None:
        """Return what is wrong with a whole text; None: nothing.

        Raises:
            TooMuch: if it would take too long to say.
        """
        ...

    def is_lost(self, beginning: str) -> bool:
        """Return whether no text that begins so can be accepted, as far as that is easily seen."""
        ...


MakeSchema = Callable[[ResponseFormat], Schema | None]
"""Returns the schema of a format; None where it cannot be checked: it is no valid one, or refers to what is not in it."""


def unfenced(text: str) -> str:
    """Return what stands in a text that is one fenced block of Markdown; the text itself where it is none."""
    stripped = text.strip()
    lines: Sequence[str] = stripped.split("\n")
    is_fenced = bool(lines[2:]) and lines[0].startswith("```") and lines[-1].strip() == "```"
    return "\n".join(lines[1:-1]) if is_fenced and "```" not in lines[0][3:] else text
