"""What checks tokens of OpenID Connect issuers, where the configuration names any."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock_gateway.adapters.sql.standing import SqlStandingStore
from penstock_gateway.app.parts import Parts
from penstock_gateway.domain.access.authentication import Clock
from penstock_gateway.domain.access.tenancy import TenantDirectory
from penstock_gateway.domain.access.tokens import Issuer, StandingWatch, TokenAuthenticator
from penstock_gateway.settings import Settings

if TYPE_CHECKING:
    from penstock_gateway.adapters.oidc.issuer_keys import KeysRule
    from penstock_gateway.oidc_settings import JwksSettings


def tokens_of(settings: Settings, directory: TenantDirectory, parts: Parts) -> TokenAuthenticator | None:
    """Return it; None where API keys alone are accepted."""
    if not settings.oidc:
        return None
    # What they come with takes long to load, and few need it.
    from penstock_common.http.client import HttpClient
    from penstock_gateway.adapters.oidc.issuer_keys import IssuerKeys

    # Connections are given back, and so closed, after each question.
    clock, client = Clock(), HttpClient()
    terms = [each.terms() for each in settings.oidc]
    issuers: dict[str, Issuer] = {}
    for each in settings.oidc:
        if each.issuer not in issuers:
            keys = IssuerKeys(each.issuer, _rule(each.jwks), client, parts.in_background, clock)
            issuers[each.issuer] = Issuer(keys, [one for one in terms if one.issuer == each.issuer])
    tenants = frozenset[str]().union(*(each.all_tenants for each in terms))
    freshness = settings.gateway.key_freshness
    watch = StandingWatch(SqlStandingStore(parts.engine), tenants, parts.in_background, freshness, clock)
    return TokenAuthenticator(issuers, directory, watch, clock)


def _rule(jwks: JwksSettings) -> KeysRule:
    from penstock_gateway.adapters.oidc.issuer_keys import KeysRule

    return KeysRule(
        url=jwks.url or "",
        ttl=jwks.ttl,
        cooldown=jwks.cooldown,
        stale=jwks.stale,
        timeout=jwks.timeout,
        max_keys=jwks.max_keys,
    )
