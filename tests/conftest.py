"""What every test may ask for."""

import pytest

from penstock_common.testing.transports import TRANSPORTS


@pytest.fixture(params=TRANSPORTS)
def transport(request):
    """Each of the suite's transports in turn."""
    return request.param
