"""Documents and their indexes, as the settings say: opened by the first who asks, or where something was left to do."""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from penstock_common.configuration import ConfigurationError
from penstock_common.errors import ResourceState, ServiceUnavailable
from penstock_common.key_material import read_key_material
from penstock_common.sql.address import DatabaseAddress
from penstock_embedding.app.knowledge_places import database_url
from penstock_embedding.domain.knowledge.ports import Models
from penstock_embedding.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from penstock_embedding.adapters.sealing import DocumentSealer
    from penstock_embedding.domain.knowledge.ingest import Ingest
    from penstock_embedding.domain.knowledge.preparing import Checkpoint
    from penstock_embedding.surfaces.knowledge import Knowledge

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Opened:
    """What is open."""

    engine: AsyncEngine
    sealer: DocumentSealer
    knowledge: Knowledge
    ingest: Ingest


async def has_been_used(settings: Settings) -> bool:
    """Return whether something may have been left to do, as documents were kept before."""
    url = database_url(settings)
    if not url:
        return False
    file = DatabaseAddress.parse(url).file
    if file is not None:
        return file.is_file()
    from penstock_common.sql.database import open_database, refusals_told
    from penstock_embedding.adapters.sql.schema import KNOWLEDGE

    with refusals_told(url):
        async with open_database(url, settings.knowledge.database_limits) as engine, engine.connect() as connection:
            return await connection.run_sync(KNOWLEDGE.revision_of) is not None


class DeferredKnowledge:
    """Opens once, when it is asked for, and closes with ``running``."""

    def __init__(self, settings: Settings, opening: Callable[[], AbstractAsyncContextManager[Opened]]) -> None:
        self._settings = settings
        self._opening = opening
        self._wanted: asyncio.Queue[asyncio.Future[Opened]] = asyncio.Queue()
        self._opened: Opened | None = None
        self._closed = asyncio.Event()

    async def opened(self) -> Opened:
        """Return what is open, opened now where it is not.

        Raises:
            ResourceState: if the service keeps no documents.
            ServiceUnavailable: if a part of it does not open.
        """
        if self._opened is not None:
            return self._opened
        if not database_url(self._settings):
            raise ResourceState(
                "This service keeps no documents: it needs 'sql' and 'secrets.knowledge_key_file', and "
                "'knowledge.enabled'.",
                kind="service",
                name="knowledge",
            )
        answer: asyncio.Future[Opened] = asyncio.get_running_loop().create_future()
        await self._wanted.put(answer)
        return await answer

    async def knowledge(self) -> Knowledge:
        """Return what serves, as ``opened``."""
        return (await self.opened()).knowledge

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Open at once where something was left to do, and close at the end."""
        # What is opened is closed by the task that has opened it.
        async with asyncio.TaskGroup() as group:
            keeper = group.create_task(self._keep())
            resuming = group.create_task(self._resume())
            try:
                yield
            finally:
                self._closed.set()
                resuming.cancel()
                if self._opened is None:
                    keeper.cancel()

    async def _resume(self) -> None:
        try:
            if await has_been_used(self._settings):
                await self.opened()
        except (ResourceState, ServiceUnavailable, OSError) as error:
            _log.warning("documents_wait", reason=str(error))

    async def _keep(self) -> None:
        while True:
            answer = await self._wanted.get()
            try:
                async with self._opening() as self._opened:
                    self._answer_all(answer)
                    await self._closed.wait()
                return
            except Exception as error:  # noqa: BLE001 - whoever asks for vectors is none the worse
                self._fail(answer, error)
            finally:
                self._opened = None

    def _answer_all(self, first: asyncio.Future[Opened]) -> None:
        assert self._opened is not None
        answers = [first]
        while not self._wanted.empty():
            answers.append(self._wanted.get_nowait())
        for answer in answers:
            if not answer.done():
                answer.set_result(self._opened)

    def _fail(self, answer: asyncio.Future[Opened], error: Exception) -> None:
        is_told = isinstance(error, ConfigurationError | OSError)
        _log.error("documents_not_open", reason=str(error), exc_info=None if is_told else error)
        if not answer.done():
            why = f": {error}" if is_told else ". The log says why."
            answer.set_exception(ServiceUnavailable(f"Documents cannot be opened{why}", service="knowledge"))


@asynccontextmanager
async def open_knowledge(
    settings: Settings, models: Models, checkpoint: Checkpoint | None = None
) -> AsyncGenerator[Opened]:
    """Yield documents and their indexes, whose taking in and building run meanwhile.

    Raises:
        ConfigurationError: if a key, the database or the vectors' store cannot be used.
        OSError: if the database is away.
    """
    # Heavy, so only those who keep documents import it.
    from penstock_common.sql.schema import open_current_database
    from penstock_embedding.adapters.sealing import DocumentSealer
    from penstock_embedding.adapters.sql.files.schema import FILES
    from penstock_embedding.adapters.sql.schema import KNOWLEDGE
    from penstock_embedding.app.knowledge_parts import Whole, put_together

    url = database_url(settings)
    secrets = _secrets(settings)
    sealer = DocumentSealer(secrets[0], secrets[1:])
    async with AsyncExitStack() as stack:
        database = open_current_database(
            url, settings.knowledge.database_limits, KNOWLEDGE, FILES, upgrades_schema=True
        )
        engine = await stack.enter_async_context(database)
        whole = Whole(settings, models, engine, sealer, secrets[-1], _owner())
        knowledge, ingest = await put_together(whole, stack, checkpoint)
        yield Opened(engine, sealer, knowledge, ingest)


def _secrets(settings: Settings) -> list[bytes]:
    secrets = settings.secrets
    older = [
        read_key_material(path, f"secrets.old_knowledge_key_files[{number}]")
        for number, path in enumerate(secrets.old_knowledge_key_files)
    ]
    return [read_key_material(secrets.knowledge_key_file, "secrets.knowledge_key_file"), *older]


def _owner() -> str:
    return f"{socket.gethostname()[:24]}-{uuid.uuid4().hex[:16]}"
