"""What the gateway reads of the configuration."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from penstock_common.configuration import Duration, Secret, Section
from penstock_common.sections import Redis, Secrets, Telemetry
from penstock_common.sql.address import DatabaseAddress, DatabaseLimits
from penstock_gateway.domain.access.authentication import KeyFreshness
from penstock_gateway.domain.access.identity import KeyRecord, KeyScope, Tenant, Tier, digest_of
from penstock_gateway.domain.access.tenancy import TenantDirectory
from penstock_gateway.domain.life.door import Capacity
from penstock_gateway.surfaces.wire_formats.body_bounds import BodyBounds

MIN_KEY_LENGTH = 16

_REVOKED_WITHIN = timedelta(seconds=5)

Limit = Annotated[int, Field(ge=0)] | None
Ratio = Annotated[float, Field(gt=0, le=1)]


class Listen(Section):
    """Public addresses: REST and wire formats at the edge, gRPC at the gateway."""

    model_config = ConfigDict(extra="ignore")

    http: str = "127.0.0.1:8080"
    grpc: str = "127.0.0.1:8081"


class TierSettings(Section):
    """Limits of every tenant of a tier; unset means unlimited."""

    requests_per_minute: Limit = None
    concurrent_requests: Limit = None


class TenantSettings(Section):
    """A tenant and the keys that the configuration itself gives it."""

    name: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._-]+$")]
    tier: str | TierSettings = "free"
    keys: list[Secret] = []
    models: list[str] = []
    """Public models the tenant may use; empty means all."""
    regions: list[str] = []
    """Regions the tenant's data may be processed in; empty means anywhere."""


class OperatorSettings(Section):
    """Whoever may administer every tenant."""

    keys: list[Secret] = []
    """They belong to no tenant, and ask no model."""


def _read_switch(value: Any) -> Any:
    # YAML reads a bare `off` as false.
    return "off" if value is False else value


class CacheSwitch(Section):
    """Whether there is a cache to ask; the rest of the section is the cache service's."""

    model_config = ConfigDict(extra="ignore")

    mode: Annotated[Literal["off", "exact", "semantic"], BeforeValidator(_read_switch)] = "exact"


def _longer_than_nothing(value: timedelta) -> timedelta:
    if value <= timedelta():
        raise PydanticCustomError("duration", "a duration longer than zero is expected")
    return value


def _at_most_five_seconds(value: timedelta) -> timedelta:
    if value > _REVOKED_WITHIN:
        raise PydanticCustomError("duration", "at most 5s: a revoked key is refused within that time")
    return value


PositiveDuration = Annotated[Duration, AfterValidator(_longer_than_nothing)]
KeyTrust = Annotated[PositiveDuration, AfterValidator(_at_most_five_seconds)]


def _names_a_database(url: str) -> str:
    if url:
        # Absent where a stack fills it in; what is wrong with it is said without quoting it.
        DatabaseAddress.parse(url)
    return url


DatabaseUrl = Annotated[str, AfterValidator(_names_a_database)]


