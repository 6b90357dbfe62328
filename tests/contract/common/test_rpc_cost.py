"""A call within one process costs little, counted in calls of functions: they need no quiet machine.

A change that needs more raises the ceiling in the same commit, and says why.
"""

import asyncio
import cProfile
import time

import pytest

from penstock_common.rpc.in_process import InProcessChannel
from penstock_common.rpc.method import StreamMethod, UnaryMethod

ASK = UnaryMethod("/penstock.test.v1.TestService/Ask", None, None)
TELL = StreamMethod("/penstock.test.v1.TestService/Tell", None, None)


async def answer(request, call):
    call.steps.lap("test.ask", time.time_ns())
    return request


async def answer_later(request, call):
    await asyncio.sleep(0)
    return request


async def fifty(request, call):
    for _ in range(50):
        yield request


@pytest.fixture
def calls_of():
    """Returns how many functions awaiting something calls."""

    async def count(make):
        await make()
        profile = cProfile.Profile()
        profile.enable()
        await make()
        profile.disable()
        return sum(entry.callcount for entry in profile.getstats())

    return count


async def test_a_unary_call_with_a_deadline_and_a_step(calls_of):
    channel = InProcessChannel((ASK.served_by(answer),))
    assert await calls_of(lambda: channel.call(ASK, 1, timeout=30, steps=[])) <= 17


async def test_a_unary_call_that_waits_and_so_has_a_timer(calls_of):
    channel = InProcessChannel((ASK.served_by(answer_later),))
    # The rest is the loop's own, which asyncio writes in Python.
    assert await calls_of(lambda: channel.call(ASK, 1, timeout=30)) <= 75


async def test_a_stream_costs_a_few_calls_for_each_response(calls_of):
    channel = InProcessChannel((TELL.served_by(fifty),))

    async def read():
        responses = channel.stream(TELL, 1, timeout=30)
        async for _ in responses:
            pass
        await responses.aclose()

    assert await calls_of(read) <= 50 * 5 + 55
