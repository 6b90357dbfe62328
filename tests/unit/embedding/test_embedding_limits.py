from __future__ import annotations

import pytest

from penstock_common.errors import InvalidRequest
from penstock_embedding.domain.limits import MAX_INPUT_BYTES, check_inputs


@pytest.mark.parametrize(
    ("inputs", "field"),
    [
        ([], "inputs"),
        (["a"] * 2049, "inputs"),
        (["a", "b", "c", ""], "inputs[3]"),
        (["a", "b" * (MAX_INPUT_BYTES + 1)], "inputs[1]"),
        (["é" * (MAX_INPUT_BYTES // 2 + 1)], "inputs[0]"),
    ],
)
def test_a_request_beyond_a_limit_names_the_input(inputs: list[str], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_inputs(inputs)
    assert caught.value.field == field


@pytest.mark.parametrize("inputs", [["a"], ["a"] * 2048, ["b" * MAX_INPUT_BYTES], [" "]])
def test_a_request_at_a_limit_passes(inputs: list[str]) -> None:
    check_inputs(inputs)
