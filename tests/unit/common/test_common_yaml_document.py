"""What YAML lets pass and nobody means: keys given twice, documents without end, and how a fault says where it is."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.faults import ConfigurationError
from penstock_common.yaml_document import read_yaml

DOUBLED = [
    ("a: 1\nb: 2\na: 3", "a", 1, 3),
    ("a: {x: 1, x: 2}", "a.x", 1, 1),
    ("a:\n  - {x: 1}\n  - x: 1\n    y: 2\n    x: 3", "a[1].x", 3, 5),
    ("a:\n  'b': 1\n  \"b\": 2", "a.b", 2, 3),
    ("1: x\n'1': y", "1", 1, 2),
    ("a:\n  b:\n    c: 1\n    c:", "a.b.c", 3, 4),
    ("a: &x {k: 1}\nb:\n  <<: *x\n  k: 2\n  k: 3", "b.k", 4, 5),
]


def faults_in(text):
    with pytest.raises(ConfigurationError) as caught:
        read_yaml(text, "penstock.yaml")
    return caught.value.faults


@pytest.mark.parametrize(("text", "key", "first", "second"), DOUBLED)
def test_a_key_that_is_given_twice_is_refused_with_both_lines(text, key, first, second):
    (fault,) = faults_in(text)
    assert (fault.key, fault.file, fault.line) == (key, "penstock.yaml", second)
    assert f"'{key}' is given twice, in line {first} and in line {second}" in fault.message


def test_every_doubled_key_is_told_once_also_where_its_mapping_is_referred_to():
    faults = faults_in("x-a: &a {k: 1, k: 2}\nb: *a\nc: [*a, {m: 1, m: 2}]")
    assert [fault.key for fault in faults] == ["x-a.k", "c[1].m"]


def test_a_merged_mapping_gives_way_to_the_mappings_own_keys():
    read = read_yaml("x-a: &a {k: 1, m: 2}\nx-b: &b {m: 3}\nc:\n  <<: [*a, *b]\n  k: 4", "f")
    assert read.value["c"] == {"k": 4, "m": 2}
    assert read.lines["c", "k"] == 5
    assert read.lines["c", "m"] in (1, 2)


def test_two_merges_in_one_mapping_are_refused():
    (fault,) = faults_in("x-a: &a {k: 1}\nx-b: &b {k: 2}\nc:\n  <<: *a\n  <<: *b")
    assert "'<<' is given twice" in fault.message


def test_a_document_that_is_small_and_means_gigabytes_is_refused():
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    text += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
    assert "more than 100,000 values" in faults_in(text)[0].message


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {b: {c: *a}}", "&a {<<: *a}"])
def test_a_document_that_holds_itself_is_refused(text):
    assert "itself" in faults_in(text)[0].message


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\n b: 2", 2),
        ("a: [1", 2),
        ("a: 'x", 1),
        ("a: *nobody", 1),
        ("a: !!python/object:os.system x", 1),
        ("a: 1\n---\nb: 2", 2),
        ("? [1, 2]\n: x", 1),
        ("a:\n\t- b", 2),
        ("a: 2026-13-40", 0),
        ("[" * 300_000, 1),
        ("[" * 300_000 + "]" * 300_000, 1),
        ("- " * 300_000, 1),
    ],
)
def test_what_cannot_be_read_says_where_and_quotes_nothing(text, line):
    secret = "# sk-live-secret\n"
    (fault, *_) = faults_in(text + "  " + secret if text.startswith("a: 1\n") else text)
    assert not line or fault.line == line
    assert "secret" not in fault.message
    assert "python" not in fault.message


def test_a_place_is_the_line_of_the_key_or_the_item():
    lines = read_yaml("a:\n  - b: 1\n    c: 2\n  - d\n", "f").lines
    assert lines == {("a",): 1, ("a", 0): 2, ("a", 0, "b"): 2, ("a", 0, "c"): 3, ("a", 1): 4}


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text):
    with suppress(ConfigurationError):
        read_yaml(text, "f")
