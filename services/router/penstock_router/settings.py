"""What the router reads of the configuration: no provider's key, and of its address only whether it is another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, cast

from pydantic import ConfigDict, Field, model_validator

from penstock_common.configuration import MAX_INT32, RELOADED, Section, resolved_if_possible
from penstock_common.degradation import faults_of_ladders
from penstock_common.faults import KeyPath, nearest, refuse
from penstock_common.sections import Price, PublicModel


class _WithIdentity(Section):
    """Of what routing does not care about, keeps what decides who answers, and forgets all else: keys above all."""

    model_config = ConfigDict(extra="allow")
    told_by: ClassVar[tuple[str, ...]]

    @model_validator(mode="before")
    @classmethod
    def _forget(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        wanted = {*cls.model_fields, *cls.told_by}
        return {name: value for name, value in cast("dict[str, Any]", data).items() if name in wanted}

    @property
    def identity(self) -> tuple[str, ...]:
        """Return what tells it from another of its name."""
        known = self.model_extra or {}
        return tuple(resolved_if_possible(known.get(name, "")) for name in self.told_by)


class UpstreamModelSettings(_WithIdentity):
    """A model at an upstream, as far as routing cares."""

    told_by = ("chat_template",)

    name: str
    context_window: Annotated[int, Field(gt=0, le=MAX_INT32)]
    capabilities: list[str] = ["chat"]
    price: Price = Price()


class UpstreamSettings(_WithIdentity):
    """An upstream, as far as routing cares."""

    told_by = ("provider", "base_url", "base_urls", "grpc")

    name: str
    region: str = ""
    models: list[UpstreamModelSettings] = []


class Settings(Section):
    """The router's sections."""

    upstreams: Annotated[list[UpstreamSettings], RELOADED] = []
    models: Annotated[list[PublicModel], RELOADED] = []
    """What callers ask for, each with the candidates that may answer."""

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        known = {f"{upstream.name}/{model.name}" for upstream in self.upstreams for model in upstream.models}
        names: set[str] = set()
        faults: list[tuple[KeyPath, str]] = []
        for index, model in enumerate(self.models):
            path = ("models", index)
            if model.name in names:
                faults.append(((*path, "name"), f"the model '{model.name}' is defined twice"))
            names.add(model.name)
            faults += [((*path, *below), text) for below, text in _at_odds(model, known)]
        for index, found in enumerate(faults_of_ladders([(model.name, model.degradation) for model in self.models])):
            faults += [(("models", index, "degradation", *below), text) for below, text in found]
        refuse(faults)
        return self


def _at_odds(model: PublicModel, known: set[str]) -> Iterator[tuple[KeyPath, str]]:
    for later in ("policy", "routes"):
        if getattr(model, later):
            yield (later,), f"the model '{model.name}' uses it, which this version does not have yet; name candidates"
    if not model.candidates and not (model.policy or model.routes):
        yield ("candidates",), f"the model '{model.name}' names no candidates"
    for index, candidate in enumerate(model.candidates):
        if candidate not in known:
            text = f"the model '{model.name}' names the candidate '{candidate}', which no upstream has"
            yield ("candidates", index), text + nearest(candidate, known)
    for candidate in model.weights:
        if candidate not in model.candidates:
            text = f"the model '{model.name}' weighs '{candidate}', which is not among its candidates"
            yield ("weights", candidate), text + nearest(candidate, model.candidates)
    if model.weights and not any(model.weights.values()):
        yield ("weights",), f"the model '{model.name}' gives nobody any weight"
