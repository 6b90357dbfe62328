"""What a request for vectors may hold."""

from __future__ import annotations

from collections.abc import Sequence

from penstock_common.errors import InvalidRequest

MAX_INPUTS = 2048
MAX_INPUT_BYTES = 1024 * 1024


def check_inputs(inputs: Sequence[str]) -> None:
    """Raise InvalidRequest, naming the input, if there are too few or too many, or one is empty or too long."""
    if not 1 <= len(inputs) <= MAX_INPUTS:
        raise InvalidRequest(f"{len(inputs)} inputs were given; 1 to {MAX_INPUTS} are allowed.", field="inputs")
    for index, text in enumerate(inputs):
        if not text:
            raise InvalidRequest("An input is empty.", field=f"inputs[{index}]")
        # Counting characters first spares encoding what is short: none takes more than four bytes.
        if len(text) * 4 > MAX_INPUT_BYTES and len(text.encode()) > MAX_INPUT_BYTES:
            raise InvalidRequest(
                f"An input is longer than {MAX_INPUT_BYTES} bytes; split it.", field=f"inputs[{index}]"
            )
