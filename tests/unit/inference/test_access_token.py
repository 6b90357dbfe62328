"""A token is asked for once by all who wait, and renewed before it ends."""

import asyncio

import pytest

from penstock_inference.adapters.providers.http.access_token import AccessToken, Token
from penstock_inference.domain.failure import AttemptFailed, FailureKind


class Server:
    """Grants a token for each time that ``granting`` is set, or fails."""

    def __init__(self):
        self.asked = 0
        self.granting = asyncio.Event()
        self.granting.set()
        self.failure = None
        self.now = 0.0

    async def obtain(self):
        self.asked += 1
        await self.granting.wait()
        if self.failure is not None:
            raise self.failure
        return Token(f"token-{self.asked}", 100.0)


@pytest.fixture
def server():
    return Server()


@pytest.fixture
async def token(server):
    token = AccessToken(server.obtain, lambda: server.now)
    yield token
    await token.aclose()


async def settled():
    """Let everything run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_is_asked_for_by_all_who_wait(server, token):
    server.granting.clear()
    waiting = [asyncio.ensure_future(token.get()) for _ in range(3)]
    await settled()
    waiting[0].cancel()
    await settled()
    server.granting.set()
    assert await asyncio.gather(*waiting[1:]) == ["token-1"] * 2
    assert server.asked == 1
    assert waiting[0].cancelled()


async def test_it_serves_while_another_is_asked_for_at_eight_tenths_of_its_life(server, token):
    assert await token.get() == "token-1"
    server.now = 79.0
    assert await token.get() == "token-1"
    assert server.asked == 1
    server.now = 80.0
    server.granting.clear()
    assert [await token.get() for _ in range(3)] == ["token-1"] * 3
    server.granting.set()
    await settled()
    assert await token.get() == "token-2"
    assert server.asked == 2


async def test_it_serves_to_its_end_where_no_other_is_granted(server, token):
    await token.get()
    server.failure = AttemptFailed(FailureKind.CONNECT, "no")
    server.now = 80.0
    for _ in range(3):
        assert await token.get() == "token-1"
        await settled()
    # It is asked for again after a while.
    assert server.asked == 2
    server.now = 91.0
    assert await token.get() == "token-1"
    await settled()
    assert server.asked == 3
    server.now = 100.0
    with pytest.raises(AttemptFailed):
        await token.get()
    server.failure = None
    assert await token.get() == "token-5"


async def test_whatever_is_raised_there_is_none_and_it_is_asked_for_again_after_a_while(server, token, caplog):
    await token.get()
    server.failure = ValueError("not JSON")
    server.now = 80.0
    for _ in range(3):
        assert await token.get() == "token-1"
        await settled()
    assert server.asked == 2
    assert "not JSON" in caplog.text
    server.now = 100.0
    with pytest.raises(AttemptFailed) as failed:
        await token.get()
    assert failed.value.kind is FailureKind.CREDENTIALS
    assert "not JSON" not in failed.value.detail


async def test_one_that_is_refused_serves_nobody(server, token):
    assert await token.get() == "token-1"
    token.refused("token-0")
    assert await token.get() == "token-1"
    token.refused("token-1")
    assert await token.get() == "token-2"


async def test_closing_ends_what_is_still_asked_for(server, token):
    server.granting.clear()
    waiting = asyncio.ensure_future(token.get())
    await settled()
    await token.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting
