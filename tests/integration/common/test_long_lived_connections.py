"""Times of connections that are longer than gRPC can count."""

from datetime import timedelta

import pytest

from penstock_common.rpc.server import GrpcLimits, ServerOptions, listening

TWO_MONTHS = timedelta(days=60)


@pytest.mark.parametrize("name", ["max_connection_idle", "max_connection_age", "max_connection_age_grace"])
async def test_a_connection_may_be_kept_for_longer_than_grpc_counts(name):
    options = ServerOptions(limits=GrpcLimits(**{name: TWO_MONTHS}))
    async with listening("127.0.0.1:0", [], [], options) as listener:
        assert listener.port > 0
