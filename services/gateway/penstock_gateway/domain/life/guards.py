"""What may go to a model and what may come back.

A guard of the input is a step on the way to the effective input; it may redact,
or refuse. A guard of the output takes a stream and gives one: it may hold events
back until it has seen enough, change them, and say its last word when the answer
ends. The cache keeps what the source gave, and replays pass the guards, too: the
rules of now hold for an answer of then.
"""

from __future__ import annotations

from typing import Protocol

from penstock_gateway.domain.life.order import Call, ChatOrder
from penstock_gateway.domain.life.ports import AnswerStream


class OutputGuard(Protocol):
    """Stands between an answer and whoever reads it."""

    def watch(self, answer: AnswerStream, call: Call[ChatOrder]) -> AnswerStream:
        """Return what the caller may see of ``answer``, in the contract's order; closing it closes ``answer``.

        Reading it raises the domain error that ends the answer, where the guard ends it.
        """
        ...
