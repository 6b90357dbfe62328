"""Whose tokens are accepted in the place of API keys, as the configuration says it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from penstock_common.configuration import Duration, Section
from penstock_common.faults import KeyPath
from penstock_common.http.address import is_safe
from penstock_gateway.domain.access.identity import KeyScope
from penstock_gateway.domain.access.token_terms import IssuerTerms

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
ClaimName = Annotated[str, Field(min_length=1, max_length=256)]
Claim = ClaimName | Annotated[list[ClaimName], Field(min_length=1, max_length=16)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,128}$")]
Scope = Literal["inference", "read", "admin", "review", "operator"]


def _safe_url(url: str) -> str:
    if not is_safe(url):
        raise PydanticCustomError("url", "an https:// URL is expected: who reads along could answer in its place")
    return url


def _longer_than_nothing(value: timedelta) -> timedelta:
    if value <= timedelta():
        raise PydanticCustomError("duration", "a duration longer than zero is expected")
    return value


SafeUrl = Annotated[str, Field(max_length=256, pattern=r"^[^|\s]+$"), AfterValidator(_safe_url)]
PositiveDuration = Annotated[Duration, AfterValidator(_longer_than_nothing)]


class JwksSettings(Section):
    """How an issuer's public keys are fetched."""

    url: SafeUrl | None = None
    """Where they are; unset, the issuer's discovery document says it."""
    ttl: PositiveDuration = timedelta(minutes=10)
    """How long they are believed; after 0.8 of it they are fetched again beside the requests."""
    cooldown: Duration = timedelta(seconds=30)
    """What lies between two attempts to fetch them, however many tokens name an unknown key."""
    stale: PositiveDuration = timedelta(hours=24)
    """How long they are believed while the issuer does not answer; then tokens are refused with 503."""
    timeout: PositiveDuration = timedelta(seconds=2)
    """Of one attempt."""
    max_keys: Annotated[int, Field(gt=0, le=256)] = 32
    """Further keys of a set are left out."""


class ClaimSettings(Section):
    """Where a token says what. A path by dots, or as a list where a name has dots: `[https://corp.example/teams]`."""

    user: Claim = "sub"
    """Who it is about: with the issuer, their identity for good."""
    team: Claim | None = None
    """Their groups, one or a list; `team_map` says which teams those are."""
    role: Claim | None = None
    """Their roles, one or a list; `role_map` says what those may."""


class OidcSettings(Section):
    """An issuer whose tokens are accepted in the place of API keys."""

    issuer: SafeUrl
    """As its tokens have it, to the letter. https, but on this machine."""
    audience: Annotated[list[Annotated[str, Field(min_length=1, max_length=256)]], Field(min_length=1, max_length=16)]
    """Tokens must be meant for one of these."""
    algorithms: Annotated[list[Algorithm], Field(min_length=1)] = ["RS256", "ES256"]
    """How tokens may be signed. There is none with a shared secret."""
    tenant: Name | None = None
    """Whose every token is."""
    tenant_claim: Claim | None = None
    """The claim that says whose a token is, where not all are one tenant's."""
    tenants: Annotated[list[Name], Field(max_length=256)] = []
    """The tenants that `tenant_claim` may name."""
    claims: ClaimSettings = ClaimSettings()
    team_map: dict[str, Name] = {}
    """Teams by what the claim says of groups."""
    default_team: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,128}$")] | None = None
    """The team of who is in none of these; `""`: none. Unset, they are refused where `claims.team` is set."""
    role_map: dict[str, list[Scope]] = {}
    """What somebody may, by what the claim says of roles, besides `scopes`. Who has `operator` has nothing else."""
    scopes: list[Scope] = ["inference"]
    """What everybody with a token may."""
    models: list[str] = []
    """Public models that may be asked; empty means all of the tenant's."""
    leeway: Duration = timedelta(seconds=60)
    """By how much clocks may differ."""
    max_token_age: PositiveDuration = timedelta(hours=24)
    """Tokens that live longer are refused."""
    key_lifetime: PositiveDuration = timedelta(days=30)
    """How long API keys may live that are made with a token."""
    jwks: JwksSettings = JwksSettings()

    def terms(self) -> IssuerTerms:
        """Return it as the domain knows it."""
        return IssuerTerms(
            issuer=self.issuer,
            audience=frozenset(self.audience),
            algorithms=frozenset(self.algorithms),
            tenant=self.tenant or "",
            tenant_claim=_path(self.tenant_claim),
            tenants=frozenset(self.tenants),
            user_claim=_path(self.claims.user),
            team_claim=_path(self.claims.team),
            role_claim=_path(self.claims.role),
            team_map=self.team_map,
            default_team=self.default_team,
            role_map={role: _scopes(scopes) for role, scopes in self.role_map.items()},
            scopes=_scopes(self.scopes),
            models=frozenset(self.models),
            leeway=self.leeway,
            max_age=self.max_token_age,
            key_lifetime=self.key_lifetime,
        )


def oidc_at_odds(issuers: Sequence[OidcSettings], models: frozenset[str]) -> Iterator[tuple[KeyPath, str]]:
    """Yield what is wrong with issuers, and where it stands."""
    audiences = Counter((each.issuer, word) for each in issuers for word in set(each.audience))
    rules = {each.issuer: each.jwks for each in reversed(issuers)}
    for index, each in enumerate(issuers):
        for field, message in _faults(each, models):
            yield ("oidc", index, field), message
        if any(audiences[each.issuer, word] > 1 for word in each.audience):
            yield ("oidc", index, "audience"), f"the issuer '{each.issuer}' has another entry for this audience"
        if each.jwks != rules[each.issuer]:
            yield ("oidc", index, "jwks"), f"the issuer '{each.issuer}' has other words on its keys in its first entry"


def _faults(each: OidcSettings, models: frozenset[str]) -> Iterator[tuple[str, str]]:
    if (each.tenant is None) == (each.tenant_claim is None):
        yield "tenant", "say either tenant, or tenant_claim with tenants"
    if (each.tenant_claim is None) != (not each.tenants):
        yield "tenants", "tenant_claim and tenants go together: those are what the claim may name"
    if each.team_map and each.claims.team is None:
        yield "team_map", "claims.team does not say which claim has the groups"
    if each.claims.team is not None and not each.team_map and each.default_team is None:
        yield "claims", "claims.team is set and team_map is empty: nobody would be let in"
    if each.role_map and each.claims.role is None:
        yield "role_map", "claims.role does not say which claim has the roles"
    if "operator" in each.scopes:
        yield "scopes", "nobody is an operator by a token alone: give the scope to a role in role_map"
    unknown = min(set(each.models) - models, default="") if models else ""
    if unknown:
        yield "models", f"there is no model '{unknown}'"
    if each.jwks.stale < each.jwks.ttl:
        yield "jwks", "jwks.stale is shorter than jwks.ttl"


def _path(claim: Claim | None) -> tuple[str, ...]:
    if claim is None:
        return ()
    return tuple(claim.split(".")) if isinstance(claim, str) else tuple(claim)


def _scopes(words: Sequence[Scope]) -> frozenset[KeyScope]:
    return frozenset(map(KeyScope, words))
