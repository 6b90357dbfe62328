"""A conversation in the terminal."""

from __future__ import annotations

import msgspec


class Turn(msgspec.Struct, frozen=True):
    """What one side said; ``role`` is user or assistant."""

    role: str
    text: str


class Piece(msgspec.Struct, frozen=True):
    """Some more of an answer; ``is_reasoning`` where the model thinks before it answers."""

    text: str
    is_reasoning: bool = False


class AnswerEnd(msgspec.Struct, frozen=True, kw_only=True):
    """How an answer ended. Unit of the counts: tokens."""

    model: str
    upstream: str
    finish_reason: str
    input_tokens: int
    output_tokens: int
    cost_nano_usd: int
