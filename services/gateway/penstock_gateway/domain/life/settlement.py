"""What a request leaves behind: one ledger row, exactly once, whatever ended it."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Protocol

import msgspec

from penstock_common.errors import Overloaded, PenstockError
from penstock_common.llm.types import UnitPrices, Usage

OK = "ok"
CANCELLED = "cancelled"
WORKER_LOST = "worker_lost"
"""Of a job's attempt whose process died: what it has cost is known as far as it was told."""
OVERLOADED = "overloaded"

REPORTED, COUNTED, ESTIMATED = "reported", "counted", "estimated"
"""How the tokens of a row are known: the upstream said so, they were counted by the model's own tokenizer, or guessed."""


class Part(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What part a request has in an experiment; none where ``experiment`` is empty.

    ``unit`` stands for whom the variant stays with. Of a ``shadow`` the answer was given to nobody.
    """

    experiment: str = ""
    variant: str = ""
    phase: str = ""
    unit: str = ""
    shadow: bool = False

    def __str__(self) -> str:
        """Return it as a header says it."""
        return f"{self.experiment}={self.variant}"


NO_PART = Part()


class LedgerRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One request's bill. ``generation_id`` makes writing it idempotent; ``request_id`` may be the caller's own.

    ``outcome`` is ok, cancelled, or the snake-case name of the error. ``degraded`` is the kind of what was given in the
    place of the model's own answer, empty where it was that. What a hit ``saved`` is what the answer cost when it was made.
    ``task`` is what the router took the request for, and ``cache_entry`` what a hit was given from, by meaning.
    ``compressed_tokens`` is by how much less of its context the model was to read. ``user_id`` is the key's or the token's,
    where ``user`` is what the request said. ``usage_source`` is reported, counted or estimated; empty: as the usage has it.
    ``stopped_by`` is what cut an answer short, such as ``budget``. ``reserved_nano_usd`` is what was expected of it,
    and ``operation`` what was asked for: chat, embeddings or search. Where a ``job`` asked, it is that one's ``attempt``.
    ``guardrails`` is what rules have said, a JSON array, or empty.
    """

    generation_id: str
    request_id: str
    created_at: datetime
    tenant: str
    key_id: str
    surface: str
    requested_model: str
    outcome: str
    upstream: str = ""
    model: str = ""
    finish_reason: str = ""
    cache_status: str = ""
    usage: Usage = Usage()
    unit_prices: UnitPrices = UnitPrices()
    cost_nano_usd: int = 0
    attempts: int = 0
    time_to_first_token_ms: float | None = None
    duration_ms: float = 0.0
    overhead_ms: float = 0.0
    user: str = ""
    feature: str = ""
    tags: dict[str, str] = {}
    degraded: str = ""
    saved_tokens: int = 0
    saved_nano_usd: int = 0
    prompt: str = ""
    prompt_version: int = 0
    task: str = ""
    cache_entry: str = ""
    part: Part = NO_PART
    compressed_tokens: int = 0
    team: str = ""
    user_id: str = ""
    usage_source: str = ""
    stopped_by: str = ""
    reserved_nano_usd: int = 0
    operation: str = ""
    job: str = ""
    attempt: int = 0
    guardrails: str = ""


class Ledger(Protocol):
    """Takes rows at once and makes them durable soon."""

    def append(self, row: LedgerRow) -> None:
        """Take a row. It is durable within the writer's batching time."""
        ...

    def check_room(self) -> None:
        """Raise TurnedAway while rows cannot be written and the queue is full: money is never lost."""
        ...


def outcome_of(error: BaseException | None) -> str:
    """Return the ledger's word for how a request ended."""
    if error is None:
        return OK
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return CANCELLED
    if isinstance(error, Overloaded):
        # One word for whoever's overload it was, as callers read one code.
        return OVERLOADED
    if isinstance(error, PenstockError):
        name = type(error).__name__
        return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
    return "internal_error"
