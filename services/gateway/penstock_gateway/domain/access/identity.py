"""Who calls: keys, what they prove, and what they may do."""

from __future__ import annotations

import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from penstock_common.errors import InvalidRequest, RightsExceeded
from penstock_common.priority import Priority
from penstock_gateway.domain.access.networks import Network
from penstock_gateway.domain.limits.rules import NO_RULES, Rules

_ALPHABET = string.digits + string.ascii_letters
_ID_LENGTH = 12
_SECRET_LENGTH = 32
_CHECK_LENGTH = 6
_CREATED = re.compile(
    rf"ps[kas]_[0-9A-Za-z]{{{_ID_LENGTH}}}_[0-9A-Za-z]{{{_SECRET_LENGTH}}}_[0-9A-Za-z]{{{_CHECK_LENGTH}}}"
)

DIGEST_BYTES = 32
TEAM_HEADER = "x-penstock-team"
"""Says for which of their teams somebody asks who is in several."""


class KeyScope(StrEnum):
    """What a key may be used for."""

    INFERENCE = "inference"
    READ = "read"
    """Look at the own tenant's administration."""
    ADMIN = "admin"
    """Change the own tenant's users and keys."""
    REVIEW = "review"
    """See what was flagged in the own tenant, and decide on it."""
    OPERATOR = "operator"
    """Administer every tenant. Such a key belongs to no tenant and has no other scope."""
    PASSTHROUGH = "passthrough"
    """Pass requests to upstreams as they are, where an upstream is open to that."""


TENANT_SCOPES = frozenset({KeyScope.INFERENCE, KeyScope.READ, KeyScope.ADMIN, KeyScope.REVIEW, KeyScope.PASSTHROUGH})
_ASKING = frozenset({KeyScope.INFERENCE, KeyScope.PASSTHROUGH})
_ADMINISTRATIVE = frozenset({KeyScope.ADMIN, KeyScope.OPERATOR})
_OPERATOR_SCOPES = frozenset({KeyScope.OPERATOR})


class KeyKind(StrEnum):
    """What a key's first letters say of it, to people and to scanners; what it may is in its scopes."""

    INFERENCE = "inference"
    ADMINISTRATIVE = "administrative"
    """It changes a tenant, or all of them, or asks no model."""
    SERVICE_ACCOUNT = "service_account"
    """It is a service account's, whatever it may."""

    @property
    def prefix(self) -> str:
        """What such a key begins with, before the underscore."""
        return _PREFIXES[self]

    @classmethod
    def of(cls, scopes: frozenset[KeyScope], *, of_service_account: bool) -> KeyKind:
        """Return what a key with these scopes is."""
        if of_service_account:
            return cls.SERVICE_ACCOUNT
        administers = _ASKING.isdisjoint(scopes) or not _ADMINISTRATIVE.isdisjoint(scopes)
        return cls.ADMINISTRATIVE if administers else cls.INFERENCE


_PREFIXES = {KeyKind.INFERENCE: "psk", KeyKind.ADMINISTRATIVE: "psa", KeyKind.SERVICE_ACCOUNT: "pss"}


class UserKind(StrEnum):
    """Who a user is."""

    PERSON = "person"
    SERVICE_ACCOUNT = "service_account"
    """A program. It signs in nowhere, and its keys stay when people leave."""


class UserRole(StrEnum):
    """What a user may do in its tenant, and so what its keys may at most."""

    VIEWER = "viewer"
    MEMBER = "member"
    ADMIN = "admin"
    REVIEWER = "reviewer"

    @property
    def permits(self) -> frozenset[KeyScope]:
        """The scopes that a key of such a user may have."""
        return _PERMITTED[self]


_PERMITTED = {
    UserRole.VIEWER: frozenset({KeyScope.READ}),
    UserRole.MEMBER: frozenset({KeyScope.READ, KeyScope.INFERENCE}),
    UserRole.ADMIN: TENANT_SCOPES,
    UserRole.REVIEWER: frozenset({KeyScope.READ, KeyScope.REVIEW}),
}


@dataclass(frozen=True, slots=True)
class Tier:
    """Limits that tenants of one tier share the shape of."""

    name: str
    priority: Priority = Priority.DEFAULT
    """The most that its requests may matter."""
    rules: Rules = field(default=NO_RULES, hash=False)
    """What its tenants may use."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """Whose data, money and limits a request touches. Empty ``models`` or ``regions`` mean all."""

    name: str
    tier: Tier
    models: frozenset[str] = frozenset()
    regions: tuple[str, ...] = ()
    time_zone: str = "UTC"
    """Its IANA name: where the tenant's days and months begin."""
    stores_responses: bool = True
    """Whether its answers are kept for later requests, where they say nothing of that, or want it."""
    hands_batches: bool = False
    """Whether lines of its batches may be handed to providers that answer many at once, and keep them for days."""


