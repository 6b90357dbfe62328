"""From a token of somebody else's to a caller: its signature is checked once, and its holder's standing all the time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from penstock_common.errors import InvalidCredentials, ServiceUnavailable
from penstock_gateway.domain.access.asker import Asker
from penstock_gateway.domain.access.authentication import Clock, KeyFreshness
from penstock_gateway.domain.access.identity import OPERATORS, Caller, KeyScope, Tenant, TenantRecord
from penstock_gateway.domain.access.look_ups import KeyStoreUnavailable
from penstock_gateway.domain.access.tenancy import TenantDirectory, Terms
from penstock_gateway.domain.access.token_form import WrittenToken, read_token
from penstock_gateway.domain.access.token_terms import Identity, IssuerTerms, end_of, identity_in, is_for

_MAX_KNOWN_TOKENS = 50_000


class SigningKey(Protocol):
    """A public key of an issuer's."""

    def has_signed(self, token: WrittenToken) -> bool:
        """Return whether it has, by an algorithm that fits it."""
        ...


class SigningKeys(Protocol):
    """The public keys of one issuer, which change."""

    def known(self, key_id: str) -> SigningKey | None:
        """Return the key if it is known, or the only one where none is named: the same object while it is the issuer's."""
        ...

    def are_due(self) -> bool:
        """Return whether they must be asked for again before one is believed; a while before, begin to ask for them."""
        ...

    async def find(self, key_id: str, other_than: SigningKey | None = None) -> SigningKey | None:
        """Return the key, asking the issuer where that may help and may be done again; None if it is not the issuer's.

        It helps where the key is not known, and where it is the one that it must not be.

        Raises:
            ServiceUnavailable: if the issuer's keys are not known.
        """
        ...


@dataclass(frozen=True, slots=True)
class Standing:
    """What the store says of tenants, teams and subjects at one moment."""

    tenants: Mapping[str, TenantRecord]
    archived_teams: frozenset[tuple[str, str]]
    """By tenant and name."""
    revoked: frozenset[tuple[str, str, str]]
    """By tenant, issuer and subject; those of every issuer where that is empty."""


class StandingStore(Protocol):
    """Where tenants, teams and revoked subjects are kept."""

    async def standing(self, names: Collection[str]) -> Standing:
        """Return what is kept of these tenants, and of operators.

        Raises:
            KeyStoreUnavailable: if the store does not answer.
        """
        ...


class StandingWatch:
    """Knows the standing, never older than a key's look-up is believed; asked for again by those who need it."""

    def __init__(
        self,
        store: StandingStore,
        tenants: Collection[str],
        in_background: Callable[[Coroutine[Any, Any, None]], None],
        freshness: KeyFreshness,
        clock: Clock,
    ) -> None:
        self._store = store
        self._tenants = tenants
        self._in_background = in_background
        self._fresh = freshness.fresh.total_seconds()
        self._stale = freshness.stale.total_seconds()
        self._patience = freshness.patience.total_seconds()
        self._monotonic = clock.monotonic
        self._known: Standing | None = None
        self._seen_at = 0.0
        self._asking: asyncio.Future[None] | None = None

    def fresh(self) -> Standing | None:
        """Return the standing if it is fresh, and see that it stays so."""
        age = self._monotonic() - self._seen_at
        if self._known is None or age >= self._fresh:
            return None
        if age >= self._fresh / 2 and self._asking is None:
            self._begin()
        return self._known

    async def now(self) -> Standing:
        """Return the standing.

        Raises:
            ServiceUnavailable: if the store does not answer, and what it said is too old.
        """
        found = self.fresh()
        if found is not None:
            return found
        await asyncio.wait((self._asking or self._begin(),), timeout=self._patience)
        if self._known is None or self._monotonic() - self._seen_at >= self._stale:
            raise ServiceUnavailable("Tokens cannot be checked right now. Try again.", service="keys")
        return self._known

    def _begin(self) -> asyncio.Future[None]:
        self._asking = asyncio.get_running_loop().create_future()
        self._in_background(self._ask(self._asking))
        return self._asking

    async def _ask(self, asking: asyncio.Future[None]) -> None:
        began = self._monotonic()
        try:
            self._known = await self._store.standing(self._tenants)
            self._seen_at = began
        except KeyStoreUnavailable:
            # Seen by its age.
            pass
        finally:
            self._asking = None
            if not asking.done():
                asking.set_result(None)


@dataclass(frozen=True, slots=True)
class Issuer:
    """Somebody whose tokens are believed: by these keys, for each audience by terms of its own."""

    keys: SigningKeys
    terms: Sequence[IssuerTerms]


@dataclass(frozen=True, slots=True)
class _Proven:
    """A token whose signature was checked, and whom it proves by that standing and those terms."""

    issuer: Issuer
    terms: IssuerTerms
    key_id: str
    key: SigningKey
    ends_at: float
    identity: Identity
    standing: Standing | None = None
    by: Terms | None = None
    caller: Caller | None = None


