"""One deployment of LiteLLM's, in our words: an upstream, and a model of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qs, urlsplit

from penstock_suite.domain.importing.providers import Origin

Fields = Mapping[str, Any]
_ENVIRONMENT = re.compile(r"os\.environ/([A-Za-z_][A-Za-z0-9_]*)")
_VERSION = re.compile(r"/v\d+(?:beta\d*)?$")
# LiteLLM's words for Azure's newer paths, which have no version.
_V1_VERSIONS = frozenset({"v1", "latest", "preview"})
IDENTITY = {
    "aws_access_key_id": ("bedrock", "aws_access_key_id", "AWS_ACCESS_KEY_ID"),
    "aws_secret_access_key": ("bedrock", "aws_secret_access_key", "AWS_SECRET_ACCESS_KEY"),
    "aws_session_token": ("bedrock", "aws_session_token", "AWS_SESSION_TOKEN"),
    "aws_profile_name": ("bedrock", "aws_profile", ""),
    "vertex_credentials": ("vertex", "credentials_file", ""),
}
"""What LiteLLM calls it, whose it is, what we call it, and the variable that usually holds it where it is a secret."""
_TOKENS = 1_000_000
_CAPABILITIES = {
    "supports_function_calling": "tools",
    "supports_response_schema": "json_schema",
    "supports_vision": "vision",
    "supports_reasoning": "reasoning",
    "supports_assistant_prefill": "prefill",
}


@dataclass(slots=True)
class Imported:
    """Our document, the variables that the environment must hold, and what could not be carried, by its place there."""

    document: dict[str, Any] = field(default_factory=dict[str, Any])
    variables: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])

    def note(self, place: str, why: str) -> None:
        """Add what could not be carried."""
        text = f"{place}: {why}"
        self.notes.append("".join(character if character.isprintable() else " " for character in text))

    def secret(self, value: object, variable: str, place: str) -> str:
        """Return how our file names a secret: by a variable, never by itself."""
        text = value if isinstance(value, str) else ""
        named = _ENVIRONMENT.fullmatch(text)
        if named is None and text:
            self.note(place, f"the key stands there by itself; set {variable} instead")
        name = named[1] if named else variable
        if not name:
            return ""
        if name not in self.variables:
            self.variables.append(name)
        return f"${{{name}}}"


def upstream_of(origin: Origin, params: Fields, address: str, place: str, found: Imported) -> dict[str, Any] | None:
    """Return what our file says of the upstream, without its name and models."""
    upstream: dict[str, Any] = {"provider": origin.provider}
    base_url = address or origin.base_url
    named = _ENVIRONMENT.fullmatch(base_url)
    if named is not None:
        found.variables += [named[1]] if named[1] not in found.variables else []
        base_url = f"${{{named[1]}}}"
    elif origin.provider == "ollama" and base_url and _VERSION.search(base_url.rstrip("/")) is None:
        base_url = f"{base_url.rstrip('/')}/v1"
    if origin.own_address and not base_url:
        found.note(place, f"'api_base' is missing, and '{origin.provider}' has no address that everybody knows")
        return None
    if base_url:
        upstream["base_url"] = base_url
    variable = origin.variable or (f"{origin.provider.upper()}_API_KEY" if params.get("api_key") else "")
    if secret := found.secret(params.get("api_key"), variable, f"{place}.litellm_params.api_key"):
        upstream["api_key"] = secret
    if origin.provider == "azure_openai":
        _add_form(upstream, str(params.get("api_version") or ""))
    _add_place(upstream, params)
    _add_identity(upstream, params, place, found)
    if limits := _limits(params):
        upstream["limits"] = limits
    if timeouts := _timeouts(params):
        upstream["timeouts"] = timeouts
    return upstream


def _add_form(upstream: dict[str, Any], version: str) -> None:
    """Add which form of Azure's paths is asked for; its URL is often written, or pasted, with them."""
    resource, is_path, below = str(upstream.get("base_url", "")).partition("/openai/")
    if is_path:
        upstream["base_url"] = resource
        version = version or parse_qs(urlsplit(below).query).get("api-version", [""])[0]
    if version and version not in _V1_VERSIONS:
        upstream |= {"form": "deployments", "api_version": version}


def _add_identity(upstream: dict[str, Any], params: Fields, place: str, found: Imported) -> None:
    """Add as whom a cloud is asked, where that is not left to what its own tools find."""
    for theirs, (provider, ours, variable) in IDENTITY.items():
        value, where = params.get(theirs), f"{place}.litellm_params.{theirs}"
        if value is None:
            continue
        if provider != upstream["provider"] or not isinstance(value, str) or value.lstrip().startswith("{"):
            found.note(where, "it is no text that says as whom this provider is asked; a key's JSON goes into a file")
        elif variable or _ENVIRONMENT.fullmatch(value):
            upstream[ours] = found.secret(value, variable, where)
        else:
            upstream[ours] = value


def _add_place(upstream: dict[str, Any], params: Fields) -> None:
    if region := params.get("region_name"):
        upstream["region"] = str(region)
    if upstream["provider"] == "bedrock" and (region := params.get("aws_region_name")):
        upstream["aws_region"] = str(region)
    if upstream["provider"] == "vertex":
        upstream |= {
            ours: str(params[theirs])
            for ours, theirs in (("project", "vertex_project"), ("region", "vertex_location"))
            if params.get(theirs)
        }


def _limits(params: Fields) -> dict[str, int]:
    names = {
        "rpm": "requests_per_minute",
        "tpm": "tokens_per_minute",
        "max_parallel_requests": "concurrent_requests",
    }
    return {ours: value for theirs, ours in names.items() if isinstance(value := params.get(theirs), int) and value > 0}


def _timeouts(params: Fields) -> dict[str, str]:
    names = {"timeout": "total", "stream_timeout": "first_token"}
    return {
        ours: f"{value:g}s"
        for theirs, ours in names.items()
        if isinstance(value := params.get(theirs), int | float) and value > 0
    }


def model_of(name: str, params: Fields, info: Fields, place: str, found: Imported) -> dict[str, Any]:
    """Return what our file says of a model."""
    model: dict[str, Any] = {"name": name}
    window = info.get("max_input_tokens") or info.get("max_tokens")
    if isinstance(window, int) and window > 0:
        model["context_window"] = window
    else:
        found.note(
            f"{place}.model_info", "it does not say 'max_input_tokens': say 'context_window' unless the datasheet does"
        )
    if base_model := info.get("base_model"):
        model["base_model"] = str(base_model).rpartition("/")[2]
    capabilities = [ours for theirs, ours in _CAPABILITIES.items() if info.get(theirs) is True]
    if capabilities:
        model["capabilities"] = ["chat", *capabilities]
    if price := _price({**info, **params}, place, found):
        model["price"] = price
    return model


def _price(said: Fields, place: str, found: Imported) -> dict[str, float]:
    names = {
        "input": "input_cost_per_token",
        "cached_input": "cache_read_input_token_cost",
        "cache_write": "cache_creation_input_token_cost",
        "output": "output_cost_per_token",
    }
    price: dict[str, float] = {}
    for ours, theirs in names.items():
        if said.get(theirs) is None:
            continue
        try:
            # By their decimal digits: a price is no binary fraction.
            price[ours] = float(Decimal(str(said[theirs])) * _TOKENS)
        except InvalidOperation:
            found.note(f"{place}.{theirs}", "it is no number")
    return price
