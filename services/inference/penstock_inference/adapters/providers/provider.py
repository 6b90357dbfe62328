"""What a provider brings: its settings, and how an upstream of its kind is opened."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock_inference.adapters.providers.upstream_settings import UpstreamSettings
from penstock_inference.domain.batch_upstream import BatchUpstream
from penstock_inference.domain.model_control import ModelControl, ModelStates
from penstock_inference.domain.question_upstream import QuestionUpstream
from penstock_inference.domain.upstream import Upstream

if TYPE_CHECKING:
    # Read with the settings, where nobody asks a provider yet.
    from penstock_common.http.client import HttpPools


@dataclass(frozen=True, slots=True)
class ModelsOfUpstream:
    """An upstream that tells of its models, and perhaps loads and unloads them."""

    states: ModelStates
    control: ModelControl | None = None


@dataclass(frozen=True, slots=True)
class OpenUpstream:
    """An upstream with its connections; ``models`` where it tells of them."""

    upstream: Upstream
    models: ModelsOfUpstream | None = None
    questions: QuestionUpstream | None = None
    """Who answers what is no conversation."""
    batches: BatchUpstream | None = None
    """Who answers many requests at once, later."""


@dataclass(frozen=True, slots=True)
class Provider:
    """One kind of upstream. ``open_upstream`` and ``open_models`` take settings of the type ``settings``.

    Both import what they need when they are called: who only reads a
    configuration waits for no vendor's library.
    """

    settings: type[UpstreamSettings]
    open_upstream: Callable[[Any, HttpPools], AbstractAsyncContextManager[OpenUpstream]]
    open_models: Callable[[Any], AbstractAsyncContextManager[ModelsOfUpstream]] | None = None
