"""Several things at once: all of them, or the first failure with nothing left running."""

from __future__ import annotations

import asyncio

import pytest

from penstock_common.together import together


async def number(value: int, after: asyncio.Event | None = None) -> int:
    if after is not None:
        await after.wait()
    return value


async def test_answers_come_in_the_order_of_the_questions() -> None:
    event = asyncio.Event()

    async def late() -> int:
        event.set()
        return 3

    assert await together([number(1, event), number(2), late()]) == [1, 2, 3]
    assert await together([number(1)]) == [1]
    assert await together([]) == []


async def test_a_failure_is_raised_once_the_others_have_ended() -> None:
    ended: list[str] = []

    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("slow")

    async def fails() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await together([slow(), fails()])
    assert ended == ["slow"]
