"""The upstreams that are open: each as long as a revision of the configuration that names it is in use."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from penstock_common.background import StartWork, background_work
from penstock_common.http.client import HttpClient, HttpPools
from penstock_inference.adapters.providers.provider import OpenUpstream
from penstock_inference.adapters.providers.registry import PROVIDERS
from penstock_inference.adapters.providers.upstream_settings import UpstreamSettings
from penstock_inference.adapters.relay.build import relay_to
from penstock_inference.adapters.relay.http_relay import HttpRelay
from penstock_inference.domain.endpoint import Endpoint
from penstock_inference.domain.health.registry import Health
from penstock_inference.domain.load.adaptive_limit import Aimd, Gradient2
from penstock_inference.domain.load.budgets import Budgets, Sharing
from penstock_inference.domain.load.gate import Gate, GateLimits
from penstock_inference.domain.pool import Pool

# They do not refuse what is too much, and become slow.
_OWN_SERVERS = frozenset({"triton", "vllm", "ollama"})


@dataclass(slots=True, eq=False)
class _Open:
    """An upstream, who closes it, and how many revisions name it."""

    makings: object
    upstream: OpenUpstream
    pool: Pool
    closing: AsyncExitStack
    users: int = 0


class PoolsOfRevision(dict[str, Pool]):
    """The pools of one revision, by upstream.

    While somebody has this object none of its upstreams is closed: whoever
    answers a request has it, so that closing waits for the last of them, and
    nobody has to count requests.
    """

    def __init__(self, held: Sequence[tuple[str, _Open]]) -> None:
        super().__init__((name, one.pool) for name, one in held)
        self.upstreams = {name: one.upstream for name, one in held}


class OpenUpstreams:
    """Opens what a revision names. What is made as before is the same as before, with all that it has learnt."""

    def __init__(
        self, client: HttpClient, in_background: StartWork, health: Health, sharing: Sharing | None = None
    ) -> None:
        self._client = client
        self._health = health
        self._in_background = in_background
        self._loop = asyncio.get_running_loop()
        self._budgets = Budgets(self._loop, sharing)
        self._open: list[_Open] = []
        self._endings: list[weakref.finalize[..., PoolsOfRevision]] = []
        self._is_closed = False

    @classmethod
    @asynccontextmanager
    async def opening(cls, health: Health, sharing: Sharing | None = None) -> AsyncGenerator[OpenUpstreams, None]:
        """Yield one without an upstream; leaving closes every connection. Limits are shared by ``sharing``, or by nobody."""
        async with HttpClient() as client, background_work() as in_background:
            upstreams = cls(client, in_background, health, sharing)
            try:
                yield upstreams
            finally:
                await upstreams._close()

    def gates(self) -> Iterator[tuple[str, Gate]]:
        """Yield the upstreams that have limits."""
        for one in self._open:
            if one.pool.gate is not None:
                yield one.pool.health.name, one.pool.gate

    @property
    def count(self) -> int:
        """How many are open."""
        return len(self._open)

    async def of(self, settings: Sequence[UpstreamSettings]) -> PoolsOfRevision:
        """Return their pools, opened where they are not.

        Raises:
            ConfigurationError: if an address or a chat template cannot be used; then nothing has been opened.
        """
        held: list[tuple[str, _Open]] = []
        try:
            for upstream in settings:
                one = await self._held(upstream)
                held.append((upstream.name, one))
        except BaseException:
            self._let_go(held)
            raise
        pools = PoolsOfRevision(held)
        # It may be called in any thread, wherever the last reference ends.
        ending = weakref.finalize(pools, self._let_go_soon, held)
        ending.atexit = False
        self._endings = [*(one for one in self._endings if one.alive), ending]
        return pools

    async def _held(self, settings: UpstreamSettings) -> _Open:
        makings = settings.makings()
        one = next((one for one in reversed(self._open) if one.makings == makings), None)
        if one is None:
            async with AsyncExitStack() as opening:
                pools = await opening.enter_async_context(self._client.lending())
                opened = await _endpoints_of(settings, pools, opening)
                pool = self._pool(settings, opened, relay_to(settings, pools) if settings.raw.paths else None)
                if pool.gate is not None:
                    opening.callback(pool.gate.close)
                one = _Open(makings, opened[0][1], pool, opening.pop_all())
            self._open.append(one)
        one.users += 1
        return one

    def _pool(
        self, settings: UpstreamSettings, opened: Sequence[tuple[str, OpenUpstream]], relay: HttpRelay | None
    ) -> Pool:
        """Return the pool, with what is known of its places already."""
        group = settings.quota_group or settings.name
        keys = {name: name.rpartition("#")[2] for name, _ in opened}
        has_several = len(set(keys.values())) > 1 and all("#" in name for name in keys)
        endpoints = [
            Endpoint(
                one.upstream,
                name,
                group if settings.quotas == "one" else f"{group} {keys[name]}",
                keys[name] if has_several else "",
                one.questions,
                relay,
                one.batches,
            )
            for name, one in opened
        ]
        health = self._health.upstream(settings.name)
        wait_seconds = settings.rate_limited.wait.total_seconds()
        gate = self._gate(settings, group)
        own = 2.0 if settings.provider in _OWN_SERVERS else 0.0
        return Pool(
            endpoints,
            health,
            gate,
            wait_seconds,
            takes_reasoning=settings.takes_reasoning,
            prefix_affinity=own if settings.prefix_affinity is None else settings.prefix_affinity,
        )

    def _gate(self, settings: UpstreamSettings, group: str) -> Gate | None:
        limits = settings.limits
        if limits.are_none:
            return None
        requests, tokens = limits.requests_per_minute or 0, limits.tokens_per_minute or 0
        learned = (Gradient2() if settings.provider in _OWN_SERVERS else Aimd()) if limits.adaptive else None
        return Gate(
            GateLimits(
                requests_per_minute=requests,
                tokens_per_minute=tokens,
                concurrent_requests=limits.concurrent_requests or 0,
                most_waiting=limits.most_waiting,
                wait_seconds=limits.wait.total_seconds(),
            ),
            self._loop,
            learned,
            self._budgets.parts(group, requests, tokens, limits.processes),
        )

    def _let_go_soon(self, held: Sequence[tuple[str, _Open]]) -> None:
        if not self._is_closed:
            self._loop.call_soon_threadsafe(self._let_go, held)

    def _let_go(self, held: Sequence[tuple[str, _Open]]) -> None:
        for _, one in held:
            one.users -= 1
            if one.users == 0 and not self._is_closed:
                self._open.remove(one)
                self._in_background(one.closing.aclose())

    async def _close(self) -> None:
        self._is_closed = True
        for ending in self._endings:
            # It is held for as long as its pools, and would hold them by what is here.
            ending.detach()
        async with AsyncExitStack() as closing:
            # One that cannot be closed keeps none of the others open.
            for one in self._open:
                closing.push_async_callback(one.closing.aclose)
            self._open.clear()


async def _endpoints_of(
    settings: UpstreamSettings, pools: HttpPools, closing: AsyncExitStack
) -> list[tuple[str, OpenUpstream]]:
    """Return each address with each key, opened, by names that hold no secret."""
    opening = PROVIDERS[settings.provider].open_upstream
    return [
        (name, await closing.enter_async_context(opening(endpoint, pools))) for name, endpoint in settings.endpoints()
    ]
