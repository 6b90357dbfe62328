"""What the gateway reads of the configuration."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_network
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from penstock_common.addresses import DatabaseUrl
from penstock_common.addresses import Listen as ListenAddress
from penstock_common.configuration import MAX_INT32, RELOADED, Duration, Section
from penstock_common.degradation import DegradationStep
from penstock_common.faults import KeyPath, nearest, refuse
from penstock_common.priority import PRIORITIES
from penstock_common.sections import GivenAgain, NetworkText, Redis, Secrets, Telemetry
from penstock_common.sql.address import DatabaseLimits
from penstock_gateway.admission_settings import AdmissionSettings
from penstock_gateway.batch_settings import BatchSettings
from penstock_gateway.budget_settings import BudgetSections, budgets_at_odds
from penstock_gateway.domain.access.authentication import KeyFreshness
from penstock_gateway.domain.access.identity import KeyRecord, KeyScope, Tenant, Tier, digest_of
from penstock_gateway.domain.access.networks import Network
from penstock_gateway.domain.access.tenancy import TenantDirectory
from penstock_gateway.domain.life.door import Capacity
from penstock_gateway.domain.life.forks import Choices
from penstock_gateway.domain.life.ladder import Ladder, Rung, SmallerModel, StaleAnswer, Template
from penstock_gateway.domain.prompts.library import LibraryTerms
from penstock_gateway.experiment_settings import ExperimentSections, experiments_at_odds
from penstock_gateway.feedback_settings import FeedbackSettings
from penstock_gateway.guardrail_settings import GuardrailSettings, guardrails_at_odds
from penstock_gateway.idempotency_settings import IdempotencySettings
from penstock_gateway.job_settings import JobSettings
from penstock_gateway.ledger_settings import LedgerSettings
from penstock_gateway.oidc_settings import OidcSettings, oidc_at_odds
from penstock_gateway.price_settings import PricedUpstream
from penstock_gateway.public_names import EmbeddingName, PublicName
from penstock_gateway.response_settings import ResponseSettings
from penstock_gateway.retention_settings import RetentionSettings
from penstock_gateway.review_settings import ReviewSettings, reviews_at_odds
from penstock_gateway.surfaces.wire_formats.body_bounds import BodyBounds
from penstock_gateway.tenant_settings import OperatorSettings, TenantSettings, TierSettings

MIN_KEY_LENGTH = 16

_REVOKED_WITHIN = timedelta(seconds=5)

Ratio = Annotated[float, Field(gt=0, le=1)]


class Listen(Section):
    """Public addresses: REST and wire formats at the edge, gRPC at the gateway."""

    model_config = ConfigDict(extra="ignore")

    http: ListenAddress = "127.0.0.1:8080"
    grpc: ListenAddress = "127.0.0.1:8081"
    trusted_proxies: list[NetworkText] = []
    """Ranges of the balancers in front, whose X-Forwarded-For says where a request comes from."""
    reflection: bool = True
    """Whether gRPC reflection tells strangers the public methods and messages."""

    @property
    def trusted_networks(self) -> tuple[Network, ...]:
        """The ranges as the domain knows them."""
        return tuple(ip_network(text) for text in self.trusted_proxies)


def _read_switch(value: Any) -> Any:
    # YAML reads a bare `off` as false.
    return "off" if value is False else value


class CacheSwitch(GivenAgain):
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


class GatewaySettings(Section):
    """Bounds of one gateway process."""

    max_in_flight: Annotated[int, Field(gt=0)] = 8192
    """Requests at once; more are refused with Retry-After."""
    unary_timeout: PositiveDuration = timedelta(seconds=60)
    """Deadline of a request that does not stream, where the caller sets none; also the longest a caller may set."""
    stream_timeout: PositiveDuration = timedelta(seconds=600)
    """The same for a stream."""
    hold_back: Duration = timedelta(seconds=10)
    """How long a stream's headers wait for its first content, so that a failure still has a status."""
    degradation_reserve: Duration = timedelta(milliseconds=250)
    """What of a request's time, a tenth at most, models leave for a stale answer or a text, where `degradation` has one."""
    keep_alive: PositiveDuration = timedelta(seconds=15)
    """Silence after which a stream gets a comment."""
    write_timeout: PositiveDuration = timedelta(seconds=60)
    """How long an answer waits for a caller who does not read; then the connection is cut."""
    redis_timeout: PositiveDuration = timedelta(milliseconds=50)
    """What a look at the limits in Redis may take; then this process counts by itself."""
    cache_lookup_timeout: PositiveDuration = timedelta(milliseconds=100)
    """What a look into the cache may take; then it counts as a miss."""
    cache_store_timeout: PositiveDuration = timedelta(seconds=1)
    """What keeping an answer may take; then it is not kept."""
    router_timeout: PositiveDuration = timedelta(seconds=10)
    """What the router may take."""
    knowledge_search_timeout: PositiveDuration = timedelta(seconds=5)
    """Of one search of documents."""
    knowledge_timeout: PositiveDuration = timedelta(seconds=30)
    """Of all else that documents are asked about, such as accepting one."""
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
    max_body_bytes: Annotated[int, Field(gt=0, le=MAX_INT32)] = 32 * 1024 * 1024
    """Largest body of a request, and largest message over gRPC."""
    max_body_elements: Annotated[int, Field(gt=0)] = BodyBounds().max_elements
    """Of the JSON in a body: values in arrays and members of objects."""
    max_body_depth: Annotated[int, Field(gt=0)] = BodyBounds().max_depth
    """Arrays and objects inside one another."""
    max_held_body_bytes: Annotated[int, Field(gt=0)] = Capacity().body_bytes
    """Of all bodies over 64 KiB that are read or being answered; one that is alone with its key always passes."""
    grpc_max_elements: Annotated[int, Field(gt=0)] = 100_000
    """Fields and numbers that a message may hold, whatever its bytes."""
    grpc_message_timeout: PositiveDuration = timedelta(seconds=60)
    """How long a message may take to arrive once its caller is known."""
    grpc_reads_at_once: Annotated[int, Field(gt=0)] = 16
    """Messages that are arriving at once; further ones wait with the caller."""
    grpc_reads_per_key: Annotated[int, Field(gt=0)] = 2
    """Of those, messages of one key."""
    grpc_unread_bytes: Annotated[int, Field(gt=0)] = 192 * 1024 * 1024
    """Of answers that callers do not read; then no more are given."""
    grpc_unread_bytes_per_key: Annotated[int, Field(gt=0)] = 64 * 1024 * 1024
    """Of those, answers to one key."""
    grpc_streams_per_connection: Annotated[int, Field(gt=0, le=MAX_INT32)] = 1000
    """Calls at once over one connection; a client's further ones wait in its library."""
    grpc_connections: Annotated[int, Field(gt=0, le=MAX_INT32)] = 4096
    """Connections to the gRPC port at once; further ones are closed."""
    grpc_connection_idle: PositiveDuration = timedelta(minutes=5)
    """How long a connection is kept that has no call."""
    grpc_connection_age: PositiveDuration = timedelta(hours=1)
    """After this, a connection takes no more calls, and the client makes another."""
    max_queued_ledger_rows: Annotated[int, Field(gt=0)] = 10_000
    """Rows that wait for the database; while it is away and the queue is full, requests are refused."""
    sql_pool_size: Annotated[int, Field(gt=0)] = DatabaseLimits().pool_size
    """Connections of one process to the database, at most."""
    sql_connect_timeout: PositiveDuration = DatabaseLimits().connect_timeout
    """For a connection to the database, a new one or a free one."""
    sql_statement_timeout: PositiveDuration = DatabaseLimits().statement_timeout
    """For one statement, waiting for a lock included."""

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


