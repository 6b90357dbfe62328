"""What a look at a text tells: where it entered, what was found, where, and why."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Surface(StrEnum):
    """Where a text enters."""

    USER = "user"
    DOCUMENT = "document"
    TOOL_OUTPUT = "tool_output"
    OUTPUT = "output"
    """The model's own answer."""


class Kind(StrEnum):
    """What a finding is."""

    OVERRIDE = "override"
    """Instructions of the operator are to be dropped or replaced."""
    EXTRACTION = "prompt_extraction"
    """The instructions are to be told."""
    JAILBREAK = "jailbreak"
    """A part, a mode or a premise under which no rules hold."""
    INDIRECT = "indirect"
    """A document or a tool's result speaks to the model."""
    TOOL_ABUSE = "tool_abuse"
    """Tools are to be used for what nobody asked for, or secretly."""
    DELIMITER = "delimiter_spoof"
    """A text pretends to end, and another part to begin."""
    CHAT_TEMPLATE = "chat_template"
    """Tokens by which models tell turns apart."""
    EXFILTRATION = "exfiltration"
    """An image, a link or a frame carries data away."""
    HIDDEN_TEXT = "hidden_text"
    """Text that a person does not see."""
    SPLIT = "split_payload"
    """A sentence in pieces, to be put together and obeyed."""
    LEAK = "prompt_leak"
    """An answer tells the instructions."""
    BROKEN_PERSONA = "broken_persona"
    """An answer speaks as one that has no rules."""
    LEARNED = "learned"
    """No rule says so: the text is like those that the classifier was trained on."""


class Finding(NamedTuple):
    """One thing that was found. ``start`` and ``end`` are code points of the text as it was given.

    ``decoded`` names what was undone to see it (such as base64), or is empty.
    """

    kind: Kind
    rule: str
    start: int
    end: int
    reason: str
    decoded: str = ""


class Verdict(NamedTuple):
    """What a text is taken for. ``score`` is in [0, 1]; ``is_attack`` says that it reached the threshold."""

    is_attack: bool
    score: float
    findings: tuple[Finding, ...]
    version: str
