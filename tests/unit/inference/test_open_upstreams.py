"""Which upstreams stay open where a revision of the configuration cannot be made."""

from __future__ import annotations

import gc
import weakref
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any, cast

import pytest

from penstock_common.http.client import HttpClient
from penstock_inference.adapters.providers import registry
from penstock_inference.adapters.providers.open_upstreams import OpenUpstreams
from penstock_inference.adapters.providers.openai.settings import OpenAISettings
from penstock_inference.adapters.providers.provider import OpenUpstream, Provider
from penstock_inference.adapters.providers.upstream_settings import RateLimitedSettings
from penstock_inference.domain.health.registry import Health
from penstock_inference.settings import Settings


async def test_an_upstream_that_cannot_be_opened_leaves_none_open(monkeypatch: pytest.MonkeyPatch) -> None:
    model = {"name": "m", "context_window": 4096}
    upstreams = [
        {"name": name, "provider": "openai_compatible", "base_url": "http://127.0.0.1:9/v1", "models": [model]}
        for name in ("first", "second")
    ]
    settings = Settings.model_validate({"upstreams": upstreams}).upstreams
    async with OpenUpstreams.opening(Health()) as open_upstreams:
        pool = OpenUpstreams._pool

        def refused(self, upstream, *opened):
            if upstream.name == "second":
                raise ValueError("no address")
            return pool(self, upstream, *opened)

        monkeypatch.setattr(OpenUpstreams, "_pool", refused)
        with pytest.raises(ValueError, match="no address"):
            await open_upstreams.of(settings)
        assert open_upstreams.count == 0


class Doors:
    """Opens and closes upstreams that nobody asks, and keeps count; ``stuck`` says which cannot be opened, or closed."""

    def __init__(self, *stuck: str) -> None:
        self.stuck = stuck
        self.open: list[str] = []

    @asynccontextmanager
    async def opening(self, settings: OpenAISettings, _: HttpClient) -> AsyncGenerator[OpenUpstream]:
        name = str(settings.base_url)[-1]
        if f"open {name}" in self.stuck:
            raise ValueError(name)
        self.open.append(name)
        try:
            yield OpenUpstream(cast("Any", None))
        finally:
            self.open.remove(name)
            if f"close {name}" in self.stuck:
                raise ValueError(name)


@pytest.fixture
def doors(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Doors]:
    """Return what stands for the provider of all upstreams."""

    def doors(*stuck: str) -> Doors:
        made = Doors(*stuck)
        opening = cast("Callable[[Any, HttpClient], AbstractAsyncContextManager[OpenUpstream]]", made.opening)
        monkeypatch.setitem(
            cast("dict[str, Provider]", registry.PROVIDERS), "openai_compatible", Provider(OpenAISettings, opening)
        )
        return made

    return doors


def at(name: str, *places: str) -> OpenAISettings:
    """Return an upstream of one address or more."""
    return OpenAISettings.model_validate(
        {
            "name": name,
            "provider": "openai_compatible",
            "base_urls": [f"http://127.0.0.1:9/{place}" for place in places],
            "models": [{"name": "m", "context_window": 4096}],
        }
    )


async def test_an_address_that_cannot_be_opened_closes_those_before_it(doors: Callable[..., Doors]) -> None:
    made = doors("open c")
    async with OpenUpstreams.opening(Health()) as upstreams:
        with pytest.raises(ValueError, match="c"):
            await upstreams.of([at("u", "a", "b", "c")])
        assert (made.open, upstreams.count) == ([], 0)


async def test_all_are_closed_in_the_end_though_one_cannot_be(doors: Callable[..., Doors]) -> None:
    made = doors("close b")
    with pytest.raises(ExceptionGroup) as failed:
        async with OpenUpstreams.opening(Health()) as upstreams:
            held = await upstreams.of([at("u", "a"), at("v", "b"), at("w", "c")])
            assert sorted(made.open) == ["a", "b", "c"]
    assert failed.group_contains(ValueError, match="b")
    assert made.open == []
    del held


async def test_a_revision_that_is_not_taken_over_changes_nothing_for_the_one_that_is(
    doors: Callable[..., Doors],
) -> None:
    doors()
    usual = at("u", "a")
    patient = usual.model_copy(update={"rate_limited": RateLimitedSettings(wait=timedelta(seconds=7))})
    async with OpenUpstreams.opening(Health()) as upstreams:
        now, next_one = await upstreams.of([usual]), await upstreams.of([patient])
        assert [pools["u"].wait_seconds for pools in (now, next_one)] == [2, 7]
        assert now["u"].health is next_one["u"].health


async def test_once_closed_it_is_not_held_by_the_pools_that_somebody_still_has(doors: Callable[..., Doors]) -> None:
    doors()
    async with OpenUpstreams.opening(Health()) as open_upstreams:
        pools = await open_upstreams.of([at("first", "a")])
        closed = weakref.ref(open_upstreams)
    del open_upstreams
    gc.collect()
    assert closed() is None
    assert list(pools) == ["first"]
