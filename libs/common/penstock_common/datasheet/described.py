"""A configuration completed with what the datasheet knows of its models."""

from __future__ import annotations

from typing import Any, cast

from penstock_common.configuration import Configuration
from penstock_common.datasheet.files import DatasheetSettings, datasheet_of, revision_with
from penstock_common.datasheet.known import Datasheet, Known
from penstock_common.faults import Fault, KeyPath, Places

Said = dict[str, Any]

OF_ONES_OWN = frozenset({"triton", "vllm", "ollama"})
"""Providers that are servers of one's own, which nobody bills for: what is not priced is free there."""
_FREE = {"input": 0, "output": 0}


def described(configuration: Configuration) -> Configuration:
    """Return the configuration with what the datasheet knows of each model that it does not say itself.

    Raises:
        ConfigurationError: with every fault of the datasheet's files.
    """
    sheet = datasheet_of(configuration)
    document, places = dict(configuration.document), dict(configuration.places)
    upstreams: Any = document.get("upstreams")
    if isinstance(upstreams, list):
        document["upstreams"] = [
            _upstream(upstream, ("upstreams", at), sheet, places)
            for at, upstream in enumerate(cast("list[Any]", upstreams))
        ]
    more = configuration.settings(DatasheetSettings).datasheets
    revision = revision_with(configuration.revision, more)
    return Configuration(document, configuration.source, places, revision)


def known_of(model: Said, sheet: Datasheet, places: Places, path: KeyPath = ()) -> Known | None:
    """Return what is known of a model that a configuration has, the configuration's own word over all; None: nothing."""
    known = sheet.find(str(model.get("base_model") or model.get("name")))
    if known is not None:
        own = {place[len(path) :]: fault for place, fault in places.items() if place[: len(path)] == path}
        known.take(model, {(): Fault("", file=places[()].file if () in places else ""), **own})
    return known


def _upstream(upstream: Any, path: KeyPath, sheet: Datasheet, places: dict[KeyPath, Fault]) -> Any:
    models: Any = cast("Said", upstream).get("models") if isinstance(upstream, dict) else None
    if not isinstance(models, list):
        # What reads the section says what is wrong with it.
        return upstream
    is_own = upstream.get("provider") in OF_ONES_OWN
    full = [
        _model(model, (*path, "models", at), sheet, places, is_own=is_own) if isinstance(model, dict) else model
        for at, model in enumerate(cast("list[Any]", models))
    ]
    return {**upstream, "models": full}


def _model(model: Said, path: KeyPath, sheet: Datasheet, places: dict[KeyPath, Fault], *, is_own: bool) -> Said:
    known = known_of(model, sheet, places, path)
    full = dict(model)
    if known is not None:
        full |= _settings_in(known)
        for below, place in known.places.items():
            if below[0] in full:
                places.setdefault((*path, *below), place)
    if full.get("price") is None:
        full.pop("price", None)
        if is_own:
            full["price"] = dict(_FREE)
    return full


def _settings_in(known: Known) -> Said:
    """Return what is known as the settings of a model; a price that is not whole is none, but where it is written there."""
    settings = {name: known.said[name] for name in ("context_window", "capabilities", "facts") if name in known.said}
    price, tiers = known.price(), known.service_tiers()
    if price is not None:
        settings["price"] = price
    if tiers:
        settings["service_tiers"] = tiers
    return settings
