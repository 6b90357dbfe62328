"""What a stack waits for before it says that it is ready, and for how long."""

import asyncio
from datetime import timedelta
from types import SimpleNamespace

import pytest

from penstock_common.errors import ServiceUnavailable
from penstock_suite.app.warming import warming
from penstock_suite.domain.progress import Preparing
from penstock_suite.domain.state_folder import StateFolder
from penstock_suite.settings import LocalSettings, Settings

SECTIONS = {"cache": {"mode": "semantic"}, "embedding": {"model": "all-MiniLM-L6-v2"}}


class _Silent:
    """A channel to an embedding service that never answers."""

    def __init__(self):
        self.is_asked, self.is_left = asyncio.Event(), False

    async def call(self, *_, **__):
        self.is_asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.is_left = True


@pytest.fixture
def channel():
    return _Silent()


def workshop_of(tmp_path, patience, **sections):
    settings = Settings(local=LocalSettings(model_patience=patience), **sections)
    plan = SimpleNamespace(settings=settings, state=StateFolder(tmp_path), lacks_weights=False)
    shown = []
    return SimpleNamespace(plan=plan, show=shown.append, shown=shown)


def gateways_with(channel):
    async def channel_of(_):
        return channel

    return SimpleNamespace(channel=channel_of)


async def test_a_model_that_does_not_load_is_not_waited_for_longer_than_the_patience(tmp_path, channel):
    workshop = workshop_of(tmp_path, timedelta(milliseconds=1), **SECTIONS)
    async with warming(workshop, gateways_with(channel)) as loaded:
        await channel.is_asked.wait()
        await loaded()
        assert not channel.is_left
    assert channel.is_left
    assert workshop.shown == [Preparing("all-MiniLM-L6-v2")]


async def test_a_model_that_fails_to_load_is_told_and_waited_for_no_longer(tmp_path, channel):
    async def fails(*_, **__):
        raise ServiceUnavailable("no weights", service="embedding")

    channel.call = fails
    workshop = workshop_of(tmp_path, timedelta(minutes=5), **SECTIONS)
    workshop.lose = workshop.shown.append
    async with warming(workshop, gateways_with(channel)) as loaded:
        await loaded()
        assert [str(one) for one in workshop.shown[1:]] == ["the cache matches nothing by meaning: no weights"]


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"cache": {"mode": "exact"}, "embedding": {"model": "all-MiniLM-L6-v2"}},
        {"cache": {"mode": "semantic"}, "embedding": {"runtime": "provider"}},
    ],
)
async def test_what_needs_no_local_model_waits_for_none(tmp_path, channel, sections):
    workshop = workshop_of(tmp_path, timedelta(minutes=5), **sections)
    async with warming(workshop, gateways_with(channel)) as loaded:
        await loaded()
    assert not channel.is_asked.is_set()
