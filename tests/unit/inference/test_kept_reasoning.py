"""Reasoning that is kept for callers who cannot carry it: bounded in number, in bytes and in time, and each tenant's own."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from penstock_common.llm.types import Message, Reasoning, Role, Text, ToolCall
from penstock_common.rpc.scope import CURRENT_SCOPE, RequestScope
from penstock_inference.domain.reasoning.kept import KeepingRules, KeptReasoning
from penstock_inference.domain.reasoning.turns import KeptTurn

ASKED = (Message(role=Role.USER, parts=(Text(text="Why?"),)),)


def answer(number: int) -> Message:
    return Message(role=Role.ASSISTANT, tool_calls=(ToolCall(id=f"c{number}", name="f", arguments_json="{}"),))


def kept_of(size: int = 1) -> KeptTurn:
    return KeptTurn("a/opus", parts=(Reasoning(text="x" * size, signature=b"s"),))


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Shared:
    """What others have."""

    def __init__(self) -> None:
        self.turns: dict[tuple[str, str], bytes] = {}
        self.reads = 0

    async def read(self, tenant: str, keys: Sequence[str], seconds: float) -> Sequence[bytes | None]:
        self.reads += 1
        return [self.turns.get((tenant, key)) for key in keys]

    def write(self, tenant: str, key: str, content: bytes, seconds: float) -> None:
        self.turns[tenant, key] = content


async def found(kept: KeptReasoning, number: int, *, is_shared: bool = False, asked: Sequence[Message] = ASKED) -> bool:
    messages = [*asked, answer(number)]
    return 1 in await kept.find(messages, [1], is_shared=is_shared)


async def test_the_least_used_goes_first_where_there_are_too_many():
    kept = KeptReasoning(KeepingRules(entries=2))
    for number in range(2):
        kept.keep(ASKED, answer(number), kept_of(), is_shared=False)
    assert await found(kept, 0)
    kept.keep(ASKED, answer(2), kept_of(), is_shared=False)
    assert [await found(kept, number) for number in range(3)] == [True, False, True]
    assert kept.entries == 2


async def test_bytes_are_bounded_and_counted():
    kept = KeptReasoning(KeepingRules(most_bytes=5000, most_bytes_of_one=3000))
    for number in range(10):
        kept.keep(ASKED, answer(number), kept_of(1000), is_shared=False)
        # The same again is one.
        kept.keep(ASKED, answer(number), kept_of(1100), is_shared=False)
    assert kept.entries == 4
    assert 4000 < kept.kept_bytes <= 5000
    kept.keep(ASKED, answer(11), kept_of(4000), is_shared=False)
    assert not await found(kept, 11)


async def test_what_is_not_used_is_over_after_its_time_and_what_is_lives_on():
    clock = Clock()
    kept = KeptReasoning(KeepingRules(seconds=60), clock=clock)
    kept.keep(ASKED, answer(0), kept_of(), is_shared=False)
    kept.keep(ASKED, answer(1), kept_of(), is_shared=False)
    clock.now = 59
    assert await found(kept, 0)
    clock.now = 61
    assert [await found(kept, number) for number in range(2)] == [True, False]
    clock.now = 200
    # Whoever comes next takes away what is over.
    kept.keep(ASKED, answer(2), kept_of(), is_shared=False)
    assert kept.entries == 1
    clock.now = 300
    assert not await found(kept, 2)
    assert (kept.entries, kept.kept_bytes) == (0, 0)


async def test_nothing_is_kept_where_none_may_be():
    kept = KeptReasoning(KeepingRules(entries=0))
    kept.keep(ASKED, answer(0), kept_of(), is_shared=False)
    assert not await found(kept, 0)


async def test_ids_that_a_server_counts_from_one_are_told_apart_by_the_turn_before():
    kept = KeptReasoning()
    kept.keep(ASKED, answer(0), kept_of(), is_shared=False)
    assert not await found(kept, 0, asked=[Message(role=Role.USER, parts=(Text(text="What?"),))])


async def test_each_tenants_is_its_own():
    kept = KeptReasoning()
    scope = CURRENT_SCOPE.set(RequestScope(tenant="acme"))
    kept.keep(ASKED, answer(0), kept_of(), is_shared=False)
    assert await found(kept, 0)
    CURRENT_SCOPE.reset(scope)
    assert not await found(kept, 0)


async def test_others_are_asked_for_what_is_not_here_alone():
    shared = Shared()
    one, other = KeptReasoning(shared=shared), KeptReasoning(shared=shared)
    one.keep(ASKED, answer(0), kept_of(), is_shared=True)
    one.keep(ASKED, answer(1), kept_of(), is_shared=False)
    assert await found(one, 0, is_shared=True)
    assert shared.reads == 0
    assert not await found(other, 0)
    assert await found(other, 0, is_shared=True)
    assert shared.reads == 1
    # Here from now on.
    assert await found(other, 0, is_shared=True)
    assert shared.reads == 1
    assert not await found(other, 1, is_shared=True)


@pytest.mark.parametrize("content", [b"", b"\x00", b"\xc1 no msgpack", b"{}"])
async def test_what_a_later_version_has_written_is_a_miss(content):
    shared = Shared()
    kept = KeptReasoning(shared=shared)
    kept.keep(ASKED, answer(0), kept_of(), is_shared=True)
    (key,) = shared.turns
    shared.turns[key] = content
    assert not await found(KeptReasoning(shared=shared), 0, is_shared=True)


def test_what_one_tenants_was_refused_is_nothing_to_another():
    kept = KeptReasoning()
    token = CURRENT_SCOPE.set(RequestScope(tenant="one"))
    kept.refused([b"usual"])
    assert kept.is_refused(b"usual")
    CURRENT_SCOPE.reset(token)
    assert not kept.is_refused(b"usual")


def test_what_was_refused_is_remembered_and_no_more_than_so_much():
    kept = KeptReasoning()
    assert not kept.has_refused
    kept.refused([b"%d" % number for number in range(20_001)])
    assert kept.has_refused
    assert not kept.is_refused(b"0")
    assert kept.is_refused(b"20000")
