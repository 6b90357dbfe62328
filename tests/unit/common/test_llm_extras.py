"""What providers give beside an answer, put together from its pieces."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock_common.llm.extras import joined_extras


def details(*parts: dict[str, Any]) -> str:
    """Return an object with these details."""
    return json.dumps({"reasoning_details": list(parts)})


def piece(text: str | None = None, **more: Any) -> dict[str, Any]:
    """Return a piece of the first part."""
    return {"type": "reasoning.text", "index": 0, **({} if text is None else {"text": text}), **more}


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        ("", '{"a": 1.0}', '{"a": 1.0}'),
        ('{"a": 1.0}', "", '{"a": 1.0}'),
        (details(piece("H")), details(piece("m")), [piece("Hm")]),
        (details(piece("Hm")), details(piece(signature="s")), [piece("Hm", signature="s")]),
        (details(piece("H", signature=None)), details(piece("m", signature=None)), [piece("Hm", signature=None)]),
        (details(piece("a", signature="s")), details(piece("b")), [piece("a", signature="s"), piece("b")]),
        (details(piece("a", id="x")), details(piece("b", id="y")), [piece("a", id="x"), piece("b", id="y")]),
        (details(piece("a")), details({**piece("b"), "index": 1}), [piece("a"), {**piece("b"), "index": 1}]),
        (details(piece("a")), details({**piece("b"), "type": "t"}), [piece("a"), {**piece("b"), "type": "t"}]),
        (details({"type": "t", "text": "a"}), details({"type": "t", "text": "b"}),
         [{"type": "t", "text": "a"}, {"type": "t", "text": "b"}]),
        (details(), details(piece("a")), [piece("a")]),
    ],
)  # fmt: skip
def test_pieces_of_one_part_are_one(first: str, second: str, together: Any) -> None:
    joined = joined_extras(first, second)
    assert joined == together if isinstance(together, str) else json.loads(joined)["reasoning_details"] == together


def test_objects_are_united_and_the_last_word_counts() -> None:
    first = {"extra_content": {"google": {"thought_signature": "a", "thought": True}}}
    second = {"extra_content": {"google": {"thought_signature": "b", "thought": None}}, "reasoning_details": [1]}
    assert json.loads(joined_extras(json.dumps(first), json.dumps(second))) == {
        "extra_content": {"google": {"thought_signature": "b", "thought": True}},
        "reasoning_details": [1],
    }


def test_what_is_nested_too_deeply_costs_what_came_before_and_no_more() -> None:
    deep = '{"extra_content":' + "[" * 100_000 + "]" * 100_000 + "}"
    assert joined_extras('{"a":1}', deep) == deep
