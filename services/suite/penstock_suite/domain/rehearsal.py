"""A configuration with scripted upstreams in the place of its own, and what a rehearsal found."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

Document = dict[str, Any]

REHEARSAL_KEY = "rehearsal-key-rehearsal-key"
"""What the rehearsal's own caller shows; the stack is this process's alone."""
DATABASE = "penstock.db"
_UPSTREAM_KEY = "rehearsal-upstream-key"
# What the stack of a rehearsal keeps: how models are served, and the gateway's own bounds.
_KEPT = ("gateway",)
TRITON = "triton"
"""The wire that is no HTTP, and its provider."""
_VERTEX = "vertex"
_WIRES = {name: name for name in (TRITON, "anthropic", "gemini", "bedrock")} | {"azure_openai": "azure"}


class Rehearsed(msgspec.Struct, frozen=True, kw_only=True):
    """One row, asked for once. ``faults`` is empty where all was as the table promises."""

    model: str
    row: str
    did: str
    """What the upstream did."""
    mode: str
    sees: str = ""
    """What the caller saw."""
    attempts: dict[str, int] = {}
    """By candidate, in the order in which they were first asked."""
    seconds: float = 0.0
    faults: tuple[str, ...] = ()
    skipped: str = ""
    """Why it was not asked for at all."""

    @property
    def is_good(self) -> bool:
        """Whether nothing was wrong."""
        return not self.faults


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicModel:
    """A model of the configuration, as far as a rehearsal cares."""

    name: str
    candidates: tuple[str, ...]
    windows: tuple[int, ...]
    """The context window of each candidate, in tokens."""
    providers: tuple[str, ...]
    """The provider of each candidate's upstream."""

    @property
    def upstreams(self) -> frozenset[str]:
        """The upstreams of its candidates."""
        return frozenset(candidate.partition("/")[0] for candidate in self.candidates)

    @property
    def wires(self) -> Mapping[str, str]:
        """The wire of each of its upstreams, by the upstream's name."""
        pairs = zip(self.candidates, self.providers, strict=True)
        return {candidate.partition("/")[0]: wire_of(provider) for candidate, provider in pairs}

    def is_alone(self, *, larger_window: bool) -> bool:
        """Return whether nobody could answer in the place of the first candidate."""
        if larger_window:
            return all(window <= self.windows[0] for window in self.windows[1:])
        return len(self.candidates) == 1


def played_as(upstream: Mapping[str, Any]) -> str:
    """Return the provider that an upstream is rehearsed as: nobody has a token of Google's for Vertex' models."""
    provider = str(upstream.get("provider", ""))
    if provider != _VERTEX:
        return provider
    return "anthropic" if upstream.get("publisher") == "anthropic" else "gemini"


def wire_of(provider: str) -> str:
    """Return the wire that a provider of this name is asked on."""
    return _WIRES.get(provider, "openai")


def public_models(document: Mapping[str, Any]) -> list[PublicModel]:
    """Return the models that callers may name, in the order of the file."""
    known = {
        f"{upstream['name']}/{model['name']}": (int(model["context_window"]), played_as(upstream))
        for upstream in document.get("upstreams") or []
        for model in upstream["models"]
    }
    return [
        PublicModel(
            name=str(model["name"]),
            candidates=tuple(model["candidates"]),
            windows=tuple(known[candidate][0] for candidate in model["candidates"]),
            providers=tuple(known[candidate][1] for candidate in model["candidates"]),
        )
        for model in document.get("models") or []
        if model.get("candidates")
    ]


def staged(document: Mapping[str, Any], model: PublicModel, addresses: Mapping[str, str], folder: Path) -> Document:
    """Return the configuration of one model, its upstreams at ``addresses``; all that is kept lies in ``folder``."""
    upstreams = [upstream for upstream in document["upstreams"] if upstream["name"] in model.upstreams]
    kept = {name: copy.deepcopy(document[name]) for name in _KEPT if document.get(name)}
    return {
        **kept,
        "upstreams": [_moved(upstream, addresses[upstream["name"]]) for upstream in upstreams],
        "models": [copy.deepcopy(one) for one in document["models"] if one["name"] == model.name],
        "tenants": [{"name": "rehearsal", "tier": {}, "keys": [REHEARSAL_KEY]}],
        # An answer that was kept would be no rehearsal.
        "cache": {"mode": "off"},
        "sql": f"sqlite:///{folder}/{DATABASE}",
        "secrets": {name: str(folder / "secret") for name in ("key_pepper_file", "cache_key_file")},
        "telemetry": {"sample_ratio": 0},
    }


def with_timers(document: Mapping[str, Any], longest: timedelta) -> Document:
    """Return the configuration with every upstream's timers for tokens cut to ``longest``."""
    upstreams = [
        {**upstream, "timeouts": _cut(upstream.get("timeouts") or {}, longest)} for upstream in document["upstreams"]
    ]
    return {**document, "upstreams": upstreams}


def _cut(timeouts: Mapping[str, Any], longest: timedelta) -> Document:
    # Those while others are left are the same where nothing is said of them.
    kept = {name: value for name, value in timeouts.items() if not name.endswith("_with_others")}
    return {**kept, **dict.fromkeys(_TIMERS, longest)}


def _moved(upstream: Mapping[str, Any], address: str) -> Document:
    """Return the entry at another address, with a key that is none, and nothing that leads elsewhere."""
    moved = {name: copy.deepcopy(value) for name, value in upstream.items() if name not in _WHERE}
    for model in moved["models"]:
        # Whether a template is there is not what is rehearsed.
        model.pop("chat_template", None)
    provider = played_as(upstream)
    place = "grpc" if provider == TRITON else "base_url"
    return {**moved, "provider": provider, place: address, "api_key": _UPSTREAM_KEY}


_TIMERS = ("headers", "first_token", "whole", "idle")
_WHERE = (
    "base_url", "base_urls", "grpc", "api_key", "api_keys", "model_control", "entra", "aws_profile", "aws_access_key_id",
    "aws_secret_access_key", "aws_session_token", "credentials_file", "project", "publisher", "cache_salt_secret",
)  # fmt: skip
