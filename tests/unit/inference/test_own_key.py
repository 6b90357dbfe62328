"""Our key at an upstream is in no error that a caller sees."""

from __future__ import annotations

import pytest

from penstock_inference.adapters.providers.http.own_key import without_key
from penstock_inference.domain.failure import AttemptFailed, FailureKind

KEY = "sk-live-0123456789abcdef"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (f"bad header: Bearer {KEY}", "bad header: Bearer [key]"),
        (f"{KEY} is not {KEY}!", "[key] is not [key]!"),
        (f"{KEY}{KEY}", "[key][key]"),
        (f"unknown key {KEY[:-1]}…", "unknown key [key]…"),
        ("unknown key sk-live-01**********cdef", "unknown key [key]**********cdef"),
        ("unknown key sk-live", "unknown key sk-live"),
        ("temperature must be below 2", "temperature must be below 2"),
    ],
    ids=["whole", "twice", "in-a-row", "cut-short", "masked", "too-short", "without"],
)
def test_a_key_and_its_beginning_are_concealed(said, told):
    failure = AttemptFailed(FailureKind.BAD_REQUEST, said, parameter=said, input_tokens=7)
    shown = without_key(failure, KEY)
    assert (shown.detail, shown.parameter, str(shown)) == (told, told, told)
    assert (shown.kind, shown.input_tokens) == (FailureKind.BAD_REQUEST, 7)


@pytest.mark.parametrize("key", ["", "x", "EMPTY"], ids=["none", "one", "usual"])
def test_a_key_that_is_none_changes_nothing(key):
    failure = AttemptFailed(FailureKind.BAD_REQUEST, "the box is EMPTY")
    assert without_key(failure, key) is failure
