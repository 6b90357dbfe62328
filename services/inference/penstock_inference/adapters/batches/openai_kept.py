"""An answer of a batch, told as one that has just come."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from penstock_common.contract.upstream_batches import BATCH_TIER, KeptAnswer
from penstock_inference.adapters.providers.http.answer import SUCCESSES
from penstock_inference.adapters.providers.http.errors import failure_of_response
from penstock_inference.adapters.providers.openai.choices import ChoicesReader, are_asked_for
from penstock_inference.adapters.providers.openai.reader import whole_answer
from penstock_inference.domain.upstream import Stopped, UpstreamAnswer, UpstreamCall, UpstreamEvent


class KeptCompletions:
    """Implements ``Upstream``: whoever asks is told the one answer."""

    def __init__(self, kept: KeptAnswer) -> None:
        self._kept = kept

    def ask(self, call: UpstreamCall) -> UpstreamAnswer:
        """Return the answer; see the port."""
        call.whole_expected()
        call.headers_received()
        return KeptCompletion(self._kept, call)


class KeptCompletion:
    """Implements ``UpstreamAnswer``."""

    def __init__(self, kept: KeptAnswer, call: UpstreamCall) -> None:
        self.ended = False
        self.sent = False
        self.unread_bytes = 0
        self.dropped: tuple[str, ...] = ()
        self._kept = kept
        self._call = call

    async def read(self) -> Sequence[UpstreamEvent]:
        """Return all of it; see the port."""
        if self.ended:
            return ()
        kept, value = self._kept, self._call.input
        if kept.status not in SUCCESSES:
            raise failure_of_response(kept.status, {}, kept.body)
        # It has been answered, and is owed for, whatever it is.
        self.sent, self.unread_bytes = True, len(kept.body)
        events = whole_answer(kept.body, ChoicesReader(value) if are_asked_for(value) else None)
        self.ended = True
        return [_at_its_price(event) for event in events]

    async def aclose(self) -> None:
        """Do nothing: nothing was opened."""


def _at_its_price(event: UpstreamEvent) -> UpstreamEvent:
    return msgspec.structs.replace(event, service_tier=BATCH_TIER) if isinstance(event, Stopped) else event
