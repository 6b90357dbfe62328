"""The configuration as the services see it: what the file says, and what the local stack adds."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penstock_suite.domain.contradictions import matches_meaning
from penstock_suite.domain.state_folder import StateFolder

Document = dict[str, Any]

_DEMO_TENANT = "demo"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalParts:
    """What the local stack brings. Empty values mean that it does not."""

    state: StateFolder
    redis_url: str = ""
    triton_grpc: str = ""
    """host:port of the Triton that the suite starts."""
    triton_key: str = ""
    """What its model control asks for, or a reference to its file."""
    chat_templates: dict[str, Path] = field(default_factory=dict[str, Path])
    """By model of the local Triton."""
    demo_tenant: str = ""
    demo_key: str = ""
    """What stands among the tenant's keys: the key, or a reference to its file."""
    operator_key: str = ""
    """What stands among the operator's keys, as ``demo_key``."""


def completed(document: Document, parts: LocalParts) -> Document:
    """Return the document with the local parts where it names none; what it says stands."""
    full = copy.deepcopy(document)
    state = parts.state
    _default(full, "sql", f"sqlite:///{state.database}")
    _default_keys(
        full,
        "secrets",
        key_pepper_file=str(state.key_pepper),
        cache_key_file=str(state.cache_key),
        edge_token_file=str(state.edge_token),
    )
    _add_operator_key(full, parts.operator_key)
    _default_keys(full, "redis", state=parts.redis_url, cache=parts.redis_url)
    _default_keys(full, "cache", key_dir=str(state.cache_keys))
    # One person's machine: every trace is worth seeing.
    _default_keys(full, "telemetry", sample_ratio=1.0)
    if matches_meaning(full) and not _named(full, "qdrant").get("url"):
        _default_keys(full, "qdrant", path=str(state.vectors))
    if "embedding" in full:
        _default_keys(full, "embedding", cache_dir=str(state.models))
        _default_keys(full, "secrets", knowledge_key_file=str(state.knowledge_key))
        if not _named(full, "qdrant").get("url"):
            _default_keys(full, "knowledge", path=str(state.knowledge_vectors))
    _add_demo_tenant(full, parts)
    for upstream in _local_tritons(full):
        upstream["grpc"] = parts.triton_grpc
        if upstream.get("model_control") is not None:
            _default_keys(upstream, "model_control", key=parts.triton_key)
        for model in _mappings(upstream, "models"):
            if model.get("name") in parts.chat_templates:
                model.setdefault("chat_template", str(parts.chat_templates[model["name"]]))
    return full


def without_triton(document: Document) -> Document:
    """Return the document without the upstreams that a local Triton would serve, nor what only they could answer."""
    rest = copy.deepcopy(document)
    gone = {upstream.get("name") for upstream in _local_tritons(rest)}
    rest["upstreams"] = [upstream for upstream in _mappings(rest, "upstreams") if upstream.get("name") not in gone]
    models: list[Document] = []
    for model in _mappings(rest, "models"):
        kept = [name for name in model.get("candidates") or [] if str(name).partition("/")[0] not in gone]
        if kept or not model.get("candidates"):
            models.append({**model, "candidates": kept, "weights": _kept_weights(model, kept)})
    rest["models"] = models
    return rest


def _kept_weights(model: Document, candidates: list[str]) -> Document:
    return {name: weight for name, weight in (model.get("weights") or {}).items() if name in candidates}


def _local_tritons(document: Document) -> list[Document]:
    return [
        upstream
        for upstream in _mappings(document, "upstreams")
        if upstream.get("provider") == "triton" and not upstream.get("grpc")
    ]


def _add_demo_tenant(document: Document, parts: LocalParts) -> None:
    tenants: list[Document] = _mappings(document, "tenants")
    demo = parts.demo_tenant
    if not tenants:
        # Without a tenant nobody could ask anything.
        demo = _DEMO_TENANT
        tenants = [{"name": demo, "tier": "pro"}]
    document["tenants"] = tenants
    for tenant in tenants:
        if tenant.get("name") == demo and parts.demo_key:
            tenant["keys"] = [*(tenant.get("keys") or []), parts.demo_key]


def _add_operator_key(document: Document, key: str) -> None:
    section = document.get("operator")
    if key and (section is None or isinstance(section, dict)):
        own: Document = section or {}
        document["operator"] = {**own, "keys": [*(own.get("keys") or []), key]}


def has_demo_key(document: Document, demo_tenant: str) -> bool:
    """Return whether a tenant gets the demo key: the one that is named, or the one that stands in for none."""
    return bool(demo_tenant) or not _mappings(document, "tenants")


def _mappings(document: Document, section: str) -> list[Document]:
    # Validation, which comes later, says what is wrong with anything else.
    found: Any = document.get(section)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _named(document: Document, section: str) -> Document:
    found: Any = document.get(section)
    return found if isinstance(found, dict) else {}


def _default(document: Document, section: str, value: str) -> None:
    if not document.get(section):
        document[section] = value


def _default_keys(document: Document, section: str, **values: Any) -> None:
    present = document.get(section)
    if present is None:
        present = {}
    if isinstance(present, dict):
        document[section] = {**{name: value for name, value in values.items() if value != ""}, **present}
