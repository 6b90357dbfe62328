"""Values that go to providers as they stand: what no JSON reader takes is refused, and named as the caller does."""

import msgspec
import pytest

from penstock_common.errors import InvalidRequest
from penstock_gateway.surfaces.wire_formats.json_body import check_json


@pytest.mark.parametrize(
    ("raw", "message", "field"),
    [
        (b"1e999", "'logit_bias' must be a number of at most 64 bits.", "logit_bias"),
        (b"[1, 1e999]", "'logit_bias[1]' must be a number of at most 64 bits.", "logit_bias[1]"),
        (b'{"a": 1e999}', "A value of 'logit_bias' must be a number of at most 64 bits.", "logit_bias"),
    ],
    ids=["alone", "in-an-array", "in-an-object"],
)
def test_a_number_that_is_out_of_range_is_named_by_the_callers_field(raw, message, field):
    with pytest.raises(InvalidRequest) as refused:
        check_json(msgspec.Raw(raw), "logit_bias")
    assert (refused.value.message, refused.value.field) == (message, field)
