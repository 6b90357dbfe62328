"""JSON with its signs put right: no value becomes another, and what nobody can be sure of is left alone."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from penstock_common.llm.types import JsonSchema
from penstock_gateway.adapters.json_schema import schema_of
from penstock_gateway.domain.structured.mending import mended

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "is_born": {"type": ["boolean", "null"]},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}


def person():
    made = schema_of(JsonSchema(name="s", schema_json=json.dumps(PERSON)))
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1, "b": [1, 2,],}', {"a": 1, "b": [1, 2]}),
        ('{a: 1, $b-c: "x"}', {"a": 1, "$b-c": "x"}),
        ("{'a': 'it\\'s \"so\"', “b”: “c”}", {"a": 'it\'s "so"', "b": "c"}),
        ('{"a": True, "b": None, "c": False}', {"a": True, "b": None, "c": False}),
        ('{// first\n"a": 1, /* second */ "b": 2}', {"a": 1, "b": 2}),
        ('{"a": "one\ntwo\t"}', {"a": "one\ntwo\t"}),
        ('{"a": [1, {"b": 2', {"a": [1, {"b": 2}]}),
        ('{"a": 1\n"b": 2}', {"a": 1, "b": 2}),
        ('[{"a": 1}\n{"a": 2}]', [{"a": 1}, {"a": 2}]),
        ('{"a": 1}\n```\nAnything else?', {"a": 1}),
        ("{}", {}),
        ('{"a": "\\u00e9\\n", "é": -1.5e3}', {"a": "é\n", "é": -1500.0}),
    ],
)
def test_signs_are_put_right(text: str, value: Any):
    made = mended(text)
    assert made is not None and json.loads(made.text) == value


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "never ends', '{"a": }', '{"a"}', '{"a" 1}', '{"a": 1 "b": 2}', "{1: 2}", '{"a": undefined}', '{"a": 1]', '{"a": 01}', "{,}",
        '["a" "b"]', '{"a": it}', "{'a': 'it's'}", '{"a":', "[" * 300, '{"a": 1,, "b": 2}', '{"a": NaN}', '{"a": "x"y"}', '{"a": 1.}', "{[1]: 2}",
    ],
)  # fmt: skip
def test_what_nobody_can_be_sure_of_is_left_alone(text: str):
    assert mended(text) is None


def test_json_stays_what_it_is_and_no_beginning_of_it_is_odd():
    rng = random.Random(5)

    def some(depth: int) -> Any:
        kind = rng.randrange(8 if depth else 5)
        if kind < 5:
            return [
                rng.randrange(-9, 10**6),
                rng.random(),
                True,
                None,
                rng.choice(["", 'é"\\\n', "a // b", "it's", "{“}"]),
            ][kind]
        if kind < 7:
            return {rng.choice("abcdef"): some(depth - 1) for _ in range(rng.randrange(4))}
        return [some(depth - 1) for _ in range(rng.randrange(4))]

    for _ in range(60):
        value = {"x": some(3), "y": [some(2)]}
        text = json.dumps(value, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, 2]))
        made = mended(text)
        assert made is not None and json.loads(made.text) == value
        for end in range(1, len(text)):
            begun = mended(text[:end], may_go_on=True)
            assert begun is not None and not begun.is_whole
            if begun.text:
                json.loads(begun.text)


@pytest.mark.parametrize(
    "text",
    [
        "{'name': 'Ada', 'age': 36, }", '{name: "Ada", age: "36"}', '{"name": "Ada", "age": 36, "is_born": True}',
        '{"name": "Ada", // who\n "age": "36", "is_born": "true"}',
    ],
)  # fmt: skip
def test_no_beginning_of_what_can_be_mended_is_lost(text: str):
    schema = person()
    assert not any(schema.is_lost(text[:end]) for end in range(len(text) + 1))
    made = mended(text)
    assert made is not None
    assert schema.problem(made.text) is None or schema.fitted(made.text) is not None


def test_numbers_and_truth_values_come_out_of_their_quotes_where_the_schema_wants_them():
    schema = person()
    fitted = schema.fitted('{"name": "36", "age": "36", "is_born": "null", "tags": ["1"]}')
    assert fitted is not None
    assert json.loads(fitted) == {"name": "36", "age": 36, "is_born": None, "tags": ["1"]}
    for other in ('"many"', '"36 years"', '"3.5"', '"036"', '"true"', '""', '"1e3"', '"' + "9" * 30 + '"', "[1]"):
        assert schema.fitted(f'{{"name": "Ada", "age": {other}}}') is None
    assert schema.fitted('{"name": 7, "age": "36"}') is None
    many = {"type": "object", "properties": {"n": {"type": "array", "items": {"type": "integer"}}}}
    made = schema_of(JsonSchema(name="s", schema_json=json.dumps(many)))
    assert made is not None
    assert made.fitted(json.dumps({"n": ["1"] * 64})) is not None
    assert made.fitted(json.dumps({"n": ["1"] * 65})) is None


def test_a_long_text_takes_no_power_of_its_length():
    for text in (
        '{"a": [' + "1, " * 40_000,
        "[" + '"x"\n' * 20_000,
        "[/* " + "* " * 60_000,
        '["' + "\\" * 100_001,
        "[" + "/" * 90_000,
    ):
        mended(text)
        mended(text, may_go_on=True)
