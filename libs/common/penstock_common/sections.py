"""Sections of the configuration file that several roles read."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from penstock_common.addresses import HttpUrl, InnerListen, Listen, RedisUrl, Target
from penstock_common.compression import CompressionSettings
from penstock_common.configuration import ConfigurationError, Duration, Secret, Section
from penstock_common.degradation import DegradationStep, OnBudget
from penstock_common.faults import KeyPath, refuse, refuse_key
from penstock_common.llm.types import UnsupportedFields
from penstock_common.prices import Price, Usd
from penstock_common.priority import Priority, Room
from penstock_common.retrieval import KnowledgeSettings
from penstock_common.routes import Policy, Route, RouteRule
from penstock_common.structured_output import StructuredOutputSettings

ParentSampling = Literal["trusted", "always", "never"]
DEFAULT_EMBEDDING_MODEL = "all-MiniLM-L6-v2"
Calls = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]


def split_candidate(text: str) -> tuple[str, str]:
    """Split ``upstream/model`` at the first slash: a model's own name may hold more.

    Raises:
        ConfigurationError: if a side is missing.
    """
    upstream, _, model = text.partition("/")
    if not upstream or not model:
        raise ConfigurationError(f"candidate '{text}' must be written upstream/model")
    return upstream, model


class PublicModel(Section):
    """A model that callers may name: candidates in order of preference, or a policy."""

    name: Annotated[str, Field(min_length=1, max_length=128)]
    """What callers name in their requests."""
    candidates: list[str] = []
    """`upstream/model` in order of preference; the next one is asked where one fails."""
    weights: dict[str, Annotated[int, Field(ge=0)]] = {}
    """Share of traffic that a candidate gets as the first choice; unnamed ones keep their order behind."""
    policy: Policy | None = None
    """Which candidate is asked first: ``cost`` (the least that an answer is likely to cost), ``latency`` (the learned time to
    the first token), ``quality`` or ``balanced`` (all three, weighed). With ``routes``: of whichever model is chosen."""
    rules: list[RouteRule] = []
    """With ``routes``: choices that come before them; the first one whose conditions all hold decides."""
    routes: dict[str, Route] = {}
    """In the place of candidates: public models by the prompt's task (faq, code, reasoning, internal_docs, general), each a
    name or names by complexity (low, medium, high). `default` is for what has no other, and for prompts that tell too little."""
    unsupported: UnsupportedFields = UnsupportedFields.REFUSE
    """What becomes of a request's fields that no candidate takes: ``refuse``, ``drop`` (the answer says so in
    ``x-penstock-dropped``) or ``pass`` (they are sent all the same). Candidates that take all of them are asked first."""
    degradation: list[DegradationStep] = []
    """What callers are given, in this order, where all candidates have failed; the header ``x-penstock-degraded`` says so.
    Empty: the error. A step that a request cannot take is left out, and ``x-penstock-degrade: off`` refuses all."""
    on_budget: OnBudget | None = None
    """What callers are given where a budget has no room for this model, beside ``x-penstock-degraded: budget``; unset: the error."""
    compression: CompressionSettings | None = None
    """Makes tools' results and documents shorter before the model reads them; see [compression](compression.md)."""
    knowledge: KnowledgeSettings | None = None
    """Has knowledge bases searched for passages that answer; see [retrieval in chat](retrieval-in-chat.md)."""
    structured_output: StructuredOutputSettings | None = None
    """Has answers that are to be JSON checked, and asked for again; see [structured output](structured-output.md)."""

    @field_validator("candidates")
    @classmethod
    def _well_formed(cls, value: list[str]) -> list[str]:
        faults: list[tuple[KeyPath, str]] = []
        for index, candidate in enumerate(value):
            try:
                split_candidate(candidate)
            except ConfigurationError as error:
                faults.append(((index,), str(error)))
            if candidate in value[:index]:
                faults.append(((index,), f"the candidate '{candidate}' is named twice"))
        refuse(faults)
        return value


def _names_a_network(text: str) -> str:
    try:
        ip_network(text)
    except ValueError:
        raise PydanticCustomError(
            "network", "a range such as 10.0.0.0/8 or 2001:db8::/32 is expected, without bits beside its prefix"
        ) from None
    return text


NetworkText = Annotated[str, AfterValidator(_names_a_network)]
"""A range of addresses, or an address."""


def _at_least_a_second(value: timedelta) -> timedelta:
    if value < timedelta(seconds=1):
        raise PydanticCustomError("duration", "at least 1s: it is renewed three times in that time")
    return value


