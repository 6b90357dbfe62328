"""The wire form of a request's input, made once for all the services that get it."""

from __future__ import annotations

from contextvars import ContextVar

from penstock.llm.v1 import generation_pb2
from penstock_common.llm.convert import input_to_proto
from penstock_common.llm.types import GenerationInput


class WireInputs:
    """Remembers the current request's wire form: cache, router and inference get the same message.

    Value and message are both immutable by contract, so sharing is safe.
    """

    def __init__(self) -> None:
        self._last: ContextVar[tuple[GenerationInput, generation_pb2.GenerationInput] | None] = ContextVar(
            "penstock_wire_input", default=None
        )

    def of(self, request: GenerationInput) -> generation_pb2.GenerationInput:
        """Return the wire form of ``request``."""
        last = self._last.get()
        if last is not None and last[0] is request:
            return last[1]
        message = input_to_proto(request)
        self._last.set((request, message))
        return message
