"""How long a model's answers usually are at a place, and how fast their tokens come once the first is there."""

from __future__ import annotations

_SAMPLES_TOLD = 5
"""What is told of it before that would be chance."""
_WEIGHT = 1 / 32
_MOST_TOKENS = 1_000_000
"""Of an answer; what says more has counted wrongly, and a mean would not forget it for a thousand answers."""
_TOKENS_TIMED = 8
"""Of shorter answers the time between tokens is that of a packet or two."""


class Pace:
    """Exponentially weighted means; the first answers count alike."""

    __slots__ = ("_answers", "_output_tokens", "_timed", "_token_seconds")

    def __init__(self) -> None:
        self._answers = 0
        self._output_tokens = 0.0
        self._timed = 0
        self._token_seconds = 0.0

    def observe(self, output_tokens: int, seconds: float | None, unseen_tokens: int = 0) -> None:
        """Note an answer: its tokens as the upstream counted, and the ``seconds`` after the first; None where it came whole.

        ``unseen_tokens`` of them, thoughts that are not shown, came before those seconds began.
        """
        if not 0 <= output_tokens <= _MOST_TOKENS:
            return
        self._answers += 1
        weight = 1 / self._answers if self._answers * _WEIGHT < 1 else _WEIGHT
        self._output_tokens += weight * (output_tokens - self._output_tokens)
        timed_tokens = output_tokens - unseen_tokens
        if seconds is None or timed_tokens < _TOKENS_TIMED:
            return
        self._timed += 1
        weight = 1 / self._timed if self._timed * _WEIGHT < 1 else _WEIGHT
        self._token_seconds += weight * (seconds / (timed_tokens - 1) - self._token_seconds)

    def usual_output_tokens(self) -> float | None:
        """Return the usual tokens of an answer; None where too few came."""
        return self._output_tokens if self._answers >= _SAMPLES_TOLD else None

    def usual_token_seconds(self) -> float | None:
        """Return the usual seconds from one token to the next; None where too few streamed answers came."""
        return self._token_seconds if self._timed >= _SAMPLES_TOLD else None
