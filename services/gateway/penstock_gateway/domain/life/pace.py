"""How fast a kept answer is told again."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from penstock_common.llm.estimate import BYTES_PER_TOKEN
from penstock_common.llm.types import Batch, GenerationEvent, ReasoningDelta, TextDelta

# A reader's eye takes no more pieces a second for a flow.
_PIECES_PER_SECOND = 20.0


class Pace(msgspec.Struct, frozen=True):
    """So many tokens a second, as far as tokens can be told from text: in pieces, the first of them at once."""

    tokens_per_second: float

    @property
    def seconds(self) -> float:
        """What lies between two pieces."""
        return max(1 / _PIECES_PER_SECOND, 1 / self.tokens_per_second)

    def batches(self, events: Batch) -> Iterator[Batch]:
        """Yield the events in pieces; what is no text goes along with the piece after it."""
        characters = max(1, round(self.tokens_per_second * self.seconds * BYTES_PER_TOKEN))
        waiting: list[GenerationEvent] = []
        for event in events:
            if isinstance(event, TextDelta | ReasoningDelta) and len(event.text) > characters:
                *pieces, last = _pieces(event, characters)
                for piece in pieces:
                    yield (*waiting, piece)
                    waiting = []
                waiting.append(last)
            else:
                waiting.append(event)
            if isinstance(event, TextDelta | ReasoningDelta):
                yield tuple(waiting)
                waiting = []
        if waiting:
            yield tuple(waiting)


def _pieces(event: TextDelta | ReasoningDelta, characters: int) -> Iterator[TextDelta | ReasoningDelta]:
    """Yield a delta as several; what it has beside its text belongs to its end."""
    text = event.text
    at = 0
    while at + characters < len(text):
        piece = text[at : at + characters]
        if isinstance(event, TextDelta):
            yield TextDelta(text=piece, choice=event.choice, is_refusal=event.is_refusal)
        else:
            yield ReasoningDelta(text=piece, choice=event.choice, origin=event.origin)
        at += characters
    yield msgspec.structs.replace(event, text=text[at:])
