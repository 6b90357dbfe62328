"""What sections of different roles say to each other, in a document that each role by itself can read.

Everything here takes the document as it is written, and leaves to the roles what is malformed.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from typing import Any, cast

from penstock_common.addresses import host_and_port
from penstock_common.datasheet.described import OF_ONES_OWN
from penstock_common.faults import KeyPath, nearest
from penstock_common.sections import DEFAULT_EMBEDDING_MODEL
from penstock_suite.domain.limit_doubts import unknown_names

Document = dict[str, Any]
Finding = tuple[KeyPath, str]

_ANY_HOST = frozenset({"", "0.0.0.0", "::"})
_LOOPBACK = {"localhost": "127.0.0.1"}


def contradictions(document: Document) -> Iterator[Finding]:
    """Yield what keeps the document from being used."""
    yield from _serving_nothing(document)
    yield from _same_addresses(document)
    yield from missing_keys(document)
    yield from _unknown_candidates(document)
    yield from _unknown_models(document)
    yield from _meaning_without_vectors(document)


def matches_meaning(document: Document) -> bool:
    """Return whether the cache answers what was asked in other words."""
    cache: Any = document.get("cache")
    return isinstance(cache, dict) and cast("Document", cache).get("mode") == "semantic"


def needs_a_server(document: Document) -> Iterator[Finding]:
    """Yield why a cache that is a process of its own, and may have replicas, cannot match by meaning."""
    if not matches_meaning(document):
        return
    if not _target_of(document, "embedding"):
        yield ("cache", "mode"), _NO_EMBEDDING
    section: Any = document.get("qdrant")
    named: Document = cast("Document", section) if isinstance(section, dict) else {}
    if not named.get("url") and not named.get("path"):
        text = (
            "a replica of the cache cannot open the folder of another's embedded engine: name a Qdrant server, such as "
        )
        text += (
            "qdrant: {url: 'http://qdrant:6334'}, or, for a cache that never has a replica, a folder in 'qdrant.path'"
        )
        yield ("qdrant",), text


_NO_EMBEDDING = (
    "'semantic' needs a model that makes vectors: say 'embedding: {model: all-MiniLM-L6-v2}', or where the embedding "
    "service is in 'services.embedding.target', or use 'mode: exact'"
)


def _target_of(document: Document, role: str) -> bool:
    place: Any = document.get("services")
    for key in (role, "target"):
        place = cast("Document", place).get(key) if isinstance(place, dict) else None
    return bool(place)


def _meaning_without_vectors(document: Document) -> Iterator[Finding]:
    if matches_meaning(document) and "embedding" not in document and not _target_of(document, "embedding"):
        yield ("cache", "mode"), _NO_EMBEDDING


def doubts(document: Document, known: Collection[str] = ()) -> Iterator[Finding]:
    """Yield what can be used, and may not have been meant; ``known`` are the names of the datasheet's models."""
    asked = {str(one) for _, model in _mappings(document.get("models")) for one in _list(model.get("candidates"))}
    for index, upstream in _mappings(document.get("upstreams")):
        name, models = upstream.get("name"), list(_mappings(upstream.get("models")))
        if not any(f"{name}/{model.get('name')}" in asked for _, model in models):
            yield (
                ("upstreams", index),
                f"no model under 'models' has a candidate of the upstream '{name}': nobody can ask it",
            )
    yield from unknown_base_models(document, known)
    yield from unpriced(document, known)
    yield from _stale_without_a_cache(document)
    yield from unknown_names(document)


def unpriced(document: Document, known: Collection[str]) -> Iterator[Finding]:
    """Yield the models of which nobody says what they cost; ``known`` are the names of the datasheet's models."""
    for index, upstream in _mappings(document.get("upstreams")):
        for place, model in _mappings(upstream.get("models")):
            if model.get("price") is not None or upstream.get("provider") in OF_ONES_OWN:
                continue
            name = str(model.get("base_model") or model.get("name"))
            text = f"nobody says what the model '{model.get('name')}' costs, and its answers tell no cost: "
            text += "say price: {input: …, output: …} in USD per million tokens"
            if name in known:
                text += "; the datasheet knows the model, and not its whole price ('penstock models show')"
            else:
                text += f", or base_model; the datasheet has no '{name}'{_nearest(name, known)}"
            yield ("upstreams", index, "models", place, "price"), text


def unknown_base_models(document: Document, known: Collection[str]) -> Iterator[Finding]:
    """Yield the names of base models that the datasheet does not have."""
    for index, upstream in _mappings(document.get("upstreams")):
        for place, model in _mappings(upstream.get("models")):
            name = model.get("base_model")
            if isinstance(name, str) and name and "${" not in name and name not in known:
                text = f"the datasheet has no model '{name}'{_nearest(name, known)}"
                yield ("upstreams", index, "models", place, "base_model"), text


