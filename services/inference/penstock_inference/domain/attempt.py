"""One attempt at one candidate, from its first byte to its last."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence

from penstock_common.llm.types import ContentEvent, FinishReason, Usage
from penstock_common.telemetry.steps import Step, end
from penstock_inference.domain.catalogue import Model
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.upstream import Stopped, UpstreamEvent
from penstock_inference.domain.watchdog import Watchdog


class Attempt:
    """Reads one upstream's stream under its timers; keeps what is not content until the end."""

    __slots__ = ("_step", "_stream", "_watchdog", "model", "stopped", "usage")

    def __init__(
        self, model: Model, stream: AsyncGenerator[list[UpstreamEvent], None], watchdog: Watchdog, step: Step
    ) -> None:
        self.model = model
        self.stopped: Stopped | None = None
        self.usage: Usage | None = None
        self._stream = stream
        self._watchdog = watchdog
        self._step = step

    async def next_batch(self) -> Sequence[ContentEvent]:
        """Return the content of the next read; nothing at a whole answer's end.

        Raises:
            AttemptFailed: if the upstream failed, was silent, or ended without saying that it was done.
        """
        watchdog = self._watchdog
        # Once for all the reads until content comes: what else comes does not count.
        watchdog.wait()
        try:
            while not watchdog.expired:
                content = self._content_of(await self._stream.__anext__())
                if content:
                    watchdog.pause()
                    return content
        except StopAsyncIteration:
            return self._end()
        except BaseException:
            if not watchdog.ended_the_wait():
                raise
        raise watchdog.failure()

    def _end(self) -> Sequence[ContentEvent]:
        if self.stopped is None:
            raise AttemptFailed(FailureKind.CUT, "the stream ended without a finish reason")
        self._finish("answered")
        return ()

    def _content_of(self, batch: list[UpstreamEvent]) -> Sequence[ContentEvent]:
        content: list[ContentEvent] = []
        for event in batch:
            if isinstance(event, Stopped):
                self.stopped = event
            elif isinstance(event, Usage):
                self.usage = event
            else:
                content.append(event)
        return content

    def check_not_empty(self, stop_was_asked: bool) -> None:
        """Refuse an answer without content that no rule explains.

        A model may run out of tokens while it thinks, or meet a stop string at
        once; an upstream that says nothing at all and calls it an answer is broken.
        """
        stopped = self.stopped
        if stopped is None or stopped.reason is FinishReason.LENGTH or stopped.matched_stop or stop_was_asked:
            return
        if stopped.reason is FinishReason.CONTENT_FILTER:
            raise AttemptFailed(FailureKind.REFUSED, "the upstream's content filter refused")
        raise AttemptFailed(FailureKind.EMPTY, "the answer was empty")

    def first_content_came(self) -> None:
        """Record the time to the first token."""
        nanoseconds = time.time_ns() - self._step.start_ns
        self._step.attributes["time_to_first_token_ms"] = round(nanoseconds / 1e6, 3)

    def failed(self, failure: AttemptFailed) -> None:
        """Record how the attempt failed."""
        outcome = failure.kind.value if not failure.stage else f"{failure.kind.value}:{failure.stage}"
        self._finish(outcome, error=outcome)

    async def aclose(self) -> None:
        """Stop the timers and close the connection; one that still runs counts as cancelled."""
        self._watchdog.stop()
        if not self._step.end_ns:
            self._finish("cancelled", error="cancelled")
        await self._stream.aclose()

    def _finish(self, outcome: str, error: str = "") -> None:
        self._step.attributes["outcome"] = outcome
        end(self._step, error)