class Redis(Section):
    """Where Redis is: ``unix:///path`` or ``redis://host:port/db``. Empty means none."""

    state: RedisUrl = ""
    """Limits and reservations; losing it degrades."""
    cache: RedisUrl = ""
    """Cached answers; may evict."""


def _names_a_server(text: str) -> str:
    if not text:
        return text
    try:
        parts = urlsplit(text)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, named = urlsplit(""), False
    if parts.scheme not in ("http", "https") or not named or parts.path.strip("/") or parts.query or parts.fragment:
        # Not quoted: it may hold a password.
        refuse_key("it must be http://host:6334 or https://host:6334, the port of Qdrant's gRPC")
    if parts.username or parts.password:
        refuse_key("it holds a password: leave it out, and name 'qdrant.api_key'")
    if parts.port == _QDRANT_REST_PORT:
        refuse_key("6333 is the port of Qdrant's REST interface: name that of its gRPC, which is 6334")
    return text


_QDRANT_REST_PORT = 6333
QdrantUrl = Annotated[str, AfterValidator(_names_a_server)]
"""``http://host:6334``, or ``https`` with TLS."""


class Qdrant(Section):
    """Where vectors are kept, and how: a Qdrant server or cluster at ``url``, or the embedded engine."""

    url: QdrantUrl = ""
    """The gRPC of a server, such as http://qdrant:6334. Empty: the embedded engine."""
    path: Path | None = None
    """Folder of the embedded engine, which one process at a time has; `penstock up` takes one in the state folder."""
    api_key: Secret | None = None
    """The server's key; it travels over https, or in a network that you trust."""
    ca_file: Path | None = None
    """The authority that the server's certificate must come from; unset: those that the machine trusts."""
    timeout: Annotated[Duration, Field(gt=timedelta())] = timedelta(milliseconds=100)
    """What one question of the cache may take before it counts as a miss; a search's is in `knowledge.search_leg_timeout`."""
    write_timeout: Annotated[Duration, Field(gt=timedelta())] = timedelta(seconds=5)
    """What a change may take, and whatever else no request waits for."""
    cool_down: Annotated[Duration, Field(gt=timedelta())] = timedelta(seconds=1)
    """After a failure Qdrant is left alone for so long, and what needs it is a miss at once."""
    quantization: Literal["none", "scalar", "binary"] = "none"
    """`scalar` keeps a byte for each number of a vector beside the vector itself and searches those first, `binary` a bit."""
    hnsw_m: Annotated[int, Field(ge=4, le=128)] = 16
    """Edges of a vector in the graph of its tenant: more find better, and take more memory and time to build."""
    hnsw_ef_construct: Annotated[int, Field(ge=4, le=4096)] = 100
    """How many neighbours are looked at where a vector enters the graph."""
    hnsw_ef: Annotated[int, Field(ge=4, le=4096)] = 64
    """How many neighbours a search looks at: more find better, and take longer."""
    hnsw_filtered_ef: Annotated[int, Field(ge=4, le=4096)] = 256
    """The same for a search with a filter of attributes in the embedded engine: many of those it looks at do not meet it."""
    full_scan_kilobytes: Annotated[int, Field(ge=10)] = 10_000
    """A tenant with fewer vectors has no graph: all of its vectors are compared. 10 000 are 6 800 of 384 numbers."""
    indexing_kilobytes: Annotated[int, Field(ge=10)] = 10_000
    """New vectors enter the graphs when there are so many of them; until then they are compared one by one. The embedded
    engine waits with it for a quiet moment, and indexes a copy, which takes the disk's room twice for as long."""
    least_free_bytes: Annotated[int, Field(ge=64 * 1024 * 1024)] = 256 * 1024 * 1024
    """The embedded engine writes nothing that would leave the disk with less: one that is full would end it."""
    flush_interval: Annotated[Duration, Field(gt=timedelta())] = timedelta(seconds=5)
    """What the embedded engine may lose where the power fails; where a process is killed, it loses nothing."""
    replication_factor: Annotated[int, Field(ge=1, le=32)] = 1
    """On how many nodes of a cluster each vector is. Counts when a collection is made."""
    shards: Annotated[int, Field(ge=1, le=1024)] = 1
    """Into how many parts a collection is divided. Counts when it is made."""

    @model_validator(mode="after")
    def _one_engine(self) -> Qdrant:
        if self.url and self.path is not None:
            refuse_key("'path' is of the embedded engine and 'url' of a server: leave out one of them")
        alien = [name for name in ("api_key", "ca_file") if getattr(self, name) is not None]
        if alien and not self.url:
            refuse_key(f"'{alien[0]}' is for a server: name it with 'url', or leave '{alien[0]}' out")
        if self.ca_file is not None and not self.url.startswith("https:"):
            refuse_key("'ca_file' needs an 'url' that begins with https://")
        return self


