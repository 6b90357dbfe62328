import asyncio

from structlog.testing import capture_logs

from penstock_common.background import background_work


async def test_work_that_fails_is_logged_and_the_rest_goes_on():
    done = asyncio.Event()

    async def fail():
        raise RuntimeError("no")

    async def succeed():
        done.set()

    with capture_logs() as logs:
        async with background_work() as start:
            start(fail())
            start(succeed())
    assert done.is_set()
    assert [entry["event"] for entry in logs] == ["background_work_failed"]


async def test_the_context_ends_after_its_work():
    release, ended = asyncio.Event(), []

    async def work():
        await release.wait()
        ended.append(True)

    async with background_work() as start:
        start(work())
        release.set()
    assert ended == [True]