class GatewaySettings(Section):
    """Bounds of one gateway process."""

    max_in_flight: Annotated[int, Field(gt=0)] = 8192
    """Requests at once; more are refused with Retry-After."""
    unary_timeout: PositiveDuration = timedelta(seconds=60)
    stream_timeout: PositiveDuration = timedelta(seconds=600)
    """Deadlines where the caller sets none; also the longest a caller may set."""
    hold_back: Duration = timedelta(seconds=10)
    """How long a stream's headers wait for its first content, so that a failure still has a status."""
    keep_alive: PositiveDuration = timedelta(seconds=15)
    """Silence after which a stream gets a comment."""
    write_timeout: PositiveDuration = timedelta(seconds=60)
    """How long an answer waits for a caller who does not read; then the connection is cut."""
    redis_timeout: PositiveDuration = timedelta(milliseconds=50)
    cache_lookup_timeout: PositiveDuration = timedelta(milliseconds=100)
    cache_store_timeout: PositiveDuration = timedelta(seconds=1)
    router_timeout: PositiveDuration = timedelta(seconds=1)
    key_fresh: KeyTrust = KeyFreshness().fresh
    """How long a looked-up key is trusted, and so the longest that a revoked one lives."""
    key_stale: PositiveDuration = KeyFreshness().stale
    """How long it is trusted while the database does not answer."""
    key_lookup_timeout: PositiveDuration = KeyFreshness().patience
    """How long a request waits for the database to say whose key it has."""
    tenant_share: Ratio = Capacity().tenant_ratio
    """The largest part of ``max_in_flight`` and ``max_held_body_bytes`` that one tenant may have."""
    key_share: Ratio = Capacity().key_ratio
    """The same for one API key."""
    refusals_per_minute: Annotated[int, Field(gt=0)] = 600
    """Of one key; then its requests are refused before their bodies are read. One more for every 256 KiB of a body."""
    max_body_bytes: Annotated[int, Field(gt=0)] = 32 * 1024 * 1024
    """Also the largest message over gRPC."""
    max_body_elements: Annotated[int, Field(gt=0)] = BodyBounds().max_elements
    """Of the JSON in a body: values in arrays and members of objects."""
    max_body_depth: Annotated[int, Field(gt=0)] = BodyBounds().max_depth
    """Arrays and objects inside one another."""
    max_held_body_bytes: Annotated[int, Field(gt=0)] = Capacity().body_bytes
    """Of all bodies over 64 KiB that are read or being answered; one that is alone with its key always passes."""
    grpc_max_elements: Annotated[int, Field(gt=0)] = 250_000
    """Fields and numbers that a message may hold, whatever its bytes."""
    grpc_message_timeout: PositiveDuration = timedelta(seconds=60)
    """How long a message may take to arrive once its caller is known."""
    grpc_reads_at_once: Annotated[int, Field(gt=0)] = 64
    """Messages that are arriving at once; further ones wait with the caller."""
    grpc_reads_per_key: Annotated[int, Field(gt=0)] = 8
    """Of those, messages of one key."""
    grpc_unread_bytes: Annotated[int, Field(gt=0)] = 192 * 1024 * 1024
    """Of answers that callers do not read; then no more are given."""
    grpc_unread_bytes_per_key: Annotated[int, Field(gt=0)] = 64 * 1024 * 1024
    """Of those, answers to one key."""
    grpc_streams_per_connection: Annotated[int, Field(gt=0)] = 1000
    """Calls at once over one connection; a client's further ones wait in its library."""
    grpc_connections: Annotated[int, Field(gt=0)] = 4096
    """Connections to the gRPC port at once; further ones are closed."""
    grpc_connection_idle: PositiveDuration = timedelta(minutes=5)
    """How long a connection is kept that has no call."""
    grpc_connection_age: PositiveDuration = timedelta(hours=1)
    """After this, a connection takes no more calls, and the client makes another."""
    max_queued_ledger_rows: Annotated[int, Field(gt=0)] = 10_000
    sql_pool_size: Annotated[int, Field(gt=0)] = DatabaseLimits().pool_size
    """Connections of one process to the database, at most."""
    sql_connect_timeout: PositiveDuration = DatabaseLimits().connect_timeout
    """For a connection to the database, a new one or a free one."""
    sql_statement_timeout: PositiveDuration = DatabaseLimits().statement_timeout

    @property
    def capacity(self) -> Capacity:
        """What the process takes in at once, and each tenant's and key's share of it."""
        return Capacity(
            requests=self.max_in_flight,
            body_bytes=self.max_held_body_bytes,
            tenant_ratio=self.tenant_share,
            key_ratio=self.key_share,
        )

    @property
    def body_bounds(self) -> BodyBounds:
        """What a body may hold."""
        return BodyBounds(max_elements=self.max_body_elements, max_depth=self.max_body_depth)

    @property
    def key_freshness(self) -> KeyFreshness:
        """How long a looked-up key is trusted."""
        return KeyFreshness(self.key_fresh, self.key_stale, self.key_lookup_timeout)

    @property
    def database_limits(self) -> DatabaseLimits:
        """What the process may use of the database."""
        return DatabaseLimits(
            pool_size=self.sql_pool_size,
            connect_timeout=self.sql_connect_timeout,
            statement_timeout=self.sql_statement_timeout,
        )


