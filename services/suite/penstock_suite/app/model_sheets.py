"""`penstock models show`: what is known of a model, and where each part of it is said."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from penstock_common.configuration import Configuration
from penstock_common.datasheet.described import OF_ONES_OWN, known_of
from penstock_common.datasheet.files import datasheet_of
from penstock_common.datasheet.known import Datasheet, Known, leaves
from penstock_common.faults import KeyPath, dotted
from penstock_suite.app.plan import load_alone
from penstock_suite.domain.answers import ModelSheet, SheetLine
from penstock_suite.domain.failure import NotThere
from penstock_suite.domain.requests import Selection

_NEAREST = 3
_SOURCE = "source"
_RATIOS = "price_ratios"


def known_models(selection: Selection) -> list[str]:
    """Return the names of the datasheet's models.

    Raises:
        ConfigurationError: if the configuration, or a datasheet, cannot be read.
    """
    return datasheet_of(load_alone(selection)).names


def model_sheets(selection: Selection, name: str) -> list[ModelSheet]:
    """Return what is known of the model of this name: the datasheet's, one of an upstream, or those behind a public name.

    Raises:
        ConfigurationError: if the configuration, or a datasheet, cannot be read.
        NotThere: if no model has this name.
    """
    configuration = load_alone(selection)
    sheet = datasheet_of(configuration)
    configured = {f"{one.upstream}/{one.said.get('name')}": one for one in _models(configuration)}
    meant = [candidate for candidate in configured if name in (candidate, configured[candidate].said.get("name"))]
    meant = meant or [candidate for candidate in _behind(configuration, name) if candidate in configured]
    if meant:
        return [_configured(candidate, configured[candidate], configuration, sheet) for candidate in meant]
    known = sheet.find(name)
    if known is None:
        raise NotThere(f"nothing is known of a model '{name}'{_nearest(name, {*sheet.all_names, *configured})}")
    return [_sheet(known, sheet.aliases_of(known.name), "", has_price=False)]


def prices_of(selection: Selection, name: str) -> tuple[float, float]:
    """Return what the first model of this name costs that has a price, in dollars for a million tokens of input and output.

    Raises:
        ConfigurationError: if the configuration, or a datasheet, cannot be read.
        NotThere: if no model has this name, or nobody knows what it costs.
    """
    for sheet in model_sheets(selection, name):
        said = {line.key: line.value for line in sheet.lines}
        if "price.input" in said and "price.output" in said:
            return float(str(said["price.input"])), float(str(said["price.output"]))
    raise NotThere(f"nobody knows what '{name}' costs: say it as price=INPUT/OUTPUT, in dollars for a million tokens")


@dataclass(frozen=True, slots=True)
class _Configured:
    """A model of an upstream, and where it is written."""

    upstream: str
    said: dict[str, Any]
    path: KeyPath
    is_own: bool
    """Whether nobody bills for it."""


def _configured(candidate: str, model: _Configured, configuration: Configuration, sheet: Datasheet) -> ModelSheet:
    path, has_price = model.path, model.is_own or model.said.get("price") is not None
    known = known_of(model.said, sheet, configuration.places, path)
    if known is not None:
        return _sheet(known, sheet.aliases_of(known.name), candidate, has_price=has_price)
    known = Known(str(model.said.get("name")))
    below = {place[len(path) :]: fault for place, fault in configuration.places.items() if place[: len(path)] == path}
    known.take(model.said, {(): configuration.fault((), ""), **below})
    return _sheet(known, [], candidate, has_price=has_price)


def _sheet(known: Known, aliases: list[str], candidate: str, *, has_price: bool) -> ModelSheet:
    price, tiers = known.price(), known.service_tiers()
    shown = {name: part for name, part in known.said.items() if name != _RATIOS or price is None}
    shown |= {"price": price} if price is not None else {}
    shown |= {"service_tiers": tiers} if tiers else {}
    return ModelSheet(
        name=known.name,
        candidate=candidate,
        also=tuple(aliases),
        price_is_known=has_price or price is not None,
        lines=tuple(_lines(known, shown)),
    )


def _lines(known: Known, shown: dict[str, Any]) -> Iterator[SheetLine]:
    for path, value in leaves(shown):
        if path[-1] == _SOURCE:
            continue
        place = next(known.places[path[:end]] for end in range(len(path), 0, -1) if path[:end] in known.places)
        source = _told_source(known, path) or known.sources[place.file] if place.file in known.sources else ""
        said_at = f"{place.file}:{place.line}" if place.line else place.file
        yield SheetLine(key=dotted(path), value=value, said_at=said_at, source=source)


def _told_source(known: Known, path: KeyPath) -> str:
    """Return the vendor's page that the nearest part of the sheet names."""
    part: Any = known.said
    told = ""
    for key in path[:-1]:
        part = cast("dict[Any, Any]", part).get(key) if isinstance(part, dict) else None
        if isinstance(part, dict):
            told = str(cast("dict[Any, Any]", part).get(_SOURCE) or told)
    return told


def _models(configuration: Configuration) -> Iterator[_Configured]:
    for at, upstream in enumerate(_mappings(configuration.document.get("upstreams"))):
        name, is_own = str(upstream.get("name")), upstream.get("provider") in OF_ONES_OWN
        for index, model in enumerate(_mappings(upstream.get("models"))):
            yield _Configured(name, model, ("upstreams", at, "models", index), is_own)


def _behind(configuration: Configuration, name: str) -> list[str]:
    for model in _mappings(configuration.document.get("models")):
        if model.get("name") == name:
            return [str(candidate) for candidate in model.get("candidates") or []]
    return []


def _mappings(value: Any) -> list[dict[str, Any]]:
    listed = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("dict[str, Any]", item) for item in listed if isinstance(item, dict)]


def _nearest(name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=_NEAREST, cutoff=0.5)
    quoted = [f"'{each}'" for each in near]
    return f"; the nearest are {', '.join(quoted)}" if quoted else "; 'penstock models show' lists those that are known"