class GivenAgain(Section):
    """How answers are shared and given again: of section ``cache``, what the gateway does."""

    single_flight: bool = True
    """Whether equal requests that come while one is being answered get that answer as it comes, over all processes that have
    ``redis.cache`` and ``secrets.cache_key_file`` in common. Off for one request by `no-store` or `no-cache`."""
    flight_lease: Annotated[Duration, AfterValidator(_at_least_a_second)] = timedelta(seconds=3)
    """After so long another process goes on with a shared answer whose own is gone."""
    flight_linger: Duration = timedelta(seconds=1)
    """How long a shared answer is still given after its end, to whoever has looked into the cache before it was there."""
    flight_bytes: Annotated[int, Field(gt=0)] = 4 * 1024 * 1024
    """The most of one answer that processes tell each other; of a longer one each generates the rest for itself."""
    replay_pace: Literal["instant"] | Annotated[float, Field(gt=0)] = "instant"
    """How fast a kept answer is streamed: `instant`, or tokens a second."""


class Telemetry(Section):
    """Where traces and metrics go, and how many."""

    otlp: HttpUrl = ""
    """OTLP over gRPC, such as http://127.0.0.1:4317. Empty: nothing is exported."""
    sample_ratio: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Share of requests whose spans are exported, besides failed and slow ones."""
    parent_sampling: ParentSampling = "trusted"
    """Whose word counts that a trace is to be sampled: that of ``listen.trusted_proxies``, everybody's or nobody's."""
    metrics_listen: Listen = ""
    """host:port where Prometheus may scrape. Empty: nowhere."""
    capture_content: bool = False
    """Put prompts and answers into spans. They hold what your users wrote."""


class Secrets(Section):
    """Files of key material; each holds at least 32 random bytes."""

    key_pepper_file: Path | None = None
    """What API keys are digested with; another one, and no stored key works. `penstock up` makes its own."""
    cache_key_file: Path | None = None
    """What wraps the keys that cached answers are sealed with, and seals kept reasoning. `penstock up` makes its own."""
    old_cache_key_files: list[Path] = []
    """What did so before: keys of the cache that one of these wrapped are wrapped anew by ``cache_key_file``."""
    knowledge_key_file: Path | None = None
    """What documents are sealed with: who loses it loses them. `penstock up` makes its own."""
    old_knowledge_key_files: list[Path] = []
    """What did so before: what one of these sealed is still read."""
    service_token_file: Path | None = None
    """ASCII; what the suite's processes show each other where they have no certificates."""
    edge_token_file: Path | None = None
    """ASCII; what the edge shows the gateway, so that the client's address it names is believed."""


class ReloadSettings(Section):
    """How a changed configuration is taken over."""

    earlier_plans: Annotated[Duration, Field(ge=timedelta())] = timedelta(minutes=1)
    """How long models that a reload took away still answer requests whose route was chosen before it."""
    worker_patience: Annotated[Duration, Field(gt=timedelta())] = timedelta(seconds=30)
    """How long `penstock up` waits for a worker to take a revision over, before it is told of as one that has not."""


class Place(Section):
    """Where a role is: ``target`` for its callers, ``listen`` for itself."""

    target: Target = ""
    """``host:port``, ``dns:///name:port`` for every address of a name, or ``ipv4:host:port,host:port``."""
    listen: InnerListen = ""
    """``host:port``, or ``unix:/path``; empty: the role's usual place."""


class MutualTls(Section):
    """PEM files: each process shows its chain, and talks to those alone that the authority has signed."""

    cert_file: Path
    """The process's certificate, with the chain below the authority."""
    key_file: Path
    """Its private key, unencrypted."""
    ca_file: Path
    """The authority's certificate."""


