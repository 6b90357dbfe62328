"""From LiteLLM's ``config.yaml`` to ours: what it says is said again, and what cannot be is listed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from penstock_suite.domain.importing.deployment import IDENTITY, Fields, Imported, model_of, upstream_of
from penstock_suite.domain.importing.providers import origin_of

_NAME = re.compile(r"[^a-z0-9_.-]+")
_POLICIES = {
    "latency-based-routing": "latency",
    "cost-based-routing": "cost",
}
_CARRIED_PARAMS = frozenset({
    "model", "api_base", "base_url", "api_key", "api_version", "custom_llm_provider", "rpm", "tpm", "timeout", "stream_timeout",
    "max_parallel_requests", "input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost",
    "cache_creation_input_token_cost", "weight", "order", "region_name", "aws_region_name", "vertex_project", "vertex_location",
    "drop_params", *IDENTITY,
})  # fmt: skip
_CARRIED_INFO = frozenset({
    "max_input_tokens", "max_tokens", "base_model", "input_cost_per_token", "output_cost_per_token",
    "cache_read_input_token_cost", "cache_creation_input_token_cost", "mode", "supports_vision", "supports_function_calling",
    "supports_response_schema", "supports_reasoning", "supports_assistant_prefill", "id", "supports_tool_choice",
    "supports_parallel_function_calling", "supports_prompt_caching", "supports_system_messages", "litellm_provider",
})  # fmt: skip
_CHAT_MODES = ("", "chat", "completion", "responses")


class NotLiteLlm(ValueError):
    """The file is no configuration of LiteLLM's."""


def imported(theirs: object) -> Imported:
    """Return a configuration that does what LiteLLM's does, as far as it can.

    Raises:
        NotLiteLlm: if there is no ``model_list``.
    """
    if not isinstance(theirs, Mapping) or not isinstance(cast("Fields", theirs).get("model_list"), list):
        raise NotLiteLlm("it has no 'model_list'; LiteLLM's config.yaml has one")
    config = cast("Fields", theirs)
    found = Imported()
    settings, routing = _fields(config, "litellm_settings"), _fields(config, "router_settings")
    upstreams, groups = _upstreams_and_groups(config["model_list"], found)
    fallbacks = _fallbacks(settings, routing, groups, found)
    models = [_public_model(name, group, fallbacks.get(name, ()), groups) for name, group in groups.items()]
    _add_policies(models, routing, found)
    if settings.get("drop_params") is True:
        for model in models:
            model["unsupported"] = "drop"
    models += _aliases(_fields(routing, "model_group_alias"), models, found)
    found.document = {
        "listen": {"http": "127.0.0.1:8080", "grpc": "127.0.0.1:8081"},
        "upstreams": upstreams,
        "models": models,
        **_tenants(_fields(config, "general_settings"), found),
        **_cache(settings, routing, found),
    }
    _note_the_rest(config, found)
    return found


def _fields(value: Fields, name: str) -> Fields:
    inner = value.get(name)
    return cast("Fields", inner) if isinstance(inner, Mapping) else {}


@dataclass(slots=True)
class _Member:
    """A deployment within a group of LiteLLM's, which is a public model of ours."""

    candidate: str
    weight: int | None
    order: int
    drops: bool


_Groups = dict[str, list[_Member]]


def _upstreams_and_groups(entries: Sequence[Any], found: Imported) -> tuple[list[dict[str, Any]], _Groups]:
    upstreams: dict[tuple[object, ...], dict[str, Any]] = {}
    groups: _Groups = {}
    for index, entry in enumerate(entries):
        place = f"model_list[{index}]"
        params = _fields(entry, "litellm_params") if isinstance(entry, Mapping) else {}
        group, model = str(cast("Fields", entry).get("model_name", "")) if params else "", str(params.get("model", ""))
        if not group or not model:
            found.note(place, "it has no 'model_name', or no 'litellm_params.model'")
            continue
        if "*" in group or "*" in model:
            found.note(place, f"'{group}' stands for many models; name each of them")
            continue
        member = _deployment(params, _fields(cast("Fields", entry), "model_info"), place, upstreams, found)
        if member is not None:
            groups.setdefault(group, []).append(member)
    return list(upstreams.values()), groups


