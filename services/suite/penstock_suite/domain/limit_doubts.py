"""Whom budgets and limits name, as far as a document says who there is: a misspelt name binds nobody, and nobody is told.

Teams, users, most keys and some tenants are in the database alone; the gateway looks there when it starts.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple, cast

from penstock_common.faults import KeyPath, nearest
from penstock_common.sections import DEFAULT_EMBEDDING_MODEL

Document = dict[str, Any]
Finding = tuple[KeyPath, str]

_ALIKE = 0.8
"""How alike two names are, by difflib's ratio, of which one is taken to be a slip; 'search' and 'serach' are 0.83."""
_CREATED_ID = re.compile(r"[0-9A-Za-z]{12}")
_KINDS = {"teams": "team", "models": "model", "features": "feature"}
_THE_TENANT = "demo"
"""Who there is where the document names no tenants."""


class _Named(NamedTuple):
    """Somebody whom a budget or a tier names; ``tenant`` is empty for a tier's."""

    path: KeyPath
    by: str
    kind: str
    name: str
    tenant: str = ""


def unknown_names(document: Document) -> Iterator[Finding]:
    """Yield the names in budgets and limits that nothing else in the document has."""
    named = [one for one in (*_of_budgets(document), *_of_tiers(document)) if "${" not in one.name]
    tenants = {str(one.get("name")): one for _, one in _mappings(document.get("tenants"))} or {_THE_TENANT: {}}
    models = _models(document)
    for one in named:
        if one.kind == "tenant":
            if one.name not in tenants:
                text = f"{one.by} is of the tenant '{one.name}', which 'tenants' does not have: unless 'penstock tenants create' "
                yield one.path, f"{text}has made it, it binds nobody{nearest(one.name, tenants)}"
        elif one.kind == "model":
            if models and one.name not in models:
                yield (
                    one.path,
                    f"{one.by} is of the model '{one.name}', which nobody can ask{nearest(one.name, models)}",
                )
        elif one.kind == "key":
            yield from _unknown_key(one, tenants)
        elif slip := _slip(one, named):
            yield (
                one.path,
                f"{one.by} is of the {one.kind} '{one.name}', and another of '{slip}': is one of them misspelt?",
            )


def _of_budgets(document: Document) -> Iterator[_Named]:
    for index, budget in _mappings(document.get("budgets")):
        by, tenant = f"the budget '{budget.get('name')}'", str(budget.get("tenant"))
        yield _Named(("budgets", index, "tenant"), by, "tenant", tenant)
        kind, _, name = str(budget.get("scope", "tenant")).partition("/")
        if name:
            yield _Named(("budgets", index, "scope"), by, kind, name, tenant)


def _of_tiers(document: Document) -> Iterator[_Named]:
    tiers: list[tuple[KeyPath, str, Any]] = [
        (("tiers", name), f"a limit of the tier '{name}'", tier)
        for name, tier in _mapping(document.get("tiers")).items()
    ]
    tiers += [
        (("tenants", index, "tier"), f"a limit of the tenant '{tenant.get('name')}'", tenant.get("tier"))
        for index, tenant in _mappings(document.get("tenants"))
    ]
    for path, by, tier in tiers:
        for key, kind in _KINDS.items():
            for name in _mapping(_mapping(tier).get(key)):
                yield _Named((*path, key, name), by, kind, name)


def _models(document: Document) -> set[str]:
    """Return what callers can ask for; nothing where the document does not say."""
    known = {str(model.get("name")) for _, model in _mappings(document.get("models"))}
    embedding: Any = document.get("embedding")
    if known and isinstance(embedding, dict):
        section = cast("Document", embedding)
        known.add(str(section.get("model", DEFAULT_EMBEDDING_MODEL)))
        known |= {str(model.get("name")) for _, model in _mappings(section.get("models"))}
    return known


def _unknown_key(one: _Named, tenants: dict[str, Document]) -> Iterator[Finding]:
    """Yield that a key's id is neither one of the document's nor written as those are that are created."""
    keys: Any = tenants.get(one.tenant, {}).get("keys")
    count = len(cast("list[Any]", keys)) if isinstance(keys, list) else 1
    known = {f"config-{one.tenant}-{number}" for number in range(1, count + 1)}
    if one.name not in known and not _CREATED_ID.fullmatch(one.name):
        text = f"{one.by} is of the key '{one.name}', which is no key's id: 'penstock keys list' shows those of created keys"
        yield one.path, text + nearest(one.name, known)


def _slip(one: _Named, named: Collection[_Named]) -> str:
    """Return the name of the same kind that is nearly this one, if there is one; numbers make names that are meant to differ."""
    others = {each.name for each in named if each.kind == one.kind and each.name != one.name}
    others = {each for each in others if _without_numbers(each) != _without_numbers(one.name)}
    return next(iter(difflib.get_close_matches(one.name, others, n=1, cutoff=_ALIKE)), "") if one.kind != "user" else ""


def _without_numbers(name: str) -> str:
    return re.sub(r"\d+", "", name)


def _mapping(value: Any) -> Document:
    return cast("Document", value) if isinstance(value, dict) else {}


def _mappings(value: Any) -> Iterator[tuple[int, Document]]:
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return ((index, cast("Document", item)) for index, item in enumerate(items) if isinstance(item, dict))