class TokenAuthenticator:
    """Finds callers by their tokens; those that were checked are remembered by their digest until they end."""

    def __init__(
        self, issuers: Mapping[str, Issuer], directory: TenantDirectory, watch: StandingWatch, clock: Clock
    ) -> None:
        self._issuers = issuers
        self._directory = directory
        self._watch = watch
        self._now = clock.now
        self._known: dict[bytes, _Proven] = {}

    async def caller(self, text: str, digest: bytes) -> Caller:
        """Return whom the token is about.

        Raises:
            InvalidCredentials: if it proves nothing, or no longer.
            RightsExceeded: if they are in no team that is known here.
            ServiceUnavailable: if the issuer's keys, or the store, cannot be asked.
        """
        proven = self._known.get(digest)
        if proven is None or proven.issuer.keys.are_due() or proven.issuer.keys.known(proven.key_id) is not proven.key:
            proven = await self._checked(text)
        elif self._now().timestamp() >= proven.ends_at:
            del self._known[digest]
            raise InvalidCredentials("The token has expired.")
        standing = self._watch.fresh() or await self._watch.now()
        if proven.caller is None or proven.standing is not standing or proven.by is not self._directory.terms:
            proven = self._concluded(proven, standing)
            self._remember(digest, proven)
        caller = proven.caller
        assert caller is not None, "what is concluded has a caller"
        return caller

    async def holder(self, tenant: str, key_id: str, asker: Asker) -> Caller:
        """Return who asked by a token that nobody has any more: with what it gave, as far as they still stand.

        Raises:
            InvalidCredentials: if the issuer, the tenant or the team is no longer there, or they were signed out.
            ServiceUnavailable: if the store cannot be asked.
        """
        issuer = self._issuers.get(asker.issuer)
        if issuer is None or not any(tenant in terms.all_tenants for terms in issuer.terms):
            self._refuse("The issuer of the token that asked for it is no longer believed here.")
        standing = self._watch.fresh() or await self._watch.now()
        found = self._tenant(tenant, standing)
        self._check_revoked(tenant, asker.issuer, asker.subject, standing)
        if asker.team and (tenant, asker.team) in standing.archived_teams:
            self._refuse("The team that the token named is archived.")
        return Caller(
            found,
            key_id,
            frozenset(KeyScope(scope) for scope in asker.scopes),
            frozenset(asker.models),
            user_id=key_id,
            team=asker.team,
            issuer=asker.issuer,
            subject=asker.subject,
        )

    async def _checked(self, text: str) -> _Proven:
        token = read_token(text)
        issuer = self._issuers.get(token.issuer)
        if issuer is None:
            raise InvalidCredentials("The token's issuer is not known here.")
        terms = next((each for each in issuer.terms if is_for(each, token.claims)), None)
        if terms is None:
            raise InvalidCredentials("The token is meant for somebody else (aud).")
        if token.algorithm not in terms.algorithms:
            raise InvalidCredentials("The token is signed in a way that is not accepted here (alg).")
        ends_at = end_of(terms, token.claims, self._now())
        key = await issuer.keys.find(token.key_id)
        if key is not None and not token.key_id and not key.has_signed(token):
            key = await issuer.keys.find("", other_than=key)
        if key is None or not key.has_signed(token):
            raise InvalidCredentials("The token's signature is not its issuer's.")
        return _Proven(issuer, terms, token.key_id, key, ends_at, identity_in(terms, token.claims))

    def _concluded(self, proven: _Proven, standing: Standing) -> _Proven:
        terms, identity = proven.terms, proven.identity
        tenant = self._tenant(identity.tenant, standing)
        self._check_revoked(identity.tenant, terms.issuer, identity.subject, standing)
        teams = tuple(team for team in identity.teams if (identity.tenant, team) not in standing.archived_teams)
        if identity.teams and not teams:
            self._refuse("The team that the token names is archived.")
        caller = Caller(
            tenant,
            identity.user_id,
            identity.scopes,
            frozenset() if tenant is OPERATORS else terms.models,
            user_id=identity.user_id,
            expires_at=self._now() + terms.key_lifetime,
            team=teams[0] if len(teams) == 1 else "",
            teams=teams if len(teams) > 1 else (),
            issuer=terms.issuer,
            subject=identity.subject,
        )
        return _Proven(
            proven.issuer,
            terms,
            proven.key_id,
            proven.key,
            proven.ends_at,
            identity,
            standing,
            self._directory.terms,
            caller,
        )

    def _check_revoked(self, tenant: str, issuer: str, subject: str, standing: Standing) -> None:
        if not standing.revoked.isdisjoint(((tenant, issuer, subject), (tenant, "", subject))):
            self._refuse("Your tokens are refused: you were signed out of here.")

    def _tenant(self, name: str, standing: Standing) -> Tenant:
        tenant = self._directory.tenant(name, standing.tenants.get(name)) if name else OPERATORS
        if tenant is None:
            self._refuse("The token's tenant is not there.")
        return tenant

    def _refuse(self, why: str) -> NoReturn:
        raise InvalidCredentials(why)

    def _remember(self, digest: bytes, proven: _Proven) -> None:
        known = self._known
        if len(known) >= _MAX_KNOWN_TOKENS and digest not in known:
            del known[next(iter(known))]
        known[digest] = proven
