"""What a schema says of texts, whole and begun: with schemas that strangers send."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from penstock_common.llm.types import JsonObject, JsonSchema
from penstock_gateway.adapters.json_schema import schema_of
from penstock_gateway.domain.structured.burden import TooMuch
from penstock_gateway.domain.structured.schema import Schema, bared, behind_thoughts

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "tags": {"type": "array", "items": {"type": "string"}}},
    "required": ["name", "age"],
    "additionalProperties": False,
}  # fmt: skip


def ready(schema: dict[str, Any]) -> Schema:
    made = schema_of(JsonSchema(name="s", schema_json=json.dumps(schema)))
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"name": "Ada", "age": 36}', None),
        ('{"name": "Ada", "age": "36"}', "schema"),
        ('{"name": "Ada"}', "schema"),
        ('{"name": "Ada", "age": 36, "born": 1815}', "schema"),
        ("[]", "schema"),
        ("Ada is 36.", "not_json"),
        ('{"name": "Ada", "age": 36} Anything else?', "not_json"),
        ('{"name": "Ada", "age": NaN}', "not_json"),
        ("", "not_json"),
    ],
)
def test_a_whole_text_is_accepted_or_has_a_problem(text: str, kind: str | None):
    problem = ready(PERSON).problem(text)
    assert (None if problem is None else problem.kind) == kind


def test_a_problem_says_where_it_is():
    problem = ready(PERSON).problem('{"name": "Ada", "age": "old"}')
    assert problem is not None
    assert "at age" in problem.told
    assert "integer" in problem.told


def test_any_object_will_do_where_no_schema_is_given():
    for wanted in (JsonObject(), JsonSchema(name="s")):
        schema = schema_of(wanted)
        assert schema is not None
        assert schema.problem('{"a": 1}') is None
        assert schema.problem("[1]") is not None


@pytest.mark.parametrize(
    "beginning",
    ["Sure! Here is all of it. " * 12, "[1", '{"name" "', '{"name": 1, "age": 2', '{"born": 1, "name": "A", "age"'],
)
def test_what_cannot_become_valid_is_seen_at_once(beginning: str):
    assert ready(PERSON).is_lost(beginning)


def test_no_beginning_of_a_valid_text_is_lost():
    rng = random.Random(7)
    for _ in range(40):
        value: dict[str, Any] = {
            "name": 'é\n"\\ud83d😀' * rng.randrange(4),
            "age": rng.randrange(10**6),
            "tags": ["a", "\u2028"],
        }
        for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=2), "\n " + json.dumps(value)):
            assert ready(PERSON).problem(text) is None
            assert not any(ready(PERSON).is_lost(text[:end]) for end in range(len(text) + 1))


def test_a_fence_or_words_around_it_may_turn_out_to_hold_what_was_asked_for():
    inner = '{"name": "Ada", "age": 36}'
    for text in (
        f"```json\n{inner}\n```",
        f"Sure! Here it is:\n{inner}\nAnything else?",
        f"For {{her}} I have {inner}",
    ):
        assert not any(ready(PERSON).is_lost(text[:end]) for end in range(len(text) + 1))
        assert bared(text) == inner
    for other in ("```", "no fence", "It is {not} so.", "x" * 300 + inner, "[" * 20_000, "{" * 9):
        assert bared(other) == other


def test_thoughts_before_it_are_no_part_of_it_however_long_and_whatever_they_hold():
    inner = '{"name": "Ada", "age": 36}'
    for tag in ("think", "thinking"):
        text = f'\n<{tag}>{{"name": "Eve", "age": 1}} or rather {"so " * 200}</{tag}>\n\n{inner}'
        assert not any(ready(PERSON).is_lost(text[:end]) for end in range(len(text) + 1))
        assert behind_thoughts(text) == "\n\n" + inner
        assert behind_thoughts(text[:-40]) is None
    assert ready(PERSON).is_lost("<think>so</think>[1")
    assert behind_thoughts('{"name": "<think>"}') == '{"name": "<think>"}'


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "http://127.0.0.1:9/schema.json"},
        {"$ref": "file:///etc/passwd"},
        {"properties": {"a": {"$ref": "#/$defs/nowhere"}}},
        {"type": "string", "pattern": "(?=a)b"},
        {"type": "string", "pattern": "("},
        {"type": "no such type"},
        {"pattern": 7},
    ],
)
def test_a_schema_that_cannot_be_checked_here_is_none(schema: dict[str, Any]):
    assert schema_of(JsonSchema(name="s", schema_json=json.dumps(schema))) is None


def test_a_schema_that_is_very_deep_is_none_and_ends_nobody():
    deep = '{"items":' * 30_000 + "{}" + "}" * 30_000
    assert schema_of(JsonSchema(name="s", schema_json=deep)) is None


LAUGHS = {
    "$ref": "#/$defs/d0",
    "$defs": {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)} | {"d40": {"type": "null"}},
}
TREE = {"$id": "https://example.com/tree", "type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#"}}, "left": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}, "right": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}}  # fmt: skip
DOUBLING = {"anyOf": [{"properties": {"c": {"$ref": "#"}, "a": {"const": 1}}}, {"properties": {"c": {"$ref": "#"}, "b": {"const": 1}}}]}  # fmt: skip
OVERLAPPING = {"properties": {"c": {"$ref": "#"}}, "patternProperties": {"^c": {"$ref": "#"}}}
TWICE = {"$ref": "#/$defs/a", "$defs": {"a": {"properties": {"x": {"anyOf": [{"$ref": "#/$defs/b"}, {"$ref": "#/$defs/b"}]}}}, "b": {"items": {"$ref": "#/$defs/a"}}}}  # fmt: skip
MUTUAL = {"$ref": "#/$defs/a", "$defs": {"a": {"properties": {"x": {"$ref": "#/$defs/b"}}}, "b": {"anyOf": [{"items": {"$ref": "#/$defs/a"}}, {"items": {"$ref": "#/$defs/a"}}]}}}  # fmt: skip


@pytest.mark.parametrize(
    "schema", [LAUGHS, DOUBLING, OVERLAPPING, MUTUAL, TWICE, {"anyOf": [{"$ref": "#"}]}, {"$dynamicRef": "#"}]
)
def test_a_schema_that_takes_a_power_of_its_size_or_of_the_texts_is_not_applied(schema: dict[str, Any]):
    assert schema_of(JsonSchema(name="s", schema_json=json.dumps(schema))) is None


def test_a_recursive_schema_that_leads_back_in_one_way_is_applied():
    schema = ready(TREE)
    assert schema.problem('{"children": [{"left": {"right": null}}]}') is None
    assert schema.problem('{"children": [{"left": {"right": 3}}]}') is not None


def test_definitions_may_be_named_often():
    schema = ready({"type": "object", "properties": {f"p{n}": {"$ref": "#/$defs/x"} for n in range(500)}, "$defs": {"x": {"type": "integer"}}})  # fmt: skip
    assert schema.problem('{"p1": "1"}') is not None


def test_a_schema_and_a_text_that_are_large_together_are_too_much():
    kinds = [{"type": "object", "properties": {"k": {"const": number}}, "required": ["k"]} for number in range(1000)]
    schema = ready({"type": "array", "items": {"anyOf": kinds}})
    assert schema.problem(json.dumps([{"k": 1}] * 10)) is None
    assert schema.problem(json.dumps([{"k": -1}] * 10)) is not None
    with pytest.raises(TooMuch):
        schema.problem(json.dumps([{"k": 1}] * 10_000))


def test_a_pattern_that_would_backtrack_does_not():
    schema = ready({"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}})
    assert schema.problem(json.dumps({"a": "a" * 50_000 + "b"})) is not None
