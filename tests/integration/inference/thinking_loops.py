"""Callers of OpenAI's format whose tools a thinking model calls in loops, from their request's bytes to a vendor's socket."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from penstock_common.http.client import HttpClient
from penstock_common.llm.events import Answer
from penstock_common.llm.types import Candidate, Plan
from penstock_common.rpc.scope import CURRENT_SCOPE, RequestScope
from penstock_common.telemetry.steps import Step, Steps
from penstock_common.testing.openai_upstream import OpenAIUpstream
from penstock_gateway.surfaces.wire_formats.format import USUAL_FORM
from penstock_gateway.surfaces.wire_formats.openai.chat.parse import parse_chat_request
from penstock_gateway.surfaces.wire_formats.openai.chat.render import ChunkRenderer, render_whole
from penstock_inference.adapters.providers.anthropic.client import AnthropicUpstream
from penstock_inference.adapters.providers.anthropic.request import Options
from penstock_inference.domain.batches import Batches
from penstock_inference.domain.catalogue import Catalogue, Model
from penstock_inference.domain.endpoint import Endpoint
from penstock_inference.domain.generation import AttemptObserver, Generation, GenerationParts, NobodyHears, Pauses
from penstock_inference.domain.health.registry import Health
from penstock_inference.domain.model_facts import ModelFacts
from penstock_inference.domain.pool import Pool
from penstock_inference.domain.reasoning.kept import KeptReasoning

TOOLS = [
    {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"z": {}, "a": {}}}}},
    {"type": "function", "function": {"name": "g", "parameters": {"type": "object"}}},
]


async def _at_once(_: float) -> None:
    """Wait for nothing."""


@dataclass
class Service:
    """An attempt loop before vendors: ``accounts`` of each upstream with their servers, and the one model of each."""

    client: HttpClient
    upstreams: Mapping[str, Mapping[str, OpenAIUpstream]]
    models: Mapping[str, str]
    facts: Mapping[str, ModelFacts]
    kept: KeptReasoning = field(default_factory=KeptReasoning)
    observer: AttemptObserver = field(default_factory=NobodyHears)

    def __post_init__(self) -> None:
        self.health = Health()
        pools = {name: self._pool(name, accounts) for name, accounts in self.upstreams.items()}
        self.candidates = [Candidate(upstream=name, model=self.models[name]) for name in self.upstreams]
        catalogue = Catalogue(
            Model(each, facts=self.facts.get(each.upstream, ModelFacts())) for each in self.candidates
        )
        pauses = Pauses(chance=lambda: 0.5, sleep=_at_once)
        self.parts = GenerationParts(pools, catalogue, pauses, self.observer, reasoning=self.kept)

    def _pool(self, name: str, accounts: Mapping[str, OpenAIUpstream]) -> Pool:
        options = Options("2023-06-01", (), 1024, None, passthrough=False, service_tiers=False)
        endpoints = [
            Endpoint(
                AnthropicUpstream(self.client, server.base_url, ("x-api-key", f"sk-{account}"), options),
                f"{name}#{account}",
                account=account if len(accounts) > 1 else "",
            )
            for account, server in accounts.items()
        ]
        return Pool(endpoints, self.health.upstream(name), takes_reasoning=True)


@dataclass
class Told:
    """What one request brought."""

    message: dict[str, Any]
    dropped: tuple[str, ...]
    steps: list[Step]

    @property
    def asked(self) -> list[str]:
        """Who was asked, in order, and how each ended."""
        return [f"{step.attributes['upstream']} {step.attributes['outcome']}" for step in self.steps]


@dataclass
class Conversation:
    """One caller's: ``streams`` and ``carries`` thinking blocks, or sends back the calls and their ids alone."""

    service: Service
    name: str
    streams: bool = True
    carries: bool = False
    tenant: str = "acme"
    messages: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    told: list[Told] = field(default_factory=list[Told])

    def ask(self, text: str) -> None:
        """Say something."""
        self.messages.append({"role": "user", "content": text})

    async def step(self) -> bool:
        """Ask once, and run the tools; return whether the model wants to hear of them."""
        body = json.dumps({"model": "m", "messages": self.messages, "tools": TOOLS, "stream": self.streams}).encode()
        value = parse_chat_request(body).input
        generation = Generation(value, Plan(candidates=tuple(self.service.candidates)), whole=not self.streams)
        steps, answer = Steps(), Answer()
        events: list[Any] = []
        scope = CURRENT_SCOPE.set(RequestScope(tenant=self.tenant, request_id=f"{self.name}{len(self.told)}"))
        try:
            async for batch in Batches(generation, self.service.parts, steps):
                events.extend(batch)
                answer.extend(batch)
        finally:
            CURRENT_SCOPE.reset(scope)
        assert answer.started is not None
        message = streamed(events) if self.streams else json.loads(
            render_whole([answer], "c", 0, USUAL_FORM)
        )["choices"][0]["message"]  # fmt: skip
        self.told.append(Told(message, answer.started.dropped, [*steps.recorded]))
        self.messages.append(self._handed_back(message))
        calls = message.get("tool_calls") or []
        self.messages += [{"role": "tool", "tool_call_id": call["id"], "content": f"ok, {self.name}"} for call in calls]
        return bool(calls)

    async def run(self, text: str) -> None:
        """Ask, and go on until the model has its say."""
        self.ask(text)
        while await self.step():
            pass

    def _handed_back(self, message: dict[str, Any]) -> dict[str, Any]:
        names = ["role", "content", "tool_calls", *(("thinking_blocks", "reasoning_content") if self.carries else ())]
        return {name: message[name] for name in names if message.get(name)}


def streamed(events: Sequence[Any]) -> dict[str, Any]:
    """Return the message that a client makes of a stream: texts and lists joined."""
    frames = ChunkRenderer("c", 0, include_usage=False).render(events)
    message: dict[str, Any] = {"role": "assistant", "content": "", "tool_calls": [], "thinking_blocks": []}
    for line in frames.decode().splitlines():
        for choice in json.loads(line.removeprefix("data: "))["choices"] if line else ():
            delta = choice["delta"]
            message["content"] += delta.get("content") or ""
            message["thinking_blocks"] += delta.get("thinking_blocks", ())
            for piece in delta.get("tool_calls", ()):
                if "id" in piece:
                    message["tool_calls"].append({name: value for name, value in piece.items() if name != "index"})
                else:
                    message["tool_calls"][-1]["function"]["arguments"] += piece["function"]["arguments"]
    return message
