"""What the inference service reads of the configuration: upstreams and their models."""

from __future__ import annotations

from typing import Annotated

from pydantic import model_validator

from penstock_common.configuration import RELOADED, Section
from penstock_common.faults import refuse
from penstock_common.sections import ReloadSettings
from penstock_inference.adapters.providers.registry import AnyUpstreamSettings


class Settings(Section):
    """The inference service's sections."""

    upstreams: Annotated[list[AnyUpstreamSettings], RELOADED] = []
    """Whom Penstock calls: a provider, or a server of your own, and the models that it has there."""
    reload: Annotated[ReloadSettings, RELOADED] = ReloadSettings()

    @model_validator(mode="after")
    def _distinct(self) -> Settings:
        names = [upstream.name for upstream in self.upstreams]
        refuse(
            (("upstreams", index, "name"), f"two upstreams have the same name '{name}'")
            for index, name in enumerate(names)
            if name in names[:index]
        )
        return self
