"""From a credential to a caller; a key's revocation is seen within seconds, and a slow store holds nobody up."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from penstock_common.errors import InvalidCredentials, RateLimited, ServiceUnavailable
from penstock_gateway.domain.access.identity import OPERATORS, Caller, KeyRecord, digest_of, may_be_created
from penstock_gateway.domain.access.look_ups import FoundKey, KeyStore, LookUp, LookUps
from penstock_gateway.domain.access.policy import Policy
from penstock_gateway.domain.access.tenancy import TenantDirectory, Terms
from penstock_gateway.domain.access.token_form import MAX_TOKEN_BYTES, may_be_token

_MAX_KEY_LENGTH = 512
_MAX_CACHED_KEYS = 100_000
# Looked up at once: of keys that this process knows, and of all others. A flood of guesses takes no known key's place.
_MAX_PENDING_KNOWN = 10_000
_MAX_PENDING_UNKNOWN = 2_000
_MAX_GUESSES = 10_000
# A timer that fires so late says nothing of the store.
_STALL_SECONDS = 0.05
# A key that the store does not know is not asked for again within this; one that is made afterwards works as soon.
_GUESS_REMEMBERED_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class KeyFreshness:
    """How long a looked-up key is trusted: ``fresh`` always, ``stale`` while the store is down or slow.

    A key in use is looked up again after half of ``fresh``, beside its requests.
    ``patience`` is how long a request waits for the store.
    """

    fresh: timedelta = timedelta(seconds=4)
    stale: timedelta = timedelta(seconds=30)
    patience: timedelta = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Clock:
    """A monotonic clock in seconds, and the time of day."""

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class _Proof:
    """What a key proves until it expires."""

    caller: Caller
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class _Known:
    """What a look-up that began at ``seen_at`` has found; no proof for a key that is refused by these ``terms``."""

    found: FoundKey
    proof: _Proof | None
    seen_at: float
    terms: Terms


class Tokens(Protocol):
    """Finds callers by tokens of somebody else's."""

    async def caller(self, text: str, digest: bytes) -> Caller:
        """Return whom the token is about; raises what ``Authenticator.authenticate`` raises."""
        ...


