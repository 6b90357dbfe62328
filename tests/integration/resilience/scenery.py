"""Configurations and theatres of the tests of recovery."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from penstock_common import errors
from penstock_common.testing.generations import GenerationCaller, Outcome
from penstock_faults.http.server import ScriptedUpstream
from penstock_faults.named import SEEN
from penstock_faults.stage import Stage
from penstock_faults.table import Mode, Row, Timer
from penstock_faults.verdict import Play, Sight

SHORT = "300ms"
# The first upstream's, where a row waits for one: it never sends what the timer waits for.
_TIMEOUTS = {
    None: {},
    Timer.FIRST_TOKEN: {"first_token": SHORT, "whole": SHORT},
    Timer.IDLE: {"idle": SHORT, "whole": SHORT},
}
_CODES = {
    errors.RateLimited: "rate_limit_exceeded",
    errors.UpstreamFailed: "upstream_failed",
    errors.UpstreamTimeout: "upstream_timeout",
    errors.ContextLengthExceeded: "context_length_exceeded",
    errors.ContentRefused: "content_policy_violation",
}


def upstream_settings(
    name: str, row: Row | None = None, *, prefill: bool = True, provider: str = "openai_compatible"
) -> dict[str, Any]:
    """The entry of an upstream whose window is the larger the later its name."""
    timer = row.timer if row is not None and name == "first" else None
    window = {"first": 4096, "second": 131_072}[name]
    capabilities = ["chat", "prefill"] if prefill else ["chat"]
    price = {"input": 1, "output": 2}
    model = {"name": f"{name}-model", "context_window": window, "capabilities": capabilities, "price": price}
    return {
        "name": name, "provider": provider, "base_url": "http://127.0.0.1:9/v1", "api_key": "sk-ours",
        "models": [model], "timeouts": _TIMEOUTS[timer],
    }  # fmt: skip


def document_for(row: Row | None = None, *, prefill: bool = True) -> dict[str, Any]:
    """A configuration as short as it gets: every setting that is not there has its default."""
    return {
        "upstreams": [
            upstream_settings("first", row, prefill=prefill),
            upstream_settings("second", row, prefill=prefill),
        ],
        "models": [
            {"name": "two", "candidates": ["first/first-model", "second/second-model"]},
            {"name": "one", "candidates": ["first/first-model"]},
        ],
        # Machines that run tests stall for longer than any role would.
        "gateway": {"router_timeout": "30s", "key_lookup_timeout": "30s"},
    }


@dataclass
class InferenceTheatre:
    """An inference service over a socket, its upstreams scripted."""

    caller: GenerationCaller
    stage: Stage
    servers: dict[str, ScriptedUpstream]

    async def play(self, row: Row, mode: Mode, *candidates: str) -> Play:
        """One request, and what became of it."""
        outcome = await self.ask(mode, *candidates)
        if row.cancelled:
            for seen in self.servers["first"].record.requests:
                await asyncio.wait_for(seen.left.wait(), 30)
        asked = {
            f"{upstream}/{model}": self.servers[upstream].record.requests for upstream, model in self.stage.candidates
        }
        return Play(row=row, mode=mode, sight=sight_of(outcome), alone=len(candidates) == 1, asked=asked)

    async def ask(self, mode: Mode, *candidates: str) -> Outcome:
        if mode is Mode.WHOLE:
            self.stage.gates.open(SEEN)

        def seen(answer):
            if answer.text:
                self.stage.gates.open(SEEN)

        return await self.caller.ask(*candidates, seen=seen, whole=mode is Mode.WHOLE)


def sight_of(outcome: Outcome) -> Sight:
    """What the service's caller saw, in the words of the wire format."""
    answer, error = outcome.answer, outcome.error
    retry_after = getattr(error, "retry_after", None)
    return Sight(
        text=answer.text,
        complete=answer.finished is not None,
        finish_reason=answer.finished.reason.value if answer.finished is not None else "",
        output_tokens=answer.usage.output_tokens if answer.usage is not None else None,
        error_code=_CODES.get(type(error), type(error).__name__) if error is not None else "",
        error_message=str(error or ""),
        retry_after_seconds=retry_after.total_seconds() if retry_after is not None else None,
        answered_by=answer.started.answered_by.upstream if answer.started is not None else "",
    )
