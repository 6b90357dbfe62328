from datetime import timedelta

import pytest

from penstock_common.redis_connection import RedisConnection
from penstock_common.testing.redis_server import RedisServer

# Far more than an answer takes on a busy machine; what is bounded is tested with bounds of its own.
PATIENT = timedelta(seconds=20)


@pytest.fixture
def redis_server():
    with RedisServer() as server:
        yield server


@pytest.fixture
async def redis(redis_server):
    """A connection that waits as long as it takes."""
    async with RedisConnection(redis_server.url, PATIENT) as connection:
        await connection.execute("PING")
        yield connection
