"""Reasoning that the processes of the inference service keep together in Redis, sealed; each does without.

A turn opens with the secret of the suite, for its tenant, under its own key alone: whoever reads Redis reads nothing.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import lru_cache

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from redis.exceptions import ResponseError

from penstock_common.background import StartWork, background_work
from penstock_common.configuration import ConfigurationError
from penstock_common.redis_connection import RedisConnection, RedisUnavailable

KEY = "penstock:reasoning:"
_VERSION = b"\x01"
_NONCE_BYTES = 12
_MAX_TENANT_KEYS = 4096

_log = structlog.get_logger(__name__)


class SharedReasoning:
    """Turns in Redis; see the port."""

    def __init__(self, connection: RedisConnection, secret: bytes, in_background: StartWork) -> None:
        self._connection = connection
        self._in_background = in_background
        self._is_away = False

        @lru_cache(maxsize=_MAX_TENANT_KEYS)
        def cipher(tenant: str) -> AESGCM:
            purpose = b"penstock reasoning v1\0" + tenant.encode()
            # RFC 5869, without salt, as the secret is random.
            return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret))

        self._cipher = cipher

    async def read(self, tenant: str, keys: Sequence[str], seconds: float) -> Sequence[bytes | None]:
        """Return what is kept under each key, which lives for so long from now on."""
        names = [KEY + key for key in keys]
        try:
            found: Sequence[bytes | None] = await self._connection.execute("MGET", *names)
        except (RedisUnavailable, ResponseError) as error:
            if not self._is_away:
                _log.warning("kept_reasoning_not_read", reason=str(error))
            self._is_away = True
            return [None] * len(keys)
        self._is_away = False
        opened = [self._open(tenant, key, sealed) for key, sealed in zip(keys, found, strict=True)]
        for name, content in zip(names, opened, strict=True):
            if content is not None:
                self._connection.send("PEXPIRE", name, int(seconds * 1000))
        return opened

    def write(self, tenant: str, key: str, content: bytes, seconds: float) -> None:
        """Keep it, and return at once."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = _VERSION + nonce + self._cipher(tenant).encrypt(nonce, content, key.encode())
        command = ("SET", KEY + key, sealed, "PX", int(seconds * 1000))
        if not self._connection.send(*command):
            self._in_background(self._connected(command))

    async def connect(self) -> None:
        """Connect, so that what is written first is not lost; Redis may be away."""
        await self._connected(("PING",))

    async def _connected(self, command: Sequence[str | bytes | int]) -> None:
        """Send a command over a connection that is made for it, if there is none; where Redis is away it is lost."""
        with suppress(RedisUnavailable, ResponseError):
            await self._connection.execute(*command)

    def _open(self, tenant: str, key: str, sealed: bytes | None) -> bytes | None:
        if sealed is None or sealed[:1] != _VERSION:
            return None
        nonce, content = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return self._cipher(tenant).decrypt(nonce, content, key.encode())
        except (InvalidTag, ValueError):
            return None


@asynccontextmanager
async def sharing_reasoning(url: str, secret: bytes) -> AsyncGenerator[SharedReasoning]:
    """Yield what is shared; Redis may be away.

    Raises:
        ConfigurationError: if the address is none.
    """
    try:
        connection = RedisConnection(url)
    except ValueError as error:
        raise ConfigurationError(f"'redis': {error}") from None
    async with connection, background_work() as in_background:
        shared = SharedReasoning(connection, secret, in_background)
        await shared.connect()
        yield shared
