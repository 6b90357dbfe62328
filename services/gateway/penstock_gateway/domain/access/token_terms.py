"""What the tokens of an issuer prove: who somebody is, whose tenant's, of which teams, and what they may do."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from penstock_common.errors import InvalidCredentials, RightsExceeded
from penstock_gateway.domain.access.identity import TENANT_SCOPES, KeyScope
from penstock_gateway.domain.access.token_form import Claims

ClaimPath = tuple[str, ...]
# Of a claim that lists groups or roles.
_MAX_WORDS = 1_000
_MAX_SUBJECT_LENGTH = 256
_LATEST = 253_402_300_799
"""The last second of the year 9999."""
_ID_DIGITS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerTerms:
    """Whose tokens are believed, and what of them. ``team_map`` and ``role_map`` are by what the claims say."""

    issuer: str
    audience: frozenset[str]
    algorithms: frozenset[str]
    tenant: str = ""
    """Whose every token is; empty where a claim says it."""
    tenant_claim: ClaimPath = ()
    tenants: frozenset[str] = frozenset()
    """Those that the claim may name."""
    user_claim: ClaimPath = ("sub",)
    team_claim: ClaimPath = ()
    role_claim: ClaimPath = ()
    team_map: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)
    default_team: str | None = None
    """Of whoever is in none of the mapped teams; empty is no team, None refuses them."""
    role_map: Mapping[str, frozenset[KeyScope]] = field(default_factory=dict[str, frozenset[KeyScope]], hash=False)
    scopes: frozenset[KeyScope] = frozenset({KeyScope.INFERENCE})
    """What everybody may, whatever their roles."""
    models: frozenset[str] = frozenset()
    leeway: timedelta = timedelta(seconds=60)
    max_age: timedelta = timedelta(hours=24)
    key_lifetime: timedelta = timedelta(days=30)
    """How long a key may live that a holder makes."""

    @property
    def all_tenants(self) -> frozenset[str]:
        """The tenants that its tokens may be of."""
        return self.tenants or frozenset({self.tenant} - {""})


@dataclass(frozen=True, slots=True)
class Identity:
    """What a token says, by its issuer's terms. The tenant of an operator is empty."""

    tenant: str
    subject: str
    user_id: str
    teams: tuple[str, ...]
    scopes: frozenset[KeyScope]


def user_id_of(issuer: str, subject: str) -> str:
    """Return whom tokens are about: the same as long as both are, and another for another issuer."""
    text = f"{issuer}\n{subject}".encode(errors="surrogatepass")
    return f"oidc-{hashlib.sha256(text).hexdigest()[:_ID_DIGITS]}"


def is_for(terms: IssuerTerms, claims: Claims) -> bool:
    """Return whether the token is meant for one of the audiences of the terms."""
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    return any(isinstance(each, str) and each in terms.audience for each in named)


def end_of(terms: IssuerTerms, claims: Claims, now: datetime) -> float:
    """Return until when the token is accepted, in seconds of the epoch.

    Raises:
        InvalidCredentials: if it is not accepted now, has no end, or lives too long.
    """
    leeway, most, moment = terms.leeway.total_seconds(), terms.max_age.total_seconds(), now.timestamp()
    expires_at = _moment(claims, "exp")
    if expires_at is None:
        raise InvalidCredentials("The token has no end (exp).")
    issued_at, not_before = _moment(claims, "iat"), _moment(claims, "nbf")
    if moment >= expires_at + leeway:
        raise InvalidCredentials("The token has expired.")
    if max(issued_at or 0.0, not_before or 0.0) > moment + leeway:
        raise InvalidCredentials("The token is not valid yet.")
    begins_at = moment if issued_at is None else issued_at
    if expires_at - begins_at > most + leeway or moment - begins_at > most + leeway:
        raise InvalidCredentials("The token lives longer than is accepted here.")
    return expires_at + leeway


def identity_in(terms: IssuerTerms, claims: Claims) -> Identity:
    """Return who the token is about, and what they may.

    Raises:
        InvalidCredentials: if it names nobody, or a tenant that is not the issuer's.
        RightsExceeded: if they are in no team that is known here.
    """
    subject = _at(claims, terms.user_claim)
    if not isinstance(subject, str) or not 0 < len(subject) <= _MAX_SUBJECT_LENGTH:
        raise InvalidCredentials("The token does not say who its user is.")
    scopes = terms.scopes.union(*(terms.role_map.get(role, ()) for role in _words(claims, terms.role_claim)))
    user_id = user_id_of(terms.issuer, subject)
    if KeyScope.OPERATOR in scopes:
        return Identity("", subject, user_id, (), frozenset({KeyScope.OPERATOR}))
    return Identity(_tenant(terms, claims), subject, user_id, _teams(terms, claims), scopes & TENANT_SCOPES)


def _tenant(terms: IssuerTerms, claims: Claims) -> str:
    if not terms.tenant_claim:
        return terms.tenant
    tenant = _at(claims, terms.tenant_claim)
    if not isinstance(tenant, str) or tenant not in terms.tenants:
        raise InvalidCredentials("The token names no tenant that its issuer may speak for.")
    return tenant


def _teams(terms: IssuerTerms, claims: Claims) -> tuple[str, ...]:
    if not terms.team_claim:
        return (terms.default_team,) if terms.default_team else ()
    mapped = {terms.team_map[group] for group in _words(claims, terms.team_claim) if group in terms.team_map}
    if mapped:
        return tuple(sorted(mapped))
    if terms.default_team is not None:
        return (terms.default_team,) if terms.default_team else ()
    if _is_left_out(claims, terms.team_claim):
        raise RightsExceeded(
            "You are in more groups than your issuer puts into a token, so that it does not say your team: have it "
            "send the groups that are assigned to this application only.",
            bound="team",
        )
    raise RightsExceeded("Your token names no team that is known here.", bound="team")


def _is_left_out(claims: Claims, path: ClaimPath) -> bool:
    """Return whether the claim is to be fetched elsewhere, as Entra has it of people with many groups."""
    elsewhere = claims.get("_claim_names")
    return claims.get("hasgroups") is True or (isinstance(elsewhere, dict) and path[0] in elsewhere)


def _at(claims: Claims, path: ClaimPath) -> Any:
    found: Any = claims
    for name in path:
        if not isinstance(found, dict):
            return None
        found = found.get(name)
    return found


def _words(claims: Claims, path: ClaimPath) -> list[str]:
    """Return what a claim lists, or the one thing that it says."""
    found = _at(claims, path) if path else None
    listed: list[Any] = found[:_MAX_WORDS] if isinstance(found, list) else [found]
    return [word for word in listed if isinstance(word, str)]


def _moment(claims: Claims, name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _LATEST:
        raise InvalidCredentials(f"The token's {name} is no time.")
    return float(value)