def _deployment(
    params: Fields, info: Fields, place: str, upstreams: dict[tuple[object, ...], dict[str, Any]], found: Imported
) -> _Member | None:
    address = str(params.get("api_base") or params.get("base_url") or "")
    said = str(params.get("custom_llm_provider") or "")
    origin, name = origin_of(str(params["model"]), said, bool(address))
    if origin is None:
        found.note(place, f"no provider of Penstock's is '{said or str(params['model']).partition('/')[0]}'")
        return None
    if str(info.get("mode") or "") not in _CHAT_MODES:
        found.note(place, f"'mode: {info['mode']}' is not carried: this imports models that answer conversations")
        return None
    upstream = upstream_of(origin, params, address, place, found)
    if upstream is None:
        return None
    key = (upstream["provider"], *((name, str(value)) for name, value in sorted(upstream.items())))
    known = upstreams.get(key)
    if known is None:
        name_here = _distinct(str(upstream["provider"]), {str(one["name"]) for one in upstreams.values()})
        known = upstreams[key] = {"name": name_here, **upstream, "models": []}
    models = cast("list[dict[str, Any]]", known["models"])
    if all(model["name"] != name for model in models):
        models.append(model_of(name, params, info, place, found))
    for field_name in params.keys() - _CARRIED_PARAMS:
        found.note(f"{place}.litellm_params.{field_name}", "there is nothing like it, or it is another setting here")
    for field_name in info.keys() - _CARRIED_INFO:
        found.note(f"{place}.model_info.{field_name}", "not carried")
    weight = params.get("weight")
    return _Member(
        candidate=f"{known['name']}/{name}",
        weight=weight if isinstance(weight, int) else None,
        order=order if isinstance(order := params.get("order"), int) else 0,
        drops=params.get("drop_params") is True,
    )


def _distinct(name: str, taken: set[str]) -> str:
    base = _NAME.sub("-", name.lower()).strip("-") or "upstream"
    number = 1
    while (candidate := base if number == 1 else f"{base}-{number}") in taken:
        number += 1
    return candidate


def _fallbacks(settings: Fields, routing: Fields, groups: _Groups, found: Imported) -> dict[str, tuple[str, ...]]:
    """Return whom a group falls back to, by its name; the default is everybody's."""
    fallbacks: dict[str, tuple[str, ...]] = {}
    for place, section in (("litellm_settings", settings), ("router_settings", routing)):
        for rule in _list(section.get("fallbacks")):
            rules = cast("Fields", rule) if isinstance(rule, Mapping) else {}
            fallbacks |= {str(name): _names(others) for name, others in rules.items()}
        for name in ("context_window_fallbacks", "content_policy_fallbacks"):
            if section.get(name):
                found.note(
                    f"{place}.{name}",
                    "a longer window is found among a model's own candidates; a refusal is not asked again elsewhere",
                )
    everybodys = _names(settings.get("default_fallbacks")) + fallbacks.pop("*", ())
    for name in (*fallbacks, *(other for others in fallbacks.values() for other in others), *everybodys):
        if name not in groups:
            found.note("fallbacks", f"there is no model '{name}'")
    return {name: tuple(dict.fromkeys((*fallbacks.get(name, ()), *everybodys))) for name in groups}


def _list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _names(value: object) -> tuple[str, ...]:
    return tuple(str(name) for name in _list(value))


def _public_model(name: str, group: list[_Member], fallbacks: Sequence[str], groups: _Groups) -> dict[str, Any]:
    members = sorted(group, key=lambda member: member.order)
    candidates = [member.candidate for member in members]
    candidates += [member.candidate for other in fallbacks if other != name for member in groups.get(other, ())]
    model: dict[str, Any] = {"name": name, "candidates": list(dict.fromkeys(candidates))}
    weights = {member.candidate: member.weight for member in members if member.weight is not None}
    if weights:
        model["weights"] = weights
    elif len(members) > 1 and len({member.order for member in members}) == 1:
        # LiteLLM spreads a group's requests over its deployments.
        model["weights"] = {member.candidate: 1 for member in members}
    if any(member.drops for member in members):
        model["unsupported"] = "drop"
    return model


