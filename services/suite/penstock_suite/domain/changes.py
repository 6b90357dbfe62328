"""What differs between two revisions of the configuration, by the names of settings and never by their values."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from penstock_common.configuration import Reloaded
from penstock_common.faults import KeyPath, branches

Setting = tuple[str, ...]
"""A setting's keys from the top; items of a list stand under their names."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Settings that are new, gone or other; ``restart`` are those that no running process takes over."""

    added: frozenset[Setting] = frozenset()
    removed: frozenset[Setting] = frozenset()
    changed: frozenset[Setting] = frozenset()
    restart: frozenset[Setting] = frozenset()

    @classmethod
    def joined(cls, parts: Iterable[Changes]) -> Changes:
        """Return what is in any of them."""
        known = list(parts)

        def all_of(name: str) -> frozenset[Setting]:
            return frozenset[Setting]().union(*(getattr(part, name) for part in known))

        return cls(all_of("added"), all_of("removed"), all_of("changed"), all_of("restart"))


def changes_between(before: BaseModel, after: BaseModel) -> Changes:
    """Return how two settings of one type differ."""
    kind = type(before)
    differing = list(_differing(before.model_dump(), after.model_dump(), ()))
    found: dict[str, set[Setting]] = {"added": set(), "removed": set(), "changed": set()}
    for how, setting in differing:
        found[how].add(setting)
    restart = frozenset(setting for _, setting in differing if not is_reloaded(kind, setting))
    return Changes(*(frozenset(settings) for settings in found.values()), restart=restart)


def is_reloaded(kind: type[BaseModel], setting: Setting) -> bool:
    """Return whether a running process takes a setting over: it, or what it stands in, is marked."""
    field = kind.model_fields.get(setting[0])
    if field is None:
        return False
    if any(isinstance(note, Reloaded) for note in field.metadata):
        return True
    inner = [form for form in branches(field.annotation) if isinstance(form, type) and not typing.get_origin(form)]
    sections = [form for form in inner if issubclass(form, BaseModel)]
    return len(setting) > 1 and any(is_reloaded(section, setting[1:]) for section in sections)


def place_of(setting: Setting, document: Mapping[str, Any]) -> KeyPath:
    """Return where a setting stands in a document, as far down as it does."""
    path: list[str | int] = []
    here: Any = document
    for key in setting:
        if isinstance(here, list):
            items = typing.cast("list[Any]", here)
            at = next((at for at, item in enumerate(items) if isinstance(item, dict) and item.get("name") == key), None)
            if at is None:
                break
            path.append(at)
            here = items[at]
        elif isinstance(here, dict):
            path.append(key)
            here = typing.cast("dict[str, Any]", here).get(key)
        else:
            break
    return tuple(path)


def _differing(before: Any, after: Any, place: Setting) -> Iterator[tuple[str, Setting]]:
    if before == after:
        return
    old, new = _named(before), _named(after)
    if old is None or new is None:
        yield "changed", place
        return
    for name in (*old, *(name for name in new if name not in old)):
        if name not in new:
            yield "removed", (*place, name)
        elif name not in old:
            yield "added", (*place, name)
        else:
            yield from _differing(old[name], new[name], (*place, name))


def _named(value: Any) -> Mapping[str, Any] | None:
    """Return what stands below by name, of a mapping or a list of named things; None of anything else."""
    if isinstance(value, dict):
        return {str(key): item for key, item in typing.cast("dict[Any, Any]", value).items()}
    if isinstance(value, list):
        items = typing.cast("Sequence[Any]", value)
        if all(isinstance(item, dict) and "name" in item for item in items):
            return {str(item["name"]): item for item in items}
    return None