_DEFAULT_TIERS = {
    "free": TierSettings(requests_per_minute=10, concurrent_requests=2),
    "pro": TierSettings(requests_per_minute=100),
    "enterprise": TierSettings(requests_per_minute=1000),
}


class StorageSettings(Section):
    """What copying the database needs: no tenant and no key."""

    sql: DatabaseUrl = ""
    secrets: Secrets = Secrets()


class Settings(Section):
    """The gateway's sections."""

    listen: Listen = Listen()
    tenants: list[TenantSettings] = []
    tiers: dict[str, TierSettings] = {}
    operator: OperatorSettings = OperatorSettings()
    redis: Redis = Redis()
    sql: DatabaseUrl = ""
    secrets: Secrets = Secrets()
    telemetry: Telemetry = Telemetry()
    cache: CacheSwitch = CacheSwitch()
    gateway: GatewaySettings = GatewaySettings()

    def tier(self, name: str) -> TierSettings | None:
        """Return a tier by name: the file's own before the built-in ones."""
        return self.tiers.get(name) or _DEFAULT_TIERS.get(name)

    def tenants_by_name(self) -> dict[str, Tenant]:
        """Return the tenants as the domain knows them."""
        return {
            tenant.name: Tenant(
                name=tenant.name,
                tier=self._tier_of(tenant),
                models=frozenset(tenant.models),
                regions=tuple(tenant.regions),
            )
            for tenant in self.tenants
        }

    def directory(self) -> TenantDirectory:
        """Return the tenants, and the tiers that created ones can have."""
        tiers = {name: _tier(name, limits) for name, limits in {**_DEFAULT_TIERS, **self.tiers}.items()}
        return TenantDirectory(self.tenants_by_name(), tiers)

    def configured_keys(self, pepper: bytes) -> dict[bytes, KeyRecord]:
        """Return the keys that the file names, by digest."""
        keys = [(tenant.name, f"config-{tenant.name}", tenant.keys, KeyScope.INFERENCE) for tenant in self.tenants]
        keys.append(("", "config-operator", self.operator.keys, KeyScope.OPERATOR))
        records: dict[bytes, KeyRecord] = {}
        for tenant, prefix, secrets, scope in keys:
            for number, key in enumerate(secrets, start=1):
                digest = digest_of(pepper, key.get_secret_value())
                records[digest] = KeyRecord(f"{prefix}-{number}", tenant, digest, frozenset({scope}))
        return records

    def _tier_of(self, tenant: TenantSettings) -> Tier:
        if isinstance(tenant.tier, str):
            return _tier(tenant.tier, self.tier(tenant.tier) or TierSettings())
        return _tier("own", tenant.tier)

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        names: set[str] = set()
        owners: dict[str, str] = {}
        for tenant in self.tenants:
            if tenant.name in names:
                raise ValueError(f"the tenant '{tenant.name}' is defined twice")
            names.add(tenant.name)
            if isinstance(tenant.tier, str) and self.tier(tenant.tier) is None:
                known = ", ".join(sorted({*self.tiers, *_DEFAULT_TIERS}))
                raise ValueError(f"the tenant '{tenant.name}' has the tier '{tenant.tier}'; known are {known}")
            _check_keys(f"the tenant '{tenant.name}'", tenant.keys, owners)
        _check_keys("the operator", self.operator.keys, owners)
        return self


def _tier(name: str, limits: TierSettings) -> Tier:
    return Tier(name, limits.requests_per_minute, limits.concurrent_requests)


def _check_keys(owner: str, keys: list[Secret], owners: dict[str, str]) -> None:
    """Note whose the keys are; a key proves one thing, so it may be there once."""
    for secret in (key.get_secret_value() for key in keys):
        if secret in owners:
            raise ValueError(f"{owner} has a key that {owners[secret].removeprefix('the tenant ')} has")
        if len(secret) < MIN_KEY_LENGTH:
            raise ValueError(f"a key of {owner} is shorter than {MIN_KEY_LENGTH} characters")
        owners[secret] = owner