class Peers(Section):
    """Who may call each role, by a DNS name or URI of its certificate; ``*`` is everybody whom the authority signed."""

    gateway: list[str] = ["edge"]
    """At ``services.gateway.listen``; gRPC at ``listen.grpc`` is public."""
    router: list[str] = ["gateway", "worker"]
    """Who may call the router."""
    cache: list[str] = ["gateway", "worker"]
    """Who may call the cache."""
    embedding: list[str] = ["gateway", "cache", "worker"]
    """Who may call the embedding service."""
    inference: list[str] = ["gateway", "worker"]
    """Who may call the inference service."""
    worker: list[str] = []
    """Who may call the worker: nobody need, as it answers health checks alone, which ask for no name."""

    def of(self, role: str) -> list[str]:
        """Return who may call the role."""
        names: list[str] = getattr(self, role)
        return names


class RoomSettings(Section):
    """How many calls one process of a role takes in hand at once; beyond its share of them a class of requests is turned away.

    The gateway's own is ``gateway.max_in_flight``, and the only one where all roles are one process.
    """

    router: Calls = 4096
    """Of the router."""
    cache: Calls = 2048
    """Of the cache; a look-up that it turns away is a miss."""
    embedding: Calls = 2048
    """Of the embedding service."""
    inference: Calls = 8192
    """Of the inference service; an answer counts until its end."""
    critical_share: Share = 0.95
    """How full a process may be and still take in a ``critical`` request; a ``default`` one, too, while no critical ones come."""
    default_share: Share = 0.8
    """The same for ``default`` ones within a minute of a critical one."""
    sheddable_share: Share = 0.7
    """The same for ``sheddable`` ones."""

    @model_validator(mode="after")
    def _least_for_the_least(self) -> RoomSettings:
        if not self.sheddable_share <= self.default_share <= self.critical_share:
            refuse_key(
                "what matters less may not fill more: sheddable_share <= default_share <= critical_share is expected"
            )
        return self

    def of(self, role: str) -> Room:
        """Return what one process of the role takes in."""
        calls: int = getattr(self, role)
        shares = {
            Priority.CRITICAL: self.critical_share,
            Priority.DEFAULT: self.default_share,
            Priority.SHEDDABLE: self.sheddable_share,
        }
        # Who misses the cache has its answer sooner than who asks for it again.
        return Room(service=role, calls=calls, shares=shares, others_may_help=role != "cache")


class Services(Section):
    """Where the roles are when each is a process, and how they trust each other."""

    gateway: Place = Place(listen="127.0.0.1:8082")
    """Its ``listen`` is for the wire formats, behind the edge; gRPC is public and stands in ``listen.grpc``."""
    router: Place = Place(listen="127.0.0.1:9002")
    cache: Place = Place(listen="127.0.0.1:9003")
    embedding: Place = Place(listen="127.0.0.1:9004")
    inference: Place = Place(listen="127.0.0.1:9005")
    worker: Place = Place(listen="127.0.0.1:9006")
    """Its ``listen`` answers health checks; nobody calls it, so its ``target`` says nothing."""
    tls: MutualTls | None = None
    peers: Peers = Peers()
    room: RoomSettings = RoomSettings()
    connection_age: Duration = timedelta(seconds=30)
    """After this long a connection is closed and the name asked again, which is how a new replica gets its share.
    Calls on it go on for ``connection_grace``."""
    connection_grace: Duration = timedelta(minutes=10)
    """What calls on a connection that was closed by its age have to end."""
    drain_notice: Duration = timedelta(seconds=1)
    """What a gateway that ends waits between saying so and refusing, so that callers can turn to another first."""
    probes_listen: Listen = ""
    """host:port of plain `/healthz` and `/readyz`, for an orchestrator that shows no certificate. Empty: nowhere."""

    def listen_of(self, role: str) -> str:
        """Return where the role listens, its usual place where the file does not say."""
        default: Place = type(self).model_fields[role].default
        place: Place = getattr(self, role)
        return place.listen or default.listen

    def target_of(self, role: str) -> str:
        """Return where callers find the role.

        Raises:
            ConfigurationError: if the file does not say.
        """
        place: Place = getattr(self, role)
        if not place.target:
            raise ConfigurationError(
                f"'services.{role}.target' is missing: say where the {role} is, such as dns:///{role}:9002"
            )
        return place.target


__all__ = [
    "DEFAULT_EMBEDDING_MODEL", "MutualTls", "NetworkText", "ParentSampling", "Peers", "Place",
    "Policy", "Price", "PublicModel", "Qdrant", "Redis", "ReloadSettings", "Secret", "Secrets",
    "Services", "Telemetry", "Usd", "split_candidate",
]  # fmt: skip