def _add_policies(models: list[dict[str, Any]], routing: Fields, found: Imported) -> None:
    strategy = str(routing.get("routing_strategy") or "simple-shuffle")
    policy = _POLICIES.get(strategy)
    if policy is not None:
        for model in models:
            model["policy"] = policy
            model.pop("weights", None)
    elif strategy != "simple-shuffle":
        found.note(
            "router_settings.routing_strategy",
            f"'{strategy}': requests are spread by weight, and kept from who is unwell",
        )


def _aliases(aliases: Fields, models: Sequence[Fields], found: Imported) -> Iterator[dict[str, Any]]:
    known = {str(model["name"]): model for model in models}
    for alias, target in aliases.items():
        name = str(cast("Fields", target).get("model", "")) if isinstance(target, Mapping) else str(target)
        if name in known and alias not in known:
            yield {**known[name], "name": str(alias)}
        else:
            found.note(
                f"router_settings.model_group_alias.{alias}", f"there is no model '{name}', or the name is taken"
            )


def _tenants(general: Fields, found: Imported) -> dict[str, Any]:
    tenant: dict[str, Any] = {"name": "default", "tier": "enterprise"}
    if general.get("master_key"):
        tenant["keys"] = [found.secret(general["master_key"], "LITELLM_MASTER_KEY", "general_settings.master_key")]
        found.note(
            "general_settings.master_key",
            "it calls models as a key of the tenant 'default', and administers nothing: see 'penstock keys create'",
        )
    if general.get("database_url"):
        found.note(
            "general_settings.database_url", "keys, teams and spend in LiteLLM's database are not read: make keys anew"
        )
    for name in general.keys() - {"master_key", "database_url"}:
        found.note(f"general_settings.{name}", "not carried")
    return {"tenants": [tenant]}


def _cache(settings: Fields, routing: Fields, found: Imported) -> dict[str, Any]:
    if settings.get("cache") is not True:
        return {"cache": {"mode": "off"}}
    params = _fields(settings, "cache_params")
    kind = str(params.get("type") or "redis")
    if "semantic" in kind:
        found.note(
            "litellm_settings.cache_params.type", f"'{kind}': only requests that are equal are answered from the cache"
        )
    ours: dict[str, Any] = {"mode": "exact"}
    if isinstance(ttl := params.get("ttl"), int | float) and ttl > 0:
        ours["ttl"] = f"{ttl:g}s"
    host = params.get("host") or routing.get("redis_host")
    if kind.startswith("redis"):
        found.note(
            "litellm_settings.cache_params",
            f"say where Redis is, as redis: {{cache: redis://…}}{f'; it was {host}' if host else ''}",
        )
    return {"cache": ours}


def _note_the_rest(config: Fields, found: Imported) -> None:
    settings, routing = _fields(config, "litellm_settings"), _fields(config, "router_settings")
    carried = {"drop_params", "cache", "cache_params", "fallbacks", "default_fallbacks", "context_window_fallbacks",
               "content_policy_fallbacks"}  # fmt: skip
    by_itself = {"num_retries", "request_timeout", "allowed_fails", "cooldown_time", "retry_policy", "retry_after", "timeout",
                 "enable_pre_call_checks", "num_retries_per_request", "set_verbose", "json_logs"}  # fmt: skip
    routed = {
        "fallbacks",
        "context_window_fallbacks",
        "content_policy_fallbacks",
        "routing_strategy",
        "model_group_alias",
    }
    for place, section, known in (("litellm_settings", settings, carried), ("router_settings", routing, routed)):
        for name in section.keys() - known:
            why = "retries, fail-over and health need no setting here" if name in by_itself else "not carried"
            if name.startswith("redis_"):
                why = "say where Redis is, as redis: {state: redis://…}"
            found.note(f"{place}.{name}", why)
    sections = {"model_list", "litellm_settings", "router_settings", "general_settings"}
    for name in config.keys() - sections:
        why = "set them in the environment" if name == "environment_variables" else "not carried"
        found.note(str(name), why)
    found.notes.sort()