def _nearest(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; the nearest is '{near[0]}'" if near else ""


def _stale_without_a_cache(document: Document) -> Iterator[Finding]:
    cache: Any = document.get("cache")
    mode: Any = cast("Document", cache).get("mode") if isinstance(cache, dict) else None
    # YAML reads a bare off as false.
    if mode not in ("off", False):
        return
    for index, model in _mappings(document.get("models")):
        for place, step in _mappings(model.get("degradation")):
            if "stale_if_error" in step:
                text = f"the cache is off, so there is no answer of the model '{model.get('name')}' to give again"
                yield ("models", index, "degradation", place, "stale_if_error"), text


def _serving_nothing(document: Document) -> Iterator[Finding]:
    if not document.get("models") and "embedding" not in document:
        text = "there is nothing to serve: name a model here, with candidates of 'upstreams'; "
        yield ("models",), text + "'penstock config init' writes an example"


def _same_addresses(document: Document) -> Iterator[Finding]:
    seen: list[tuple[str, tuple[str, int]]] = []
    for path in (("listen", "http"), ("listen", "grpc"), ("telemetry", "metrics_listen")):
        address = _address(document, path)
        if address is None or address[1] == 0:
            continue
        for other, taken in seen:
            if _overlap(address, taken):
                yield path, f"it is the address of '{other}', too: give one of them another port"
        seen.append((".".join(path), address))


def _address(document: Document, path: tuple[str, str]) -> tuple[str, int] | None:
    section: Any = document.get(path[0])
    defaults = {"http": "127.0.0.1:8080", "grpc": "127.0.0.1:8081"}
    text: Any = defaults.get(path[1], "")
    if isinstance(section, dict):
        text = cast("Document", section).get(path[1], text)
    try:
        host, port = host_and_port(str(text))
    except ValueError:
        return None
    return _LOOPBACK.get(host, host), port


def _overlap(first: tuple[str, int], second: tuple[str, int]) -> bool:
    return first[1] == second[1] and (first[0] == second[0] or bool({first[0], second[0]} & _ANY_HOST))


# Where no address is said, it is the vendor's.
_KEYED_AT_HOME = ("anthropic", "gemini")


def asks_for_a_key(upstream: Mapping[str, Any]) -> bool:
    """Return whether an upstream is a vendor's own, who answers nobody without a key."""
    provider = upstream.get("provider")
    return provider == "openai" or (
        provider in _KEYED_AT_HOME and not (upstream.get("base_url") or upstream.get("base_urls"))
    )


def needs_a_key(upstream: Mapping[str, Any]) -> str:
    """Return what to say of a vendor's own upstream that has no key."""
    provider = str(upstream.get("provider"))
    text = f"the upstream '{upstream.get('name')}' needs a key: say api_key: ${{{provider.upper()}_API_KEY}}"
    return f"{text}, or provider: openai_compatible for a server that asks for none" if provider == "openai" else text


def missing_keys(document: Document) -> Iterator[Finding]:
    """Yield the upstreams that would answer nothing but 401."""
    for index, upstream in _mappings(document.get("upstreams")):
        if asks_for_a_key(upstream) and not upstream.get("api_key") and not upstream.get("api_keys"):
            yield ("upstreams", index, "api_key"), needs_a_key(upstream)


def _unknown_candidates(document: Document) -> Iterator[Finding]:
    """Yield what the router says, too, once it can read every upstream."""
    known = {
        f"{upstream.get('name')}/{model.get('name')}"
        for _, upstream in _mappings(document.get("upstreams"))
        for _, model in _mappings(upstream.get("models"))
    }
    for index, model in _mappings(document.get("models")):
        for place, candidate in enumerate(_list(model.get("candidates"))):
            if isinstance(candidate, str) and "/" in candidate and "${" not in candidate and candidate not in known:
                text = f"the model '{model.get('name')}' names the candidate '{candidate}', which no upstream has"
                yield ("models", index, "candidates", place), text + nearest(candidate, known)


def _unknown_models(document: Document) -> Iterator[Finding]:
    known = {str(model.get("name")) for _, model in _mappings(document.get("models"))}
    embedding: Any = document.get("embedding")
    if isinstance(embedding, dict):
        known.add(str(cast("Document", embedding).get("model", DEFAULT_EMBEDDING_MODEL)))
    for index, tenant in _mappings(document.get("tenants")):
        for place, name in enumerate(_list(tenant.get("models"))):
            if isinstance(name, str) and "${" not in name and name not in known:
                text = f"the tenant '{tenant.get('name')}' may use '{name}', which no model is called"
                yield ("tenants", index, "models", place), text + nearest(name, known)


def _mappings(value: Any) -> Iterator[tuple[int, Document]]:
    return ((index, cast("Document", item)) for index, item in enumerate(_list(value)) if isinstance(item, dict))


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
