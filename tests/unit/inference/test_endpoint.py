"""The places that serve one upstream's models."""

import pytest

from penstock_inference.domain.endpoint import Endpoint, Pool


def test_one_endpoint_is_always_the_next() -> None:
    endpoint = Endpoint(None, "eu-1")  # pyright: ignore[reportArgumentType] - never asked
    pool = Pool([endpoint])
    assert [pool.choose() for _ in range(3)] == [endpoint] * 3
    assert pool.endpoints == (endpoint,)


def test_a_pool_without_an_endpoint_is_none() -> None:
    with pytest.raises(ValueError, match="endpoint"):
        Pool([])
