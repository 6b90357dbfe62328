"""What the suite itself reads of the configuration, and every section that the file may have."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from penstock_common.addresses import Listen
from penstock_common.configuration import RELOADED, Configuration, Duration, Section
from penstock_common.datasheet.files import DatasheetSettings
from penstock_common.faults import nearest, refuse
from penstock_common.sections import (
    NetworkText,
    PublicModel,
    Qdrant,
    QdrantUrl,
    Redis,
    ReloadSettings,
    Secrets,
    Services,
    Telemetry,
)
from penstock_suite.estimate_settings import EstimateSection

# Whoever connects to an address of this machine comes from that address.
_ADDRESSES = {"localhost": "127.0.0.1"}


class Document(BaseModel):
    """The file as it is written: references unresolved, overrides from the environment applied."""

    model_config = ConfigDict(extra="forbid")

    listen: Any = None
    datasheets: Any = None
    upstreams: Any = None
    hedging: Any = None
    reasoning: Any = None
    health: Any = None
    models: Any = None
    router: Any = None
    cache: Any = None
    embedding: Any = None
    knowledge: Any = None
    services: Any = None
    redis: Any = None
    sql: Any = None
    qdrant: Any = None
    telemetry: Any = None
    state_dir: Any = None
    secrets: Any = None
    tenants: Any = None
    tiers: Any = None
    operator: Any = None
    gateway: Any = None
    admission: Any = None
    retention: Any = None
    ledger: Any = None
    prompts: Any = None
    oidc: Any = None
    feedback: Any = None
    reviews: Any = None
    jobs: Any = None
    batches: Any = None
    idempotency: Any = None
    guardrails: Any = None
    responses: Any = None
    experiments: Any = None
    experimenting: Any = None
    budgets: Any = None
    webhooks: Any = None
    budget_watch: Any = None
    webhook_delivery: Any = None
    reload: Any = None
    estimate: Any = None
    local: Any = None

    @classmethod
    def of(cls, configuration: Configuration) -> dict[str, Any]:
        """Return the sections that the file has.

        Raises:
            ConfigurationError: if it has one that nobody knows.
        """
        configuration.refuse_unknown_sections(set(cls.model_fields))
        return cls.known_of(configuration)

    @classmethod
    def known_of(cls, configuration: Configuration) -> dict[str, Any]:
        """Return the sections that the file has and somebody knows."""
        document = configuration.settings(cls).model_dump(exclude_unset=True)
        if "embedding" in document and document["embedding"] is None:
            # A section without a word takes its defaults.
            document["embedding"] = {}
        return document


class TlsSettings(Section):
    """PEM files of the edge's certificate chain and its key."""

    cert_file: Path
    """The certificate, with the chain below the authority."""
    key_file: Path
    """Its private key, unencrypted."""

    @property
    def ca_file(self) -> None:
        """Strangers show no certificate."""


class ListenSettings(Section):
    """Public addresses; port 0 takes a free one."""

    http: Listen = "127.0.0.1:8080"
    """REST, the wire formats, `/healthz` and `/readyz`; change the port here."""
    grpc: Listen = "127.0.0.1:8081"
    """The contract's services over gRPC."""
    tls: TlsSettings | None = None
    cors_origins: list[str] = []
    """Origins whose pages may call the API from a browser, such as https://app.example.com; "*" alone is every one."""
    pages: bool = True
    """Whether the HTTP port serves a front page and a browser of the API, at / and /docs."""
    trusted_proxies: list[NetworkText] = []
    """Ranges of the balancers in front, whose X-Forwarded-For says where a request comes from."""
    proxy_protocol: bool = False
    """Connections from them to ``http`` begin with a PROXY header, version 1 or 2. gRPC has no such thing here."""
    reflection: bool = True
    """Whether gRPC reflection tells strangers the public methods and messages."""

    def awaits_proxy_header(self, host: str) -> bool:
        """Return whether connections from this machine to itself at ``host`` begin with a PROXY header."""
        if not self.proxy_protocol:
            return False
        try:
            here = ip_address(_ADDRESSES.get(host, host))
        except ValueError:
            # A name, of whatever address.
            return False
        return any(here in ip_network(text) for text in self.trusted_proxies)

    @model_validator(mode="after")
    def _known_proxies(self) -> ListenSettings:
        if self.proxy_protocol and not self.trusted_proxies:
            raise ValueError("'proxy_protocol' needs 'trusted_proxies': whose PROXY headers count")
        return self


class UpstreamModelSettings(Section):
    """A model at an upstream, as far as starting Triton cares."""

    model_config = ConfigDict(extra="ignore")

    name: str


class UpstreamSettings(Section):
    """An upstream, as far as starting Triton cares."""

    model_config = ConfigDict(extra="ignore")

    name: str
    provider: str
    grpc: str = ""
    models: list[UpstreamModelSettings] = []
    model_control: dict[str, Any] | None = None

    @property
    def is_local_triton(self) -> bool:
        """Whether the suite starts it: a Triton without an address."""
        return self.provider == "triton" and not self.grpc