@dataclass(frozen=True, slots=True)
class TenantRecord:
    """A created tenant, as it is stored."""

    name: str
    tier: str
    models: frozenset[str]
    regions: tuple[str, ...]
    created_at: datetime
    disabled_at: datetime | None = None
    time_zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class TeamRecord:
    """Some of a tenant's users and keys, as they are stored: whose limits and spend are counted together."""

    tenant: str
    name: str
    created_at: datetime
    archived_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class UserRecord:
    """Somebody of a tenant, as they are stored."""

    id: str
    tenant: str
    name: str
    role: UserRole
    created_at: datetime
    disabled_at: datetime | None = None
    team: str = ""
    """What their new keys are of; none where that is empty."""
    kind: UserKind = UserKind.PERSON


@dataclass(frozen=True, slots=True)
class RevokedSubject:
    """Somebody whose tokens are refused; those of every issuer where that is empty."""

    tenant: str
    issuer: str
    subject: str
    revoked_at: datetime


OPERATORS = Tenant("", Tier("operators"))
"""Stands where an operator's key has no tenant."""


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as it is stored: its digest, never itself."""

    id: str
    tenant: str
    digest: bytes
    scopes: frozenset[KeyScope]
    models: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()
    """Where the key is accepted from; empty means anywhere."""
    labels: frozenset[str] = frozenset()
    """Of documents that it may find, besides those that have none."""
    user_id: str = ""
    label: str = ""
    created_at: datetime | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    replaced_by: str = ""
    """The id of the key that it was rotated into."""
    team: str = ""
    """Whose spend is counted with it, for good; none where that is empty."""
    kind: KeyKind = KeyKind.INFERENCE
    first_id: str = ""
    """The id of the first of the keys that it was rotated from; empty where it is the first."""

    @property
    def possible_scopes(self) -> frozenset[KeyScope]:
        """The scopes that such a key can have: an operator's has no tenant, and a tenant's is no operator's."""
        return self.scopes & (TENANT_SCOPES if self.tenant else _OPERATOR_SCOPES)

    def is_live(self, now: datetime) -> bool:
        """Return whether the key is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class Caller:
    """What a valid key proves."""

    tenant: Tenant
    key_id: str
    scopes: frozenset[KeyScope]
    models: frozenset[str] = field(default_factory=frozenset[str])
    networks: tuple[Network, ...] = ()
    user_id: str = ""
    expires_at: datetime | None = None
    labels: frozenset[str] = field(default_factory=frozenset[str])
    """Of documents that it may find, besides those that have none."""
    team: str = ""
    """Within the tenant; none where that is empty."""
    teams: tuple[str, ...] = ()
    """Where there are several, of which each request names one."""
    issuer: str = ""
    """Of the token that proved it; empty where a key did."""
    subject: str = ""
    """What the token calls them."""
    first_key_id: str = ""
    """The id of the key that this one was rotated from, first of all; empty where it was not."""

    @property
    def counted_key_id(self) -> str:
        """The id by which limits and budgets count the key: rotation keeps it."""
        return self.first_key_id or self.key_id

    def in_team(self, name: str) -> Caller:
        """Return the caller as one of the team that a request names.

        Raises:
            RightsExceeded: if it is none of theirs.
            InvalidRequest: if none is named, and there are several.
        """
        if not name and self.teams:
            raise InvalidRequest(
                f"You are in several teams: name one of {', '.join(self.teams[:16])} by {TEAM_HEADER}.",
                field=TEAM_HEADER,
            )
        if name not in (self.teams or (self.team,)):
            raise RightsExceeded(f"You are not in the team '{name[:64]}'.", bound="team")
        return replace(self, team=name, teams=())

    def may_use(self, model: str) -> bool:
        """Return whether both the key and its tenant permit the model."""
        return (not self.models or model in self.models) and (not self.tenant.models or model in self.tenant.models)


def digest_of(pepper: bytes, key: str) -> bytes:
    """Return HMAC-SHA256(pepper, whole key): what is stored and looked up.

    Equal time for every key, found or not: the digest is an index, so no
    comparison of secrets takes place.
    """
    return hmac.digest(pepper, key.encode(errors="surrogatepass"), "sha256")


def new_key(kind: KeyKind = KeyKind.INFERENCE, key_id: str = "") -> tuple[str, str]:
    """Return a fresh key and its public id, which is ``key_id`` where that is not empty.

    ``psk_{12 base62 id}_{32 base62 secret}_{6 base62 crc32}``: 190 bits of
    secret, and a checksum that lets scanners recognise a leaked key. The first
    letters are the kind's.
    """
    key_id = key_id or new_id()
    body = f"{kind.prefix}_{key_id}_{_random(_SECRET_LENGTH)}"
    return f"{body}_{_checksum(body)}", key_id


def may_be_created(key: str) -> bool:
    """Return whether ``new_key`` can have made this key: what has no such checksum needs no look-up.

    Anybody can compute one; it keeps typing errors and thoughtless guesses from the store.
    """
    body, _, check = key.rpartition("_")
    return _CREATED.fullmatch(key) is not None and _checksum(body) == check


def new_id() -> str:
    """Return a fresh id of 12 base62 characters: 71 bits, which nobody need guess twice."""
    return _random(_ID_LENGTH)


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(text: str) -> str:
    number = zlib.crc32(text.encode())
    digits = ""
    for _ in range(_CHECK_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
