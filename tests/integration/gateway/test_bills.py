"""The ledger beside the bills of scripted providers: the same tokens, and the same nano-dollars.

What a provider bills is reckoned with fractions from the datasheet as it is written, by nothing that Penstock reckons with.
``make bills`` asks 10,000 times.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from math import floor
from pathlib import Path

import sqlalchemy as sa
import yaml

from penstock_common.configuration import Configuration
from penstock_common.datasheet.described import described
from penstock_common.llm.types import (
    Candidate,
    FinishReason,
    GenerationInput,
    Message,
    Plan,
    Role,
    Text,
    TextDelta,
    Usage,
)
from penstock_common.sql.database import open_database
from penstock_common.sql.schema import upgrade
from penstock_common.telemetry.steps import Steps
from penstock_gateway.adapters.sql.ledger import writing_ledger
from penstock_gateway.adapters.sql.schema import GATEWAY
from penstock_gateway.adapters.sql.tables import ledger
from penstock_gateway.domain.life.progress import Progress
from penstock_gateway.domain.life.settlement import LedgerRow
from penstock_inference.configured import catalogue_from
from penstock_inference.domain.batches import Batches
from penstock_inference.domain.endpoint import Endpoint
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.generation import Generation, GenerationParts
from penstock_inference.domain.pool import Pool
from penstock_inference.domain.upstream import Stopped, UpstreamCall, UpstreamEvent
from penstock_inference.settings import Settings

REQUESTS = int(os.environ.get("PENSTOCK_BILLS", "500"))
SEED = 20261130
SHEET = """
models:
  - name: plain
    source: here
    price: {input: 0.15, cached_input: 0.075, output: 0.60}
  - name: written
    source: here
    price: {input: 3, cached_input: 0.30, cache_write: 3.75, cache_write_1h: 6, output: 15}
    service_tiers:
      flex: {input: 1.5, cached_input: 0.15, cache_write: 1.875, cache_write_1h: 3, output: 7.5}
      priority: {input: 6, cached_input: 0.60, output: 30}
      batch: {input: 1.5, output: 7.5}
  - name: long
    source: here
    price:
      input: 1.25
      cached_input: 0.125
      output: 10
      steps:
        - {above_input_tokens: 200000, input: 2.5, cached_input: 0.25, output: 15}
        - {above_input_tokens: 500000, input: 5, output: 20}
  - name: long-when-fresh
    source: here
    price:
      input: 2
      output: 12
      steps: [{above_input_tokens: 100000, counts_cached: false, input: 4, output: 18}]
    price_ratios: {cached_input: 0.1, cache_write: 1.25}
  - name: by-ratios
    source: here
    price: {input: 4, cached_input: 0.20, output: 20}
    price_ratios: {cache_write: 1.25, cache_write_1h: 2}
  - name: odd
    source: here
    price: {input: 0.123456789, cached_input: 0.000000001, cache_write: 0.987654321, output: 7.000000003}
  - name: free
    source: here
    price: {input: 0, output: 0}
  - name: unpriced
    source: here
    price: {input: 4}