class TenantSettings(Section):
    """A tenant, as far as its demo key is concerned."""

    model_config = ConfigDict(extra="ignore")

    name: str


class CacheSwitch(Section):
    """Whether there is a cache."""

    model_config = ConfigDict(extra="ignore")

    mode: Annotated[
        Literal["off", "exact", "semantic"], BeforeValidator(lambda value: "off" if value is False else value)
    ] = "exact"


class VectorPlace(Section):
    """Where vectors are, as far as starting their engine cares."""

    model_config = ConfigDict(extra="ignore")

    url: QdrantUrl = ""
    path: Path | None = None


class LocalSettings(Section):
    """The parts that the local stack starts; what is not said is found where `make setup` puts it."""

    demo_tenant: str = ""
    """The tenant that gets the state folder's demo key."""
    documentation: str = ""
    """A knowledge base of `demo_tenant` that holds Penstock's own documentation; empty for none. It is taken in beside the
    requests, at the first start, and again where the documentation has changed."""
    triton_environment: Path | None = None
    """What `deploy/triton/install.sh` made."""
    triton_repository: Path | None = None
    """The folder of Triton's models."""
    edge: Path | None = None
    """The program `penstock-edge`."""
    redis_server: Path | None = None
    """The program `redis-server`."""
    model_patience: Annotated[Duration, Field(ge=timedelta(), le=timedelta(minutes=10))] = timedelta(seconds=30)
    """How long `penstock up` waits for the embedding model of `cache.mode: semantic` before it says that it is ready; it
    loads on meanwhile, and until it has, nothing is matched by meaning (`miss; reason=away`)."""
    kept_logs: Annotated[int, Field(ge=0, le=100)] = 5
    """Logs of earlier runs that each part keeps beside its own, as `NAME.log.1` and so on."""


class Joined(Section):
    """Which services there are beside the gateway, the router and the inference service."""

    cache: CacheSwitch = CacheSwitch()
    embedding: dict[str, Any] | None = None

    @property
    def has_cache(self) -> bool:
        """Whether the cache service is built."""
        return self.cache.mode != "off"

    @property
    def matches_meaning(self) -> bool:
        """Whether the cache answers what was asked in other words."""
        return self.cache.mode == "semantic"


class Settings(Joined, DatasheetSettings, EstimateSection):
    """The suite's sections."""

    listen: ListenSettings = ListenSettings()
    upstreams: list[UpstreamSettings] = []
    models: list[PublicModel] = []
    redis: Redis = Redis()
    secrets: Secrets = Secrets()
    telemetry: Telemetry = Telemetry()
    state_dir: Path | None = None
    """The one folder with everything that a local stack keeps; the option --state and $PENSTOCK_STATE_DIR go before it."""
    services: Services | None = None
    qdrant: VectorPlace = VectorPlace()
    """Where vectors are, of what the cache matches by meaning: a Qdrant server, or the engine that is part of this."""
    tenants: list[TenantSettings] = []
    reload: Annotated[ReloadSettings, RELOADED] = ReloadSettings()
    local: LocalSettings = LocalSettings()

    @property
    def local_triton_models(self) -> dict[str, list[str]]:
        """The models that a local Triton must serve, by upstream."""
        return {
            upstream.name: [model.name for model in upstream.models]
            for upstream in self.upstreams
            if upstream.is_local_triton
        }

    @property
    def controls_local_triton(self) -> bool:
        """Whether the local Triton's models are loaded and unloaded on request."""
        return any(upstream.is_local_triton and upstream.model_control is not None for upstream in self.upstreams)

    @property
    def has_engine(self) -> bool:
        """Whether the vectors' engine is part of the stack."""
        return self.matches_meaning and not self.qdrant.url

    @property
    def needs_redis(self) -> bool:
        """Whether somebody wants a Redis that the configuration does not name."""
        return not self.redis.state or (self.has_cache and not self.redis.cache)

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        known = [tenant.name for tenant in self.tenants]
        demo = self.local.demo_tenant
        if demo and demo not in known:
            refuse([(("local", "demo_tenant"), f"it is '{demo}', which 'tenants' does not have{nearest(demo, known)}")])
        return self


class VectorSettings(Section):
    """Where vectors are, for whoever opens their engine."""

    qdrant: Qdrant = Qdrant()


class PatienceSettings(Section):
    """What is waited for while a configuration is taken over."""

    reload: ReloadSettings = ReloadSettings()


class RoleSettings(DatasheetSettings):
    """What `penstock serve` reads beside a role's own sections."""

    listen: ListenSettings = ListenSettings()
    services: Services = Services()
    secrets: Secrets = Secrets()
    telemetry: Telemetry = Telemetry()
    cache: CacheSwitch = CacheSwitch()
