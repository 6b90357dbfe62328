"""How late an event loop is, is measured as whoever came at any moment would have found it."""

import asyncio
import time

from penstock_suite.adapters.loop_lag import INTERVAL_SECONDS, LoopLag, watched_loop


def counted(lag, suffix, **labels):
    family, _ = lag.collect()
    return sum(
        sample.value
        for sample in family.samples
        if sample.name == f"penstock_event_loop_lag_seconds_{suffix}" and labels.items() <= sample.labels.items()
    )


def test_a_loop_that_stands_counts_for_as_long_as_it_stood():
    lag = LoopLag()
    lag.note(1.06)
    assert counted(lag, "count") == 5
    assert round(counted(lag, "sum"), 6) == round(1.06 + 0.81 + 0.56 + 0.31 + 0.06, 6)
    assert [counted(lag, "bucket", le=bound) for bound in ("0.05", "0.1", "0.5", "1.0", "2.5")] == [0, 1, 2, 4, 5]


def test_a_timer_that_is_early_is_not_late():
    lag = LoopLag()
    lag.note(-0.001)
    assert (counted(lag, "count"), counted(lag, "sum"), counted(lag, "bucket", le="0.001")) == (1, 0, 1)


def test_a_machine_that_slept_counts_for_a_minute():
    lag = LoopLag()
    lag.note(86_400)
    assert counted(lag, "count") == 241


async def test_the_running_loop_is_watched_until_the_end():
    stood = 3 * INTERVAL_SECONDS
    async with asyncio.timeout(60):
        with watched_loop() as lag:
            while not counted(lag, "count"):
                await asyncio.sleep(0.01)
            time.sleep(stood)  # noqa: ASYNC251 - what is measured
            while counted(lag, "sum") < stood - INTERVAL_SECONDS:
                await asyncio.sleep(0.01)
    seen = counted(lag, "count")
    await asyncio.sleep(2 * INTERVAL_SECONDS)
    assert counted(lag, "count") == seen


async def test_tasks_are_those_that_have_not_ended():
    def tasks(lag):
        _, family = lag.collect()
        return [sample.value for sample in family.samples]

    with watched_loop() as lag:
        (before,) = tasks(lag)
        waits = [asyncio.create_task(asyncio.sleep(3600)) for _ in range(3)]
        assert await asyncio.to_thread(tasks, lag) == [before + 3]
        for task in waits:
            task.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        assert tasks(lag) == [before]
    assert tasks(lag) == []
