"""The replica that has a conversation's beginning in its cache."""

from __future__ import annotations

import random

import msgspec
import pytest

from penstock_common.llm.types import GenerationInput, Image, Message, Role, Text, Tool
from penstock_inference.domain.affinity import beginning_of
from penstock_inference.domain.endpoint import Endpoint
from penstock_inference.domain.health.registry import Health
from penstock_inference.domain.health.turn import Turn
from penstock_inference.domain.pool import Pool
from penstock_inference.domain.upstream import UpstreamCall

NAMES = ("gpu-1", "gpu-2", "gpu-3", "gpu-4")
SYSTEM = Message(Role.SYSTEM, (Text("Be brief."),))


def conversation(number: int, turns: int = 1, system: Message = SYSTEM) -> GenerationInput:
    """Return a conversation whose first question is its own."""
    asked = [Message(Role.USER, (Text(f"Question {number}"),))]
    later = [Message(role, (Text(f"Turn {turn}"),)) for turn in range(1, turns) for role in (Role.ASSISTANT, Role.USER)]
    return GenerationInput(model="fast", messages=(system, *asked, *later))


def call(given: GenerationInput) -> UpstreamCall:
    """Return an attempt at it."""
    return UpstreamCall("m", given, 3.0, lambda: None, lambda: None)


def pool(names: tuple[str, ...] = NAMES, affinity: float = 2.0) -> Pool:
    """Return replicas that nobody asks, with chances that are always the same."""
    health = Health(clock=lambda: 0.0, chance=random.Random(7).random)
    endpoints = [Endpoint(None, name) for name in names]  # pyright: ignore[reportArgumentType] - never asked
    return Pool(endpoints, health.upstream("u"), prefix_affinity=affinity)


def end(turn: Turn) -> None:
    """Have the turn's request be answered."""
    turn.content_came()
    turn.answered(None)


def asked(replicas: Pool, given: GenerationInput) -> str:
    """Return who is asked, when nothing else is under way."""
    turn = replicas.turn(call(given))
    end(turn)
    return turn.endpoint.name


def test_every_turn_of_a_conversation_goes_where_its_first_went() -> None:
    replicas = pool()
    for number in range(50):
        assert len({asked(replicas, conversation(number, turns)) for turns in range(1, 5)}) == 1


def test_conversations_are_spread_though_their_instructions_are_the_same() -> None:
    replicas = pool()
    shares = [asked(replicas, conversation(number)) for number in range(400)]
    assert all(60 <= shares.count(name) <= 140 for name in NAMES)


def test_what_goes_takes_along_its_own_conversations_alone() -> None:
    before = {number: asked(pool(), conversation(number)) for number in range(100)}
    after = {number: asked(pool(NAMES[:3]), conversation(number)) for number in range(100)}
    assert all(after[number] == name for number, name in before.items() if name != NAMES[3])


def test_who_has_it_but_has_more_to_do_than_it_is_worth_is_not_asked() -> None:
    replicas = pool(NAMES[:2])
    # The second waits twice as long as at the other, the third would wait three times as long.
    names = [replicas.turn(call(conversation(1))).endpoint.name for _ in range(3)]
    warm = names[0]
    assert names == [warm, warm, next(name for name in NAMES[:2] if name != warm)]


def test_without_affinity_chance_decides() -> None:
    replicas = pool(affinity=0.0)
    assert len({asked(replicas, conversation(1)) for _ in range(50)}) > 1


@pytest.mark.parametrize(
    "other",
    [
        msgspec.structs.replace(conversation(1), tools=(Tool("search"),)),
        conversation(1, system=Message(Role.SYSTEM, (Text("Be verbose."),))),
        conversation(2),
    ],
    ids=["tools", "instructions", "question"],
)
def test_what_stands_first_in_a_prompt_tells_beginnings_apart(other: GenerationInput) -> None:
    assert beginning_of(other) != beginning_of(conversation(1))


def test_any_text_and_none_has_a_beginning() -> None:
    image = Message(Role.USER, (Image(url="https://x.example/a.png"),))
    for messages in ((), (image,), (Message(Role.USER, (Text("\ud800"),)),)):
        assert len(beginning_of(GenerationInput(model="fast", messages=messages))) == 8
