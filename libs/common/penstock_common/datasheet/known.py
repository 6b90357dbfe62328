"""What is known of a model, file over file, and where each part of it is said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast

from penstock_common.faults import Fault, KeyPath, Places

Said = dict[str, Any]

SAID_OF_MODELS = ("context_window", "capabilities", "price", "service_tiers", "facts")
"""The settings of a model that a datasheet may know."""
_RATIOS = "price_ratios"
_SOURCE = "source"
_PARTS = (*SAID_OF_MODELS, _RATIOS)
_BY_KEY = frozenset({"facts", "service_tiers", _RATIOS})


@dataclass(frozen=True, slots=True)
class Entry:
    """What one file says of one model, as it is written there; ``places`` by the keys below it."""

    names: tuple[str, ...]
    said: Said
    places: Places
    source: str = ""

    @classmethod
    def of(cls, written: Said, file: str, places: Places, index: int) -> Entry:
        """Return an entry that has been validated."""
        above: KeyPath = ("models", index)
        own = {path[2:]: place for path, place in places.items() if path[:2] == above}
        said = {name: written[name] for name in _PARTS if written.get(name) is not None}
        names = (str(written["name"]), *map(str, written.get("also") or ()))
        return cls(names, said, {(): Fault("", file=file), **own}, str(written.get(_SOURCE, "")))


@dataclass(slots=True)
class Known:
    """What is known of one model; ``places`` say where, by the keys of ``said``."""

    name: str
    said: Said = field(default_factory=dict[str, Any])
    places: dict[KeyPath, Fault] = field(default_factory=dict[KeyPath, Fault])
    sources: dict[str, str] = field(default_factory=dict[str, str])
    """By file: the vendor's page that it was taken from."""

    def take(self, said: Said, places: Places) -> None:
        """Take in what another file says, or the configuration: it stands over what was known."""
        for name in _PARTS:
            part = said.get(name)
            if part is None:
                continue
            if isinstance(part, dict) and (name in _BY_KEY or (name == "price" and "input" not in part)):
                self._complete(name, cast("Said", part), places)
            else:
                self._replace((name,), part, places)
                if name == "price":
                    # They belong to the price that was known before.
                    self._forget(("service_tiers",))

    def price(self) -> Said | None:
        """Return what it costs, where that is known."""
        return self._priced(_mapping(self.said.get("price")), ("price",))

    def service_tiers(self) -> Said:
        """Return what tiers of service cost, as far as that is known."""
        tiers = _mapping(self.said.get("service_tiers"))
        priced = {name: self._priced(_mapping(price), ("service_tiers", name)) for name, price in tiers.items()}
        return {name: price for name, price in priced.items() if price is not None}

    def _priced(self, written: Said, path: KeyPath) -> Said | None:
        price = {name: value for name, value in written.items() if name != _SOURCE}
        if price.get("input") is None or price.get("output") is None:
            return None
        self._fill(price, path)
        steps: Any = price.get("steps")
        if isinstance(steps, list):
            price["steps"] = steps = [
                dict(cast("Said", step)) if isinstance(step, dict) else step for step in cast("list[Any]", steps)
            ]
            for at, step in enumerate(steps):
                self._fill(_mapping(step), (*path, "steps", at))
        return price

    def _fill(self, row: Said, path: KeyPath) -> None:
        """Say of a row of prices what follows from its first."""
        try:
            fresh = Decimal(str(row["input"]))
        except (KeyError, ArithmeticError):
            return
        for name, ratio in _mapping(self.said.get(_RATIOS)).items():
            if name != _SOURCE and ratio is not None and row.get(name) is None:
                row[name] = f"{(fresh * Decimal(str(ratio))).normalize():f}"
                self.places[(*path, name)] = self.places[(_RATIOS, name)]

    def _complete(self, name: str, part: Said, places: Places) -> None:
        if not isinstance(self.said.get(name), dict):
            self.said[name] = {}
            self.places[(name,)] = _place(places, (name,))
        self.said[name] = dict(self.said[name])
        for key, value in part.items():
            if value is not None:
                self._replace((name, key), value, places)

    def _replace(self, path: KeyPath, value: Any, places: Places) -> None:
        self._forget(path)
        if len(path) == 1:
            self.said[str(path[0])] = value
        else:
            self.said[str(path[0])][str(path[1])] = value
        for below in _paths(value, path):
            self.places[below] = _place(places, below)

    def _forget(self, path: KeyPath) -> None:
        for known in [known for known in self.places if known[: len(path)] == path]:
            del self.places[known]
        if len(path) == 1:
            self.said.pop(str(path[0]), None)


class Datasheet:
    """Finds what is known of models by any of their names."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = entries

    @property
    def names(self) -> list[str]:
        """The first names of all models, sorted."""
        return sorted({entry.names[0] for entry in self._entries})

    @property
    def all_names(self) -> set[str]:
        """Every name of every model."""
        return {name for entry in self._entries for name in entry.names}

    def find(self, name: str) -> Known | None:
        """Return what is known of the model of this name, None where nothing is."""
        meant = {name, *(entry.names[0] for entry in self._entries if name in entry.names)}
        found = [entry for entry in self._entries if meant & {*entry.names}]
        if not found:
            return None
        known = Known(found[0].names[0])
        for entry in found:
            known.take(entry.said, entry.places)
            known.sources[entry.places[()].file] = entry.source
        return known

    def aliases_of(self, name: str) -> list[str]:
        """Return the other names of a model, sorted."""
        return sorted({alias for entry in self._entries if name in entry.names for alias in entry.names} - {name})


def _mapping(value: Any) -> Said:
    # What the configuration says has not been looked at yet.
    return cast("Said", value) if isinstance(value, dict) else {}


def leaves(said: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Any]]:
    """Yield what is said, line by line: each value with its keys; a list is one value, but of steps."""
    for name, value in said.items():
        yield from _leaves(value, (name,))


def _leaves(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    below: Iterable[tuple[Any, Any]] | None = None
    if isinstance(value, dict):
        below = cast("Said", value).items()
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in cast("list[Any]", value)):
        below = enumerate(cast("list[Any]", value))
    if below is None:
        yield path, value
        return
    for key, item in below:
        yield from _leaves(item, (*path, key))


def _paths(value: Any, path: KeyPath) -> Iterator[KeyPath]:
    yield path
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _paths(item, (*path, key))


def _place(places: Places, path: KeyPath) -> Fault:
    return next(places[path[:end]] for end in range(len(path), -1, -1) if path[:end] in places)
