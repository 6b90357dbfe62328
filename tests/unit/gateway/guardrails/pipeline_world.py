"""Rules at work without a gateway around them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from penstock_common.configuration import Configuration
from penstock_common.llm.types import (
    Candidate,
    Finished,
    FinishReason,
    GenerationInput,
    Message,
    Role,
    Started,
    Text,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from penstock_gateway.adapters.guardrails.beside import Threads
from penstock_gateway.app.guardrails import pipelines_of
from penstock_gateway.domain.guardrails.pipeline.answer import GuardedAnswer
from penstock_gateway.domain.guardrails.pipeline.guarding import Guarding, GuardParts
from penstock_gateway.domain.guardrails.pipeline.judging import Memo
from penstock_gateway.domain.guardrails.pipeline.rails import Rails
from penstock_gateway.domain.life.sources import Replayed
from penstock_gateway.settings import Settings

BY = Candidate(upstream="u", model="m")
STARTED = Started(generation_id="g", answered_by=BY)
FINISHED = Finished(reason=FinishReason.STOP, answered_by=BY)


def settings_of(rules: dict[str, Any], **section: Any) -> Settings:
    return Configuration({"guardrails": {"rules": rules, **section}}).settings(Settings)


def rails_of(rules: dict[str, Any], **pipeline: Any) -> Rails:
    return Rails(pipelines_of(settings_of(rules, pipelines=[pipeline])))


class Desk:
    """Keeps what is flagged."""

    def __init__(self) -> None:
        self.flags: list[Any] = []

    async def flag(self, flag: Any) -> str:
        self.flags.append(flag)
        return f"review-{len(self.flags)}"


def guarding_of(
    rules: dict[str, Any],
    *,
    desk: Desk | None = None,
    by_conversation: bool = False,
    tenant: str = "t",
    **pipeline: Any,
) -> Guarding:
    held = rails_of(rules, **pipeline).held(tenant, "m", "k")
    assert held is not None
    order = SimpleNamespace(
        tenant=tenant, key_id="k2", request_id="r", generation_id="g",
        input=SimpleNamespace(model="m"), context=SimpleNamespace(user=""),
    )  # fmt: skip
    call: Any = SimpleNamespace(order=order, caller=SimpleNamespace(user_id="", key_id="k2", counted_key_id="k"))
    return Guarding(held, call, GuardParts(Threads(2, 4), b"s" * 32, Memo(), desk, by_conversation, 10_000))


def said(text: str, role: Role = Role.USER) -> Message:
    return Message(role=role, parts=(Text(text=text),))


def asked(*messages: Message) -> GenerationInput:
    return GenerationInput(model="m", messages=messages)


async def entered(guarding: Guarding, *messages: Message) -> tuple[Message, ...]:
    return (await guarding.entering(asked(*messages))).messages


def text_batches(pieces: list[str]) -> list[tuple[Any, ...]]:
    return [(STARTED,), *[(TextDelta(text=one),) for one in pieces if one], (Usage(), FINISHED)]


async def seen(guarding: Guarding, batches: list[tuple[Any, ...]]) -> list[Any]:
    """Return the events that the caller sees."""
    return [event async for batch in GuardedAnswer(Replayed(batches), guarding) for event in batch]


async def text_seen(guarding: Guarding, pieces: list[str]) -> str:
    events = await seen(guarding, text_batches(pieces))
    assert events[0] == STARTED and events[-1] == FINISHED
    return "".join(one.text for one in events if isinstance(one, TextDelta))


def arguments_of(events: list[Any]) -> str:
    return "".join(one.arguments_json_fragment for one in events if isinstance(one, ToolCallDelta))
