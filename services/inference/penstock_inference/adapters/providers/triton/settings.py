"""A Triton Inference Server, as the configuration describes it."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import model_validator

from penstock_common.addresses import Target
from penstock_common.configuration import Secret, Section
from penstock_common.faults import refuse
from penstock_common.file_contents import file_contents
from penstock_inference.adapters.providers.upstream_settings import UpstreamSettings


class ModelControlSettings(Section):
    """Loading and unloading models of a Triton that runs with ``--model-control-mode=explicit``."""

    key: Secret = Secret("")
    """What its ``--grpc-restricted-protocol=model-repository,…:penstock-control=KEY`` says; empty: it asks for none."""


class TritonSettings(UpstreamSettings):
    """One server with the vLLM backend's tensors. It always streams; keys and further fields mean nothing to it."""

    grpc: Target = ""
    """host:port."""
    model_control: ModelControlSettings | None = None
    """Without it, its models cannot be loaded and unloaded from here."""
    base_url: str = ""
    """Not for Triton; empty is as not said."""

    def makings(self) -> tuple[object, ...]:
        """Return what it is made of; see the base. Its models' templates are read when it is opened."""
        templates = {model.chat_template for model in self.models if model.chat_template is not None}
        written = [(path, _content(path)) for path in sorted(templates)]
        models = [(model.name, model.context_window, model.chat_template) for model in self.models]
        return (*super().makings(), *models, *written)

    @model_validator(mode="after")
    def _addressed(self) -> Self:
        if not self.grpc:
            refuse([(("grpc",), f"the upstream '{self.name}' needs one: host:port of its gRPC")])
        if self.base_url:
            refuse([(("base_url",), f"the upstream '{self.name}' is a Triton, which has 'grpc' (host:port) instead")])
        return self


def _content(path: Path) -> bytes | None:
    """Return what a file holds; None where it cannot be read, of which whoever opens the upstream tells."""
    try:
        return file_contents(path)
    except OSError:
        return None
