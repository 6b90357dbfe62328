"""The cache service over real parts, on a loop of its own: what administers its entries may ask from any."""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parent.parent / "cache"))
from meaning_kit import answered, asked, embedding_channel, probe  # noqa: E402

import penstock_cache.app  # noqa: E402
import penstock_cache.app.meaning  # noqa: E402
import penstock_cache.settings  # noqa: E402
from penstock_common.configuration import Configuration  # noqa: E402
from penstock_common.contract.cache import (  # noqa: E402
    EntryFilter,
    EntryQuery,
    EntryRecord,
    Invalidation,
    Scope,
    Stats,
    StoreRequest,
)
from penstock_common.contract.wire.cache import GET_STATS, INVALIDATE, LOOKUP, STORE  # noqa: E402
from penstock_common.contract.wire.cache_entries import (  # noqa: E402
    DELETE_ENTRIES,
    DISPUTE,
    EXPLAIN,
    LIST_ENTRIES,
    ROTATE_KEYS,
    SHRED_TENANT,
)
from penstock_common.errors import ServiceUnavailable  # noqa: E402
from penstock_common.rpc.in_process import InProcessChannel  # noqa: E402
from penstock_common.service import Service  # noqa: E402

METHODS = (
    LOOKUP, STORE, INVALIDATE, GET_STATS, LIST_ENTRIES, DELETE_ENTRIES, DISPUTE, EXPLAIN, ROTATE_KEYS, SHRED_TENANT,
)  # fmt: skip
TENANTS = ("demo", "other", "narrow", "gone")
_build = penstock_cache.app.build


class RealCache:
    """The service, its embedding model and its vector store; a store returns once the answer is kept by meaning, too."""

    def __init__(self, folder: Path) -> None:
        self.told: Stats | None = None
        """What its counts are said to be, where that matters."""
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    def handlers(self) -> Any:
        """Return what passes each call on to the service."""
        return [method.served_by(partial(self._passed, method)) for method in METHODS]

    @asynccontextmanager
    async def build(self, settings: Any) -> Any:
        """Stand for the composition root, which the gateway's tests call."""
        yield Service("cache", self.handlers())

    def ask(self, method: Any, request: Any) -> Any:
        """Return the service's answer."""
        return asyncio.run_coroutine_threadsafe(self._call(method, request), self._loop).result()

    @property
    def kept(self) -> list[EntryRecord]:
        """All entries, with what they say."""
        filters = [EntryFilter(Scope(tenant, "")) for tenant in TENANTS]
        pages = [self.ask(LIST_ENTRIES, EntryQuery(one, 1000, with_content=True)) for one in filters]
        return [record for page in pages for record in page.entries]

    def keep(self, tenant: str, question: str, answer: str) -> None:
        """Keep an answer of a tenant that nobody else need know."""
        request = StoreRequest(Scope(tenant, "fast"), probe(asked(question)), answered(answer))
        assert self.ask(STORE, request) == ""

    def empty(self) -> None:
        """Forget what a test has left."""
        self.told = None
        self.ask(INVALIDATE, Invalidation(Scope("", ""), every_tenant=True))

    async def _passed(self, method: Any, request: Any, call: Any) -> Any:
        if method is GET_STATS and self.told is not None:
            return self.told
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._call(method, request), self._loop))

    async def _call(self, method: Any, request: Any) -> Any:
        answer = await self._channel.call(method, request, timeout=60.0)
        while method is STORE and self._keeper._waiting:
            await asyncio.sleep(0.001)
        return answer

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:
            self._failure = error
            self._ready.set()

    async def _serve(self) -> None:
        (self._folder / "key").write_bytes(b"k" * 32)
        document = {
            "cache": {"mode": "semantic", "semantic": {"timeout": "60s"}},
            "qdrant": {"path": str(self._folder / "vectors"), "write_timeout": "60s"},
            "secrets": {"cache_key_file": str(self._folder / "key")},
        }
        settings = Configuration(document).settings(penstock_cache.settings.Settings)
        made: list[Any] = []

        def keeper(*parts: Any) -> Any:
            made.append(kind(*parts))
            return made[-1]

        kind = penstock_cache.app.meaning.Keeper
        async with embedding_channel(Path("~/.cache/penstock/models").expanduser()) as embedding:
            with patch.object(penstock_cache.app.meaning, "Keeper", keeper):
                opened = _build(settings, embedding)
                service = await opened.__aenter__()
            (self._keeper,) = made
            self._channel = InProcessChannel(service.handlers)
            try:
                await self._until_it_knows_its_model()
                self._ready.set()
                await self._stop.wait()
            finally:
                await opened.__aexit__(None, None, None)

    async def _until_it_knows_its_model(self) -> None:
        while True:
            try:
                await self._channel.call(LIST_ENTRIES, EntryQuery(EntryFilter(Scope("demo", ""))))
            except ServiceUnavailable:
                await asyncio.sleep(0.01)
            else:
                return
