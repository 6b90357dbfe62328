"""An issuer's keys, fetched when they are needed: seldom, whoever asks, and believed while the issuer is away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from penstock_common.errors import ServiceUnavailable
from penstock_common.http.address import is_safe, parse_address
from penstock_common.http.client import HttpClient
from penstock_common.http.failures import HttpFailure
from penstock_common.http.request_head import RequestHead
from penstock_gateway.adapters.oidc.signing_keys import JwkSigningKey, keys_in
from penstock_gateway.domain.access.authentication import Clock
from penstock_gateway.domain.access.tokens import SigningKey

_log = structlog.get_logger(__name__)

_DISCOVERY = "/.well-known/openid-configuration"
_MAX_DOCUMENT_BYTES = 512 * 1024
_OK = 200
# How much of their life keys have had when they are fetched again beside the requests.
_RENEWED_AFTER = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysRule:
    """How an issuer's keys are fetched and believed; ``url`` is where they are, else discovery says it."""

    url: str = ""
    ttl: timedelta = timedelta(minutes=10)
    cooldown: timedelta = timedelta(seconds=30)
    stale: timedelta = timedelta(hours=24)
    timeout: timedelta = timedelta(seconds=2)
    max_keys: int = 32


class IssuerKeys:
    """Implements ``tokens.SigningKeys``. Whatever ids are asked for, the issuer is asked once in a cooldown."""

    def __init__(
        self,
        issuer: str,
        rule: KeysRule,
        client: HttpClient,
        in_background: Callable[[Coroutine[Any, Any, None]], None],
        clock: Clock,
    ) -> None:
        self._issuer = issuer
        self._rule = rule
        self._client = client
        self._in_background = in_background
        self._monotonic = clock.monotonic
        self._keys: dict[str, JwkSigningKey] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._fetching: asyncio.Future[None] | None = None

    def known(self, key_id: str) -> JwkSigningKey | None:
        """Return the key if it is known, or the only one where none is named."""
        if key_id or len(self._keys) != 1:
            return self._keys.get(key_id)
        return next(iter(self._keys.values()))

    def are_due(self) -> bool:
        """Return whether they must be asked for again, and may be; a while before that they are, beside the requests."""
        age = self._monotonic() - self._fetched_at
        ttl = self._rule.ttl.total_seconds()
        if age < ttl * _RENEWED_AFTER or not self._may_ask:
            return age >= self._rule.stale.total_seconds()
        self._begin()
        return age >= ttl

    @property
    def _may_ask(self) -> bool:
        return self._fetching is None and self._monotonic() - self._tried_at >= self._rule.cooldown.total_seconds()

    async def find(self, key_id: str, other_than: SigningKey | None = None) -> JwkSigningKey | None:
        """Return the key, asking the issuer where it is not known, or is the one that it must not be, or keys are old."""
        known = self.known(key_id)
        must_ask = self.are_due() or known is None or known is other_than
        if must_ask and self._may_ask:
            self._begin()
        if must_ask and self._fetching is not None:
            await asyncio.wait((self._fetching,))
        if self._monotonic() - self._fetched_at >= self._rule.stale.total_seconds():
            raise ServiceUnavailable("The token's issuer does not answer. Try again.", service="oidc")
        return self.known(key_id)

    def _begin(self) -> None:
        self._tried_at = self._monotonic()
        self._fetching = asyncio.get_running_loop().create_future()
        self._in_background(self._fetch(self._fetching))

    async def _fetch(self, fetching: asyncio.Future[None]) -> None:
        try:
            async with asyncio.timeout(self._rule.timeout.total_seconds()):
                url = self._rule.url or await self._discovered()
                document = await self._get(url)
            self._keys = keys_in(document, self._rule.max_keys, self._keys)
            self._fetched_at = self._monotonic()
        except (HttpFailure, TimeoutError, ValueError) as error:
            _log.warning("oidc_keys_not_fetched", issuer=self._issuer, reason=str(error) or type(error).__name__)
        finally:
            self._fetching = None
            if not fetching.done():
                fetching.set_result(None)

    async def _discovered(self) -> str:
        """Return where the issuer says that its keys are; raises ``ValueError`` for another issuer's word."""
        try:
            said = json.loads(await self._get(self._issuer.rstrip("/") + _DISCOVERY))
            issuer, url = said["issuer"], said["jwks_uri"]
        except (KeyError, TypeError, RecursionError):
            raise ValueError("its discovery document is none") from None
        if issuer != self._issuer:
            raise ValueError(f"its discovery document is of the issuer '{str(issuer)[:128]}'")
        return str(url)

    async def _get(self, url: str) -> bytes:
        address = parse_address(url)
        if not is_safe(url):
            raise ValueError(f"{url[:128]} is not https")
        head = RequestHead("GET", address, {"Accept": "application/json"})
        async with self._client.lending() as pools:
            response = await pools.pool(address.origin).request(head, b"", self._rule.timeout.total_seconds())
            try:
                body = await response.read_up_to(_MAX_DOCUMENT_BYTES)
            finally:
                response.release()
        if response.status != _OK or len(body) > _MAX_DOCUMENT_BYTES:
            raise ValueError(f"{url[:128]} answered {response.status} with {len(body)} bytes")
        return body