class PromptSettings(Section):
    """Prompts as requests use them."""

    label_age: Duration = LibraryTerms().label_age
    """How long a process goes by where a label pointed; so a label that is moved, or a prompt that is archived, holds
    everywhere after that. 0s: each request asks the database."""
    kept: Annotated[int, Field(gt=0)] = LibraryTerms().kept
    """Prompts, and versions of prompts, that a process keeps ready; the one that was used longest ago goes first."""


_DEFAULT_TIERS = {
    "free": TierSettings(requests_per_minute=10, concurrent_requests=2),
    "pro": TierSettings(requests_per_minute=100),
    "enterprise": TierSettings(requests_per_minute=1000),
}


class StorageSettings(Section):
    """What copying the database needs: no tenant and no key."""

    sql: DatabaseUrl = ""
    secrets: Secrets = Secrets()


class BoundsSettings(Section):
    """What stands before a gateway needs to know of its bounds."""

    gateway: GatewaySettings = GatewaySettings()


class Settings(ExperimentSections, BudgetSections):
    """The gateway's sections."""

    listen: Listen = Listen()
    models: Annotated[list[PublicName], RELOADED] = []
    embedding: EmbeddingName | None = None
    tenants: Annotated[list[TenantSettings], RELOADED] = []
    """Who may ask. None: one tenant, `demo`, with a key in the state folder."""
    tiers: Annotated[dict[str, TierSettings], RELOADED] = {}
    """Limits by name, beside or in the place of `free`, `pro` and `enterprise`; unset means unlimited."""
    operator: Annotated[OperatorSettings, RELOADED] = OperatorSettings()
    oidc: Annotated[list[OidcSettings], Field(max_length=16)] = []
    """Whose tokens are accepted in the place of API keys ([identity](identity.md))."""
    redis: Redis = Redis()
    sql: DatabaseUrl = ""
    """Keys, tenants, users, the audit log and the ledger: `sqlite:///path`, or `postgresql://user@host/name`. Not said:
    a file in the state folder of `penstock up`."""
    secrets: Secrets = Secrets()
    telemetry: Telemetry = Telemetry()
    cache: CacheSwitch = CacheSwitch()
    gateway: GatewaySettings = GatewaySettings()
    admission: AdmissionSettings = AdmissionSettings()
    retention: RetentionSettings = RetentionSettings()
    ledger: LedgerSettings = LedgerSettings()
    upstreams: Annotated[list[PricedUpstream], RELOADED] = []
    prompts: PromptSettings = PromptSettings()
    jobs: JobSettings = JobSettings()
    batches: BatchSettings = BatchSettings()
    idempotency: IdempotencySettings = IdempotencySettings()
    responses: ResponseSettings = ResponseSettings()
    feedback: FeedbackSettings = FeedbackSettings()
    reviews: ReviewSettings = ReviewSettings()
    guardrails: Annotated[GuardrailSettings, RELOADED] = GuardrailSettings()

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
                time_zone=tenant.time_zone,
                stores_responses=tenant.store_responses,
                hands_batches=tenant.provider_batches,
            )
            for tenant in self.tenants
        }

    def directory(self) -> TenantDirectory:
        """Return the tenants, and the tiers that created ones can have."""
        tiers = {name: _tier(name, limits) for name, limits in {**_DEFAULT_TIERS, **self.tiers}.items()}
        return TenantDirectory(self.tenants_by_name(), tiers, self.public_models())

    def public_models(self) -> frozenset[str]:
        """Return the names that callers may ask for; none where this file does not say."""
        names = [model.name for model in self.models]
        return frozenset([*names, *self.embedding.names] if names and self.embedding is not None else names)

    def forks(self) -> Choices:
        """Return the public models that lead to others, and those with a policy."""
        return Choices(
            frozenset([model.name for model in self.models if model.routes]),
            frozenset([model.name for model in self.models if model.policy is not None]),
        )

    def ladders(self) -> dict[str, Ladder]:
        """Return what stands in for the answers of public models, by their names, where something does."""
        reserve = self.gateway.degradation_reserve
        rungs = {model.name: map(_rung, model.degradation) for model in self.models if model.degradation}
        return {name: Ladder.of(*steps, reserve=reserve) for name, steps in rungs.items()}

    def on_budget(self) -> dict[str, str]:
        """Return the public models that stand in where a budget has no room, by the names of those that they stand in for."""
        return {model.name: model.on_budget.model for model in self.models if model.on_budget is not None}

    def configured_keys(self, pepper: bytes) -> dict[bytes, KeyRecord]:
        """Return the keys that the file names, by digest."""
        inference, operator, labels = frozenset({KeyScope.INFERENCE}), frozenset({KeyScope.OPERATOR}), frozenset[str]()
        keys = [
            (tenant.name, f"config-{tenant.name}", tenant.keys, inference, frozenset(tenant.labels))
            for tenant in self.tenants
        ]
        keys.append(("", "config-operator", self.operator.keys, operator, labels))
        records: dict[bytes, KeyRecord] = {}
        for tenant, prefix, secrets, scopes, labels in keys:
            for number, key in enumerate(secrets, start=1):
                digest = digest_of(pepper, key.get_secret_value())
                records[digest] = KeyRecord(f"{prefix}-{number}", tenant, digest, scopes, labels=labels)
        return records

    def _tier_of(self, tenant: TenantSettings) -> Tier:
        if isinstance(tenant.tier, str):
            return _tier(tenant.tier, self.tier(tenant.tier) or TierSettings())
        return _tier("own", tenant.tier)

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        experiments = experiments_at_odds(self.experiments, self.public_models())
        budgets = budgets_at_odds(self.budgets, self.webhooks)
        oidc = oidc_at_odds(self.oidc, self.public_models())
        reviews = reviews_at_odds(self.reviews, self.webhooks)
        guardrails = guardrails_at_odds(self.guardrails)
        own = *self._tenants_at_odds(), *self._keys_at_odds()
        refuse([*own, *experiments, *budgets, *oidc, *reviews, *guardrails])
        return self

    def _tenants_at_odds(self) -> Iterator[tuple[KeyPath, str]]:
        names: set[str] = set()
        for index, tenant in enumerate(self.tenants):
            if tenant.name in names:
                yield ("tenants", index, "name"), f"the tenant '{tenant.name}' is defined twice"
            names.add(tenant.name)
            if isinstance(tenant.tier, str) and self.tier(tenant.tier) is None:
                known = nearest(tenant.tier, {*self.tiers, *_DEFAULT_TIERS})
                yield ("tenants", index, "tier"), f"the tenant '{tenant.name}' has the tier '{tenant.tier}'{known}"

    def _keys_at_odds(self) -> Iterator[tuple[KeyPath, str]]:
        """Yield what is wrong with keys: one proves one thing, so it may be there once."""
        holders = [(f"the tenant '{one.name}'", ("tenants", at), one.keys) for at, one in enumerate(self.tenants)]
        owners: dict[str, str] = {}
        for owner, path, keys in (*holders, ("the operator", ("operator",), self.operator.keys)):
            for number, key in enumerate(keys):
                text, where = key.get_secret_value(), (*path, "keys", number)
                if text in owners:
                    yield where, f"{owner} has a key that {owners[text].removeprefix('the tenant ')} has"
                elif len(text) < MIN_KEY_LENGTH:
                    yield where, f"a key of {owner} is shorter than {MIN_KEY_LENGTH} characters"
                owners.setdefault(text, owner)


def _rung(step: DegradationStep) -> Rung:
    if step.model is not None:
        return SmallerModel(step.model)
    return Template(step.texts) if step.stale_if_error is None else StaleAnswer(step.stale_if_error)


def _tier(name: str, limits: TierSettings) -> Tier:
    priority = PRIORITIES[limits.priority]
    return Tier(name, priority, limits.rules())