class Authenticator:
    """Finds callers by the digest of their key, or of their token.

    Keys named in the configuration need no store; created ones are looked up
    and remembered. Redis takes no part in this.
    """

    def __init__(
        self,
        pepper: bytes,
        directory: TenantDirectory,
        configured: Mapping[bytes, KeyRecord],
        store: KeyStore,
        in_background: Callable[[Coroutine[Any, Any, None]], None],
        *,
        freshness: KeyFreshness | None = None,
        clock: Clock | None = None,
        tokens: Tokens | None = None,
    ) -> None:
        self._pepper = pepper
        self._directory = directory
        self._configured = self._proofs(configured)
        freshness = freshness or KeyFreshness()
        self._fresh = freshness.fresh.total_seconds()
        self._stale = freshness.stale.total_seconds()
        self._patience = freshness.patience.total_seconds()
        clock = clock or Clock()
        self._monotonic, self._now = clock.monotonic, clock.now
        self._tokens = tokens
        self._max_length = _MAX_KEY_LENGTH if tokens is None else MAX_TOKEN_BYTES
        self._seen: dict[bytes, _Known] = {}
        # When the store did not know them, oldest first.
        self._guesses: dict[bytes, float] = {}
        self._known = LookUps(store, in_background, self._learn, _MAX_PENDING_KNOWN)
        self._unknown = LookUps(store, in_background, self._learn, _MAX_PENDING_UNKNOWN)

    def take_over(self, terms: Terms, configured: Mapping[bytes, KeyRecord]) -> None:
        """Have tenants and the configuration's keys be these from now on; created keys prove what they do by them."""
        self._directory.take_over(terms)
        self._configured = self._proofs(configured)

    async def authenticate(self, key: str, policy: Policy) -> Caller:
        """Return whom ``key``, or a token in its place, belongs to; waits for nothing where that is known.

        Raises:
            InvalidCredentials: no key, or not a live one of ours.
            ScopeMissing: the key has none of the scopes that ``policy`` asks for.
            ServiceUnavailable: the key store is down and the key is not remembered.
            RateLimited: too many unknown keys are being looked up, and this is one more.
        """
        if not key:
            raise InvalidCredentials("No API key. Send one as 'Authorization: Bearer KEY' or 'x-api-key: KEY'.")
        if len(key) > self._max_length:
            raise InvalidCredentials("The API key is not valid.")
        digest = digest_of(self._pepper, key)
        proof = self._configured.get(digest) or self._remembered(digest)
        if proof is None:
            if self._tokens is not None and may_be_token(key):
                caller = await self._tokens.caller(key, digest)
                policy.require(caller.scopes)
                return caller
            known = await self._look_up(digest) if may_be_created(key) else None
            proof = known.proof if known is not None else None
        if proof is None or (proof.expires_at is not None and self._now() >= proof.expires_at):
            raise InvalidCredentials("The API key is not valid.")
        caller = proof.caller
        if policy.sufficient.isdisjoint(caller.scopes):
            raise policy.refusal(caller.scopes)
        return caller

    def _remembered(self, digest: bytes) -> _Proof | None:
        """Return the proof of a key that is fresh, and see that it stays so."""
        known = self._seen.get(digest)
        if known is None:
            return None
        if known.terms is not self._directory.terms:
            known = self._proven_again(digest, known)
        age = self._monotonic() - known.seen_at
        if age >= self._fresh:
            return None
        if age >= self._fresh / 2 and self._known.under_way(digest) is None:
            self._known.begin(digest, self._monotonic())
        return known.proof

    def _proven_again(self, digest: bytes, known: _Known) -> _Known:
        """Return what the store said of a key, by the terms that hold now."""
        known = self._seen[digest] = self._concluded(known.found, known.seen_at)
        return known

    def _concluded(self, found: FoundKey, seen_at: float) -> _Known:
        return _Known(found, self._proof(found), seen_at, self._directory.terms)

    async def _look_up(self, digest: bytes) -> _Known | None:
        known, now = self._seen.get(digest), self._monotonic()
        if known is not None and now - known.seen_at < self._fresh:
            # Refused, and known to be.
            return known
        if known is None and now - self._guesses.get(digest, -math.inf) < _GUESS_REMEMBERED_SECONDS:
            return None
        look_ups = self._unknown if known is None else self._known
        look_up = look_ups.under_way(digest) or look_ups.begin(digest, now)
        if look_up is None and known is None:
            raise RateLimited("Too many unknown API keys are being tried. Try again.", limit="unknown_keys")
        if look_up is not None:
            await self._await(look_up, look_ups, now)
            if look_up.ended.done() and not look_up.is_down:
                return self._seen.get(digest)
        if known is not None and self._monotonic() - known.seen_at < self._stale:
            return known
        raise ServiceUnavailable("API keys cannot be checked right now. Try again.", service="keys")

    async def _await(self, look_up: LookUp, look_ups: LookUps, now: float) -> None:
        """Return when the look-up has ended, or the store has been silent for as long as anybody waits for it."""
        # Those who come later to a slow look-up wait no longer than the first.
        patience = max(0.0, look_up.began_at + self._patience - now)
        time_of = asyncio.get_running_loop().time
        while True:
            answered, began = look_ups.answered, time_of()
            await asyncio.wait((look_up.ended,), timeout=patience)
            is_late = time_of() - began - patience > _STALL_SECONDS
            if look_up.ended.done() or (look_ups.answered == answered and not is_late):
                return
            # Many are before this one, and the store works on them; or this process stood still, and what the store
            # has said meanwhile is not heard yet.
            patience = self._patience

    def _learn(self, look_up: LookUp, found: FoundKey | None) -> None:
        """Remember a key, and for a moment that there is none: guesses must not fill the memory."""
        digest = look_up.digest
        if found is not None:
            self._guesses.pop(digest, None)
            self._remember(digest, self._concluded(found, look_up.began_at))
            return
        self._seen.pop(digest, None)
        self._guesses.pop(digest, None)
        if len(self._guesses) >= _MAX_GUESSES:
            del self._guesses[next(iter(self._guesses))]
        self._guesses[digest] = look_up.began_at

    def _remember(self, digest: bytes, known: _Known) -> None:
        if len(self._seen) >= _MAX_CACHED_KEYS:
            self._seen.clear()
        self._seen[digest] = known

    def _proofs(self, configured: Mapping[bytes, KeyRecord]) -> dict[bytes, _Proof | None]:
        return {digest: self._proof(FoundKey(record)) for digest, record in configured.items()}

    def _proof(self, found: FoundKey) -> _Proof | None:
        """Return what the key proves; None for one that is refused, whatever the time."""
        caller = caller_of(found, self._directory)
        return None if caller is None else _Proof(caller, caller.expires_at)


def caller_of(found: FoundKey, directory: TenantDirectory) -> Caller | None:
    """Return whom a key belongs to, and what it may; None for one that is refused, whatever the time."""
    record, user = found.record, found.user
    tenant = directory.tenant(record.tenant, found.tenant) if record.tenant else OPERATORS
    if tenant is None or record.revoked_at is not None or found.team_is_archived:
        return None
    scopes = record.possible_scopes
    if record.user_id:
        if user is None or user.disabled_at is not None:
            return None
        scopes &= user.role.permits
    return Caller(
        tenant,
        record.id,
        scopes,
        record.models,
        record.networks,
        record.user_id,
        expires_at=record.expires_at,
        labels=record.labels,
        team=record.team,
        first_key_id=record.first_id,
    )
