"""State folder, rendering of settings, the end of a stack."""

import asyncio
from pathlib import Path

import pytest

from penstock_suite.domain.ending import Ending
from penstock_suite.domain.failure import SuiteFailure
from penstock_suite.domain.progress import curl_for
from penstock_suite.domain.rendering import masked, merged
from penstock_suite.domain.state_folder import StateFolder


@pytest.mark.parametrize("length", [1, 40, 80, 86, 87, 88, 100, 200])
def test_sockets_fit_into_an_address_whatever_the_state_path(length):
    state = StateFolder(Path("/" + "d" * length), user_id=7)
    for path in (state.gateway_socket, state.redis_socket):
        assert len(str(path).encode()) <= 107
    assert state.sockets in state.folders()


def test_two_long_state_paths_do_not_share_sockets():
    first, second = (StateFolder(Path("/" + "d" * 200 + name)) for name in "ab")
    assert first.sockets != second.sockets


def test_readings_of_one_document_merge_by_key_and_by_place():
    assert merged({"u": [{"a": 1}, {"a": 2}], "x": 1}, {"u": [{"b": 3}, {"b": 4}], "y": 2}) == {
        "u": [{"a": 1, "b": 3}, {"a": 2, "b": 4}],
        "x": 1,
        "y": 2,
    }


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:s3cret@db/penstock", "postgresql://me:**********@db/penstock"),
        (
            "postgresql://me@db/p?sslmode=require&sslpassword=s3cret&password=s3cret",
            "postgresql://me@db/p?sslmode=require&sslpassword=**********&password=**********",
        ),
        ("redis://:s3cret@host:6379/0", "redis://:**********@host:6379/0"),
        ("sqlite:////state/penstock.db", "sqlite:////state/penstock.db"),
        ("http://127.0.0.1:4317", "http://127.0.0.1:4317"),
    ],
)
def test_passwords_in_urls_are_masked(url, shown):
    assert masked({"a": [{"b": url}], "n": 1}) == {"a": [{"b": shown}], "n": 1}


def test_a_curl_without_a_known_key_takes_it_from_the_environment():
    assert "Bearer $PENSTOCK_API_KEY" in curl_for("http://a:1", "", "m")
    assert "curl -N -k https" in curl_for("https://a:1", "k", "m", own_certificate=True)


async def test_asking_once_interrupts_and_asking_again_cuts():
    ending = Ending()
    cut: list[str] = []
    ending.on_cut(lambda: cut.append("cut"))
    loop = asyncio.get_running_loop()
    loop.call_soon(ending.ask)
    with ending.interrupts():
        await loop.create_future()
        pytest.fail("not interrupted")
    assert (ending.at_once, cut) == (False, [])
    loop.call_soon(ending.ask)
    with ending.cuts():
        await loop.create_future()
        pytest.fail("not cut")
    assert (ending.at_once, cut) == (True, ["cut"])
    # Nothing of it is left in the task.
    assert asyncio.current_task().cancelling() == 0
    await asyncio.sleep(0)


async def test_a_block_that_ends_before_the_cancellation_comes_is_left_alone():
    ending = Ending()
    with ending.interrupts():
        ending.ask()
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_a_cancellation_from_outside_passes_through():
    ending = Ending()

    async def work():
        with ending.interrupts():
            await asyncio.get_running_loop().create_future()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_first_failure_is_the_one_that_is_told():
    ending = Ending()
    first = SuiteFailure("first")
    ending.fail(first)
    ending.fail(SuiteFailure("second"))
    assert ending.failure is first
    await ending.wait()


async def test_a_part_that_ends_after_the_signal_is_no_failure():
    ending = Ending()
    ending.ask()
    ending.fail(SuiteFailure("late"))
    assert ending.failure is None
