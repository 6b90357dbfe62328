"""An embedding model on Tritons: one, or several that serve the same model and revision; batches may be under way at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from penstock_embedding.adapters.model_files import TokenizerFiles
from penstock_embedding.adapters.tokenization import WindowTokenizer
from penstock_embedding.adapters.triton.place import TritonPlace
from penstock_embedding.adapters.triton.server import Away, TritonServer
from penstock_embedding.domain.account import Account
from penstock_embedding.domain.batching import PreparedText
from penstock_embedding.domain.embedder import Vector
from penstock_embedding.domain.failover import Failover
from penstock_embedding.domain.upstream import FailoverObserver, FailoverPolicy

# Tokenizing so much takes a third of a millisecond, which is what going to a thread and back costs a busy loop.
_SHORT_CHARACTERS = 1000

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TritonCluster:
    """Where the model is, in the order of preference; ``revision`` is what is declared of all of them.

    Without one, the version that the server has is what its vectors go by.
    """

    name: str
    places: tuple[TritonPlace, ...]
    revision: str = ""
    policy: FailoverPolicy = FailoverPolicy()


class TritonModel:
    """A ``BatchModel``; ``failover`` tells how its servers stand."""

    def __init__(
        self,
        cluster: TritonCluster,
        servers: Sequence[TritonServer],
        tokenizer: WindowTokenizer,
        failover: Failover[Sequence[PreparedText]],
    ) -> None:
        self.failover = failover
        self._cluster = cluster
        self._servers = servers
        self._tokenizer = tokenizer

    @classmethod
    @asynccontextmanager
    async def open(
        cls, cluster: TritonCluster, files: TokenizerFiles, observer: FailoverObserver
    ) -> AsyncGenerator[TritonModel, None]:
        """Yield the model, which a server has by then; on exit, close the connections.

        Raises:
            ConfigurationError: if no server answers, or one has no such model, or one with other tensors.
        """
        tokenizer = await asyncio.to_thread(WindowTokenizer, files.tokenizer, files.max_tokens)
        async with AsyncExitStack() as stack:
            servers = [await stack.enter_async_context(TritonServer.open(place)) for place in cluster.places]
            await _find(servers, cluster.places)
            yield cls(cluster, servers, tokenizer, Failover(servers, cluster.policy, observer))

    @property
    def name(self) -> str:
        """The name of the model."""
        return self._cluster.name

    @property
    def revision(self) -> str:
        """What is declared, or the model's version there; and a digest of how texts become token ids here."""
        told = self._cluster.revision or self._servers[0].version
        return f"triton/{self._cluster.places[0].model}/{told}/{self._tokenizer.digest}"

    async def prepare(self, texts: Sequence[str]) -> list[PreparedText]:
        """Return the texts' tokens, as ``BatchModel`` says."""
        if sum(map(len, texts)) <= _SHORT_CHARACTERS:
            return self._tokenizer.prepare(texts)
        return await asyncio.to_thread(self._tokenizer.prepare, texts)

    async def run(self, batch: Sequence[PreparedText], deadline: float | None, account: Account) -> list[Vector]:
        """Return the texts' vectors, as ``BatchModel`` says.

        Raises:
            UpstreamFailed, UpstreamTimeout, Overloaded: if no server answers properly.
            DeadlineExceeded: if the deadline has passed.
        """
        tokens = sum(text.tokens for text in batch)
        return (await self.failover.ask(batch, tokens, account, deadline)).vectors


async def _find(servers: Sequence[TritonServer], places: Sequence[TritonPlace]) -> None:
    """Find the model; a server that is away is looked for again when it is asked, as long as another is there.

    Only where none is there, servers that are starting are waited for.

    Raises:
        ConfigurationError: if none answers, or one does not fit.
    """
    pairs = list(zip(servers, places, strict=True))
    away = await asyncio.gather(*[_look(server, place.timeout, waits=False) for server, place in pairs])
    if None not in away:
        away = (
            await asyncio.gather(
                *[_look(server, place.patience, waits=True) for server, place in pairs if place.patience is not None]
            )
            or away
        )
    missing = [error for error in away if error is not None]
    if len(missing) == len(servers):
        raise missing[0]
    for error in missing:
        _LOG.warning("embedding_server_away: %s", error)


async def _look(server: TritonServer, time: timedelta, *, waits: bool) -> Away | None:
    try:
        await server.find(time.total_seconds(), waits=waits)
    except Away as error:
        return error
    return None
