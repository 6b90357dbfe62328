"""An answer's head for somebody who has left is a cancellation, and no defect of the servicer's."""

import grpc
import pytest

from penstock_common.rpc.sending import CallerLeftError, begun


class Context:
    def __init__(self, failure):
        self.failure = failure

    async def send_initial_metadata(self, head):
        raise self.failure


@pytest.mark.parametrize("failure", [grpc.aio.InternalError("x"), grpc.aio.UsageError("x")], ids=["broken", "ended"])
async def test_a_head_that_cannot_be_sent_is_a_caller_who_left(failure):
    with pytest.raises(CallerLeftError):
        await begun(Context(failure), ())


async def test_another_failure_stays_what_it_is():
    with pytest.raises(ValueError, match="defect"):
        await begun(Context(ValueError("defect")), ())
