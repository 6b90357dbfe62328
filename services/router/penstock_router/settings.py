"""What the router reads of the configuration: no provider's address, no key."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, model_validator

from penstock_common.configuration import Section
from penstock_common.sections import Price, PublicModel, split_candidate


class UpstreamModelSettings(Section):
    """A model at an upstream, as far as routing cares."""

    model_config = ConfigDict(extra="ignore")

    name: str
    context_window: Annotated[int, Field(gt=0)]
    capabilities: list[str] = ["chat"]
    price: Price = Price()


class UpstreamSettings(Section):
    """An upstream, as far as routing cares."""

    model_config = ConfigDict(extra="ignore")

    name: str
    region: str = ""
    models: list[UpstreamModelSettings] = []


class Settings(Section):
    """The router's sections."""

    upstreams: list[UpstreamSettings] = []
    models: list[PublicModel] = []

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        known = {(upstream.name, model.name) for upstream in self.upstreams for model in upstream.models}
        names: set[str] = set()
        for model in self.models:
            if model.name in names:
                raise ValueError(f"the model '{model.name}' is defined twice")
            names.add(model.name)
            _check_candidates(model, known)
        return self


def _check_candidates(model: PublicModel, known: set[tuple[str, str]]) -> None:
    if model.policy is not None or model.routes:
        raise ValueError(
            f"the model '{model.name}' uses policy or routes, which this version does not have yet; name candidates"
        )
    if not model.candidates:
        raise ValueError(f"the model '{model.name}' names no candidates")
    for candidate in (*model.candidates, *model.weights):
        if split_candidate(candidate) not in known:
            raise ValueError(f"the model '{model.name}' names the candidate '{candidate}', which no upstream has")
    for candidate in model.weights:
        if candidate not in model.candidates:
            raise ValueError(f"the model '{model.name}' weighs '{candidate}', which is not among its candidates")
