"""PostgreSQL: connections that cannot hang for longer than they may.

asyncpg reads the address itself, as libpq would: TLS (``sslmode``,
``sslrootcert``, ``sslcert``, ``sslkey``), several hosts with
``target_session_attrs``, ``passfile``; what it does not know becomes a
setting of the session (postgresql.org/docs/current/libpq-connect.html).
"""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from penstock_common.sql.address import DatabaseAddress, DatabaseLimits

RETRY_AFTER = timedelta(seconds=1)
"""What lies between two attempts to connect while the server does not answer."""

_NOTICE = timedelta(milliseconds=500)
"""What the server has, beyond the time for a statement, to end it and say so; after that it hangs."""


class DatabaseUnavailable(ConnectionError):
    """The server does not answer, refuses us, or took too long. The message holds no password."""


@asynccontextmanager
async def open_postgresql(address: DatabaseAddress, limits: DatabaseLimits) -> AsyncGenerator[AsyncEngine, None]:
    """Yield an engine; nothing is connected yet."""
    connector = PostgresConnector(address, limits)
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connector.connect,
        pool_size=limits.pool_size,
        max_overflow=0,
        pool_timeout=limits.connect_timeout.total_seconds(),
    )
    event.listen(engine.sync_engine, "handle_error", connector.on_error, retval=True)
    try:
        yield engine
    finally:
        await _close(engine, connector, limits.connect_timeout)


async def _close(engine: AsyncEngine, connector: PostgresConnector, patience: timedelta) -> None:
    try:
        async with asyncio.timeout(patience.total_seconds()):
            await engine.dispose()
    except TimeoutError:
        # A server that hangs does not take leave.
        await engine.dispose(close=False)
    finally:
        connector.terminate()


class PostgresConnector:
    """Opens connections; while the server does not answer, one attempt at a time.

    A circuit breaker (Nygard, "Release It!"): after a connection that failed
    or a statement that timed out, everyone but the one who tries again is
    told at once, so nobody queues up behind a server that hangs.
    """

    def __init__(
        self, address: DatabaseAddress, limits: DatabaseLimits, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._address = address
        self._limits = limits
        self._monotonic = monotonic
        self._open: weakref.WeakSet[Any] = weakref.WeakSet()
        self._suspected = False
        self._attempts = 0
        self._next_attempt_at = 0.0

    async def connect(self) -> Any:
        """Return a new connection.

        Raises:
            DatabaseUnavailable: if there is none within the time for it, or another attempt is under way.
        """
        if self._suspected and (self._attempts or self._monotonic() < self._next_attempt_at):
            raise self._unavailable("does not answer")
        self._attempts += 1
        try:
            connection = await self._connect()
        except TimeoutError:
            raise self._suspect("does not answer") from None
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise self._suspect(f"cannot be used: {_sentence(error)}") from error
        except ValueError:
            # It quotes what it could not read, which may be a part of a password.
            raise self._suspect("cannot be used: its address cannot be read") from None
        finally:
            self._attempts -= 1
        self._suspected = False
        self._open.add(connection)
        return connection

    async def _connect(self) -> Any:
        settings = {"statement_timeout": str(self._limits.statement_timeout // timedelta(milliseconds=1))}
        if "application_name=" not in self._address.url:
            settings["application_name"] = "penstock"
        connect_seconds: Any = self._limits.connect_timeout.total_seconds()  # a float, whatever its type says
        return await asyncpg.connect(
            self._address.url,
            timeout=connect_seconds,
            command_timeout=self._silence.total_seconds(),
            server_settings=settings,
        )

    @property
    def _silence(self) -> timedelta:
        """How long a server may say nothing.

        A slow statement, or one that waits for a lock, the server ends itself: its connection stays, and nobody else
        notices.
        """
        return self._limits.statement_timeout + _NOTICE

    def on_error(self, context: ExceptionContext) -> BaseException | None:
        """Let go of a connection whose statement got no answer; implements SQLAlchemy's ``handle_error``."""
        if not isinstance(context.original_exception, TimeoutError) or context.connection is None:
            return None
        # The others of the pool hang as well; each would cost somebody the same wait.
        context.is_disconnect = context.invalidate_pool_on_disconnect = True
        connection: Any = context.connection.connection.driver_connection
        # Otherwise it would be asked politely to roll back and to close, and that takes as long again.
        connection.terminate()
        return self._suspect(f"did not answer within {self._silence.total_seconds():g} s")

    def terminate(self) -> None:
        """Cut every connection that is still open."""
        for connection in list(self._open):
            connection.terminate()

    def _suspect(self, what: str) -> DatabaseUnavailable:
        self._suspected = True
        self._next_attempt_at = self._monotonic() + RETRY_AFTER.total_seconds()
        return self._unavailable(what)

    def _unavailable(self, what: str) -> DatabaseUnavailable:
        return DatabaseUnavailable(f"the database at {self._address.shown} {what}")


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).partition("\n")[0] or type(error).__name__
