"""Sections of the configuration file that several roles read."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from penstock_common.configuration import ConfigurationError, Duration, Secret, Section
from penstock_common.llm.types import NANO_USD_PER_USD, UnitPrices, UnsupportedFields

Policy = Literal["balanced", "cost", "latency", "quality"]
Usd = Annotated[Decimal, Field(ge=0, le=1_000_000)]


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
    candidates: list[str] = []
    weights: dict[str, Annotated[int, Field(ge=0)]] = {}
    """Share of traffic that a candidate gets as the first choice; unnamed ones keep their order behind."""
    policy: Policy | None = None
    routes: dict[str, str] = {}
    unsupported: UnsupportedFields = UnsupportedFields.REFUSE
    """What becomes of a request's fields that no candidate takes: ``refuse``, ``drop`` (the answer says so in
    ``x-penstock-dropped``) or ``pass`` (they are sent all the same). Candidates that take all of them are asked first."""

    @field_validator("candidates")
    @classmethod
    def _well_formed(cls, value: list[str]) -> list[str]:
        for candidate in value:
            try:
                split_candidate(candidate)
            except ConfigurationError as error:
                raise ValueError(str(error)) from None
        return value


class Price(Section):
    """What a model costs, in USD per million tokens; what is not said is free, cached input costs as much as fresh."""

    input: Usd = Decimal(0)
    cached_input: Usd | None = None
    output: Usd = Decimal(0)

    def unit_prices(self) -> UnitPrices:
        """Return the prices in nano-dollars per million tokens, rounded to whole ones."""
        cached = self.input if self.cached_input is None else self.cached_input
        return UnitPrices(
            input_nano_usd=_nano_usd(self.input),
            cached_input_nano_usd=_nano_usd(cached),
            output_nano_usd=_nano_usd(self.output),
        )


def _nano_usd(usd: Decimal) -> int:
    return int((usd * NANO_USD_PER_USD).to_integral_value())


class Redis(Section):
    """Where Redis is: ``unix:///path`` or ``redis://host:port/db``. Empty means none."""

    state: str = ""
    """Limits and reservations; losing it degrades."""
    cache: str = ""
    """Cached answers; may evict."""


class Telemetry(Section):
    """Where traces and metrics go, and how many."""

    otlp: str = ""
    """OTLP over gRPC, such as http://127.0.0.1:4317. Empty: nothing is exported."""
    sample_ratio: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Share of requests whose spans are exported, besides failed and slow ones."""
    metrics_listen: str = ""
    """host:port where Prometheus may scrape. Empty: nowhere."""
    capture_content: bool = False
    """Put prompts and answers into spans. They hold what your users wrote."""


class Secrets(Section):
    """Files of key material; each holds at least 32 random bytes."""

    key_pepper_file: Path | None = None
    cache_key_file: Path | None = None
    service_token_file: Path | None = None
    """ASCII; what the suite's processes show each other where they have no certificates."""
    edge_token_file: Path | None = None
    """ASCII; what the edge shows the gateway, so that the client's address it names is believed."""


class Place(Section):
    """Where a role is: ``target`` for its callers, ``listen`` for itself."""

    target: str = ""
    """``host:port``, ``dns:///name:port`` for every address of a name, or ``ipv4:host:port,host:port``."""
    listen: str = ""


class MutualTls(Section):
    """PEM files: each process shows its chain, and talks to those alone that the authority has signed."""

    cert_file: Path
    key_file: Path
    ca_file: Path


class Services(Section):
    """Where the roles are when each is a process, and how they trust each other."""

    gateway: Place = Place(listen="127.0.0.1:8082")
    """Its ``listen`` is for the wire formats, behind the edge; gRPC is public and stands in ``listen.grpc``."""
    router: Place = Place(listen="127.0.0.1:9002")
    cache: Place = Place(listen="127.0.0.1:9003")
    embedding: Place = Place(listen="127.0.0.1:9004")
    inference: Place = Place(listen="127.0.0.1:9005")
    tls: MutualTls | None = None
    connection_age: Duration = timedelta(seconds=30)
    """After this long a connection is closed and the name asked again, which is how a new replica gets its share.
    Calls on it go on for ``connection_grace``."""
    connection_grace: Duration = timedelta(minutes=10)
    drain_notice: Duration = timedelta(seconds=1)
    """What a gateway that ends waits between saying so and refusing, so that callers can turn to another first."""

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
    "MutualTls",
    "Place",
    "Policy",
    "Price",
    "PublicModel",
    "Redis",
    "Secret",
    "Secrets",
    "Services",
    "Telemetry",
    "Usd",
    "split_candidate",
]
