"""The member ``knowledge`` of a request in OpenAI's formats, which is ours, and what an answer says of it.

OpenAI's own ``annotations`` of a chat completion know the web alone, so citations stand in ``x_penstock.knowledge``.
"""

from __future__ import annotations

from typing import Any, Literal, cast

import msgspec

from penstock_common.contract.knowledge import AttributeValue, Comparison, ComparisonOperator, Filter, SearchOptions
from penstock_common.errors import InvalidRequest
from penstock_gateway.domain.knowledge_use.use import KnowledgeUse
from penstock_gateway.surfaces.wire_formats.openai.fields import is_null
from penstock_gateway.surfaces.wire_formats.openai.wire import ABSENT, WireObject

_OPERATORS: dict[str, ComparisonOperator] = {
    "eq": "eq", "ne": "ne", "gt": "gt", "gte": "gte", "lt": "lt", "lte": "lte", "in": "in", "nin": "nin",
}  # fmt: skip
CHOICES = {
    "knowledge.mode": "one of 'hybrid', 'dense', 'sparse' and 'hybrid_rerank'",
    "knowledge.when_nothing": "one of 'answer', 'refuse' and 'say_so'",
    "knowledge.when_unavailable": "'fail' or 'answer'",
    "knowledge.cite": "'numbers' or 'extractive'",
}
"""The values that its members may take."""
_MAX_FILTER_DEPTH = 8


class Knowledge(WireObject):
    """What is searched before an answer; see ``penstock.gateway.v1.KnowledgeUse``. ``filter`` is as OpenAI's file search has it."""

    bases: list[str] | None = None
    mode: Literal["hybrid", "dense", "sparse", "hybrid_rerank"] | None = None
    limit: int | None = None
    filter: msgspec.Raw = ABSENT
    min_score: float | None = None
    diversity: float | None = None
    max_per_document: int | None = None
    index_version: int | None = None
    max_context_tokens: int | None = None
    when_nothing: Literal["answer", "refuse", "say_so"] | None = None
    nothing_text: str | None = None
    when_unavailable: Literal["fail", "answer"] | None = None
    cite: Literal["numbers", "extractive"] | None = None


def use_of(asked: Knowledge) -> KnowledgeUse:
    """Return what a request says.

    Raises:
        InvalidRequest: if the filter is none, or a count is negative.
    """
    for name in ("limit", "max_per_document", "index_version", "max_context_tokens"):
        value = getattr(asked, name)
        if value is not None and value < 0:
            raise InvalidRequest(f"'knowledge.{name}' must not be negative.", field=f"knowledge.{name}")
    return KnowledgeUse(
        bases=tuple(asked.bases or ()),
        options=SearchOptions(
            mode=asked.mode or "",
            limit=asked.limit or 0,
            filter=None if is_null(asked.filter) else _filter(msgspec.json.decode(asked.filter), "knowledge.filter"),
            min_score=asked.min_score or 0.0,
            diversity=asked.diversity or 0.0,
            max_per_document=asked.max_per_document or 0,
            index_version=asked.index_version or 0,
        ),
        max_context_tokens=asked.max_context_tokens or 0,
        when_nothing=asked.when_nothing or "",
        nothing_text=asked.nothing_text or "",
        when_unavailable=asked.when_unavailable or "",
        cite=asked.cite or "",
    )


def _filter(given: object, path: str, depth: int = 1) -> Filter:
    if not isinstance(given, dict):
        raise InvalidRequest(f"'{path}' must be an object.", field=path)
    members = cast("dict[str, Any]", given)
    kind = members.get("type")
    if kind in ("and", "or"):
        inner = members.get("filters")
        if not isinstance(inner, list) or not inner or members.keys() != {"type", "filters"}:
            raise InvalidRequest(f"'{path}' must have 'filters', at least one.", field=path)
        if depth == _MAX_FILTER_DEPTH:
            raise InvalidRequest(f"'{path}' is nested more than {_MAX_FILTER_DEPTH} deep.", field=path)
        parts = tuple(
            _filter(one, f"{path}.filters[{index}]", depth + 1) for index, one in enumerate(cast("list[object]", inner))
        )
        return Filter(all_of=parts) if kind == "and" else Filter(any_of=parts)
    operator = _OPERATORS.get(str(kind))
    if operator is None:
        known = ", ".join((*_OPERATORS, "and", "or"))
        raise InvalidRequest(f"'{path}.type' must be one of {known}.", field=f"{path}.type")
    if members.keys() != {"type", "key", "value"} or not isinstance(members["key"], str):
        raise InvalidRequest(f"'{path}' must have 'key' and 'value', and nothing else.", field=path)
    value = members["value"]
    is_several = operator in ("in", "nin")
    if isinstance(value, list) is not is_several:
        raise InvalidRequest(
            f"'{path}.value' must be {'an array' if is_several else 'one value'}.", field=f"{path}.value"
        )
    values = cast("list[object]", value) if is_several else [cast("object", value)]
    return Filter(Comparison(members["key"], operator, tuple(_value(one, f"{path}.value") for one in values)))


def _value(given: object, path: str) -> AttributeValue:
    if isinstance(given, bool):
        return AttributeValue(flag=given)
    if isinstance(given, int | float):
        return AttributeValue(number=float(given))
    if isinstance(given, str):
        return AttributeValue(text=given)
    raise InvalidRequest(f"'{path}' must be a string, a number or a boolean.", field=path)