"""
BY_NAME = {entry["name"]: entry for entry in yaml.load(SHEET, yaml.BaseLoader)["models"]}  # noqa: S506 - texts alone
KINDS = ("input", "cached_input", "cache_write", "cache_write_1h", "output")
ANSWER = "An answer."


def bill(name: str, tier: str, usage: Usage) -> int | None:
    """Return what the provider bills, in nano-dollars, None where the sheet has no whole price."""
    entry = BY_NAME[name]
    price = entry["service_tiers"][tier] if tier else entry["price"]
    if "output" not in price:
        return None
    row = dict(price)
    counted_all, counted_fresh = usage.input_tokens, usage.input_tokens - usage.cached_input_tokens
    for step in price.get("steps", []):
        counted = counted_fresh if step.get("counts_cached") == "false" else counted_all
        if counted > int(step["above_input_tokens"]):
            row = {**price, **step}
            if "input" in step:
                row = {**row, **{kind: step.get(kind) for kind in entry.get("price_ratios", {}) if kind not in step}}
    usd = {kind: Fraction(row[kind]) for kind in KINDS if row.get(kind) is not None}
    for kind, ratio in entry.get("price_ratios", {}).items():
        usd.setdefault(kind, usd["input"] * Fraction(ratio))
    usd.setdefault("cached_input", usd["input"])
    usd.setdefault("cache_write", usd["input"])
    usd.setdefault("cache_write_1h", usd["cache_write"])
    for_an_hour = usage.cache_write_1h_input_tokens
    for_less = usage.cache_write_input_tokens - for_an_hour
    fresh = usage.input_tokens - usage.cached_input_tokens - usage.cache_write_input_tokens
    counts = dict(
        zip(KINDS, (fresh, usage.cached_input_tokens, for_less, for_an_hour, usage.output_tokens), strict=True)
    )
    total = sum((usd[kind] * count for kind, count in counts.items()), Fraction(0)) * 1000
    return floor(total + Fraction(1, 2))


@dataclass
class Asked:
    """One request, how its provider behaves, and what it bills for that."""

    name: str
    usage: Usage
    asked_tier: str = ""
    answered_tier: str = ""
    ends: str = "whole"
    """Or ``left``: the caller leaves; or ``broken``: another model makes it whole."""
    other: Usage = field(default_factory=Usage)

    @property
    def billed(self) -> int | None:
        """What all of it costs."""
        tier = self.answered_tier if self.ends == "whole" and self.answered_tier else self.asked_tier
        parts = [bill(self.name, "" if tier == "default" else tier, self.usage)]
        if self.ends == "broken":
            parts.append(bill("plain", "", self.other))
        return None if None in parts else sum(part for part in parts if part is not None)


class Provider:
    """Answers as the request says that it is asked for with, by the number in its text."""

    def __init__(self, requests: Sequence[Asked]) -> None:
        self._requests = requests

    def ask(self, call: UpstreamCall) -> Answer:
        part = call.input.messages[0].parts[0]
        assert isinstance(part, Text)
        asked = self._requests[int(part.text)]
        is_other = asked.ends == "broken" and call.model == "plain-of-others"
        usage, end = (asked.other, "whole") if is_other else (asked.usage, asked.ends)
        return Answer(usage, end, asked.answered_tier)


class Answer:
    """One answer."""

    sent = True
    unread_bytes = 0
    dropped: tuple[str, ...] = ()

    def __init__(self, usage: Usage, ends: str, tier: str) -> None:
        self.ended = False
        self._ends = ends
        self._reads: list[list[UpstreamEvent]] = [[TextDelta(text=ANSWER), usage]]
        if ends == "whole":
            self._reads.append([Stopped(FinishReason.STOP, service_tier=tier)])

    async def read(self) -> Sequence[UpstreamEvent]:
        if self._reads:
            return self._reads.pop(0)
        if self._ends == "left":
            await asyncio.Event().wait()
        if self._ends == "broken":
            raise AttemptFailed(FailureKind.CUT, "the connection ended")
        self.ended = True
        return ()

    async def aclose(self) -> None:
        """Nothing is open."""


def some_usage(chance: random.Random) -> Usage:
    """Return tokens of every kind, many of them near the steps."""
    most = chance.choice([10, 1_000, 99_999, 200_000, 500_000, 900_000])
    total = max(1, chance.choice([most, most + 1, chance.randint(1, most)]))
    cached = chance.choice([0, 0, chance.randint(0, total)])
    written = chance.choice([0, chance.randint(0, total - cached)])
    for_an_hour = chance.choice([0, written, chance.randint(0, written)])
    output = chance.randint(len(ANSWER), 100_000)
    return Usage(
        input_tokens=total,
        cached_input_tokens=cached,
        cache_write_input_tokens=written,
        cache_write_1h_input_tokens=for_an_hour,
        output_tokens=output,
        reasoning_tokens=chance.randint(0, output),
    )


def some_request(chance: random.Random) -> Asked:
    """Return a request of any kind."""
    name = chance.choice([*BY_NAME])
    ends = chance.choices(["whole", "left", "broken"], [8, 1, 1])[0]
    asked = Asked(name, some_usage(chance), ends=ends, other=some_usage(chance))
    tiers = [*BY_NAME[name].get("service_tiers", {})]
    if tiers and ends != "broken":
        asked.asked_tier = chance.choice(["", *tiers])
        asked.answered_tier = chance.choice(["", "default", *tiers])
    return asked


def configured(sheet: Path) -> Settings:
    """Return the settings of an upstream with all the models, and of another that makes good what broke."""
    models = [{"name": name, "context_window": 2_000_000} for name in BY_NAME]
    others = [{"name": "plain-of-others", "base_model": "plain", "context_window": 2_000_000}]
    common = {"provider": "openai_compatible", "base_url": "http://127.0.0.1:9/v1"}
    upstreams = [{"name": "first", "models": models, **common}, {"name": "others", "models": others, **common}]
    return described(Configuration({"upstreams": upstreams, "datasheets": [str(sheet)]})).settings(Settings)


async def settled(parts: GenerationParts, number: int, asked: Asked) -> LedgerRow:
    """Return the row that a request leaves."""
    candidates = [Candidate(upstream="first", model=asked.name)]
    if asked.ends == "broken":
        candidates.append(Candidate(upstream="others", model="plain-of-others"))
    turn = Message(role=Role.USER, parts=(Text(text=str(number)),))
    extra = f'{{"service_tier":"{asked.asked_tier}"}}' if asked.asked_tier else ""
    value = GenerationInput(model="any", messages=(turn,), extra_json=extra)
    steps, progress = Steps([]), Progress()
    batches = Batches(Generation(value, Plan(candidates=tuple(candidates))), parts, steps)
    try:
        async for batch in batches:
            progress.note(batch)
            if asked.ends == "left":
                break
    finally:
        await batches.aclose()
    if progress.finished is None:
        progress.note_ended(steps.recorded)
    owed = progress.bill(value)
    return LedgerRow(
        generation_id=str(number),
        request_id="r",
        created_at=datetime(2026, 11, 30, tzinfo=UTC),
        tenant="t",
        key_id="k",
        surface="grpc",
        requested_model="any",
        outcome="ok",
        usage=owed.usage,
        unit_prices=owed.unit_prices,
        cost_nano_usd=owed.cost_nano_usd,
    )


async def test_the_ledger_says_what_the_providers_bill(database_url, tmp_path):
    sheet = tmp_path / "sheet.yaml"
    sheet.write_text(SHEET)
    chance = random.Random(SEED)  # noqa: S311 - makes requests
    requests = [some_request(chance) for _ in range(REQUESTS)]
    provider = Provider(requests)
    pools = {name: Pool([Endpoint(provider)]) for name in ("first", "others")}
    parts = GenerationParts(pools, catalogue_from(configured(sheet)))
    async with open_database(database_url) as engine:
        await upgrade(engine, GATEWAY)
        async with writing_ledger(engine, REQUESTS) as writer:
            for number, asked in enumerate(requests):
                writer.append(await settled(parts, number, asked))
        async with engine.connect() as connection:
            found = {int(row["generation_id"]): row for row in (await connection.execute(sa.select(ledger))).mappings()}
    assert len(found) == REQUESTS
    for number, asked in enumerate(requests):
        row, answered = found[number], asked.other if asked.ends == "broken" else asked.usage
        told = {name: row[name] for name in TOKENS}
        assert told == {name: getattr(answered, name) for name in TOKENS}, asked
        assert (None if row["cost_unknown"] else row["cost_nano_usd"]) == asked.billed, asked
    priced = [row for row in found.values() if not row["cost_unknown"]]
    assert sum(row["cost_nano_usd"] for row in priced) == sum(asked.billed or 0 for asked in requests)
    assert 0 < len(priced) < REQUESTS


TOKENS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_input_tokens",
    "cache_write_1h_input_tokens",
    "output_tokens",
)
