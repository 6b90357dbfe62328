"""What goes out to an upstream besides the body."""

import json

import pytest

from penstock_common.rpc.scope import CURRENT_SCOPE, RequestScope
from penstock_common.testing.openai_upstream import Body

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_the_trace_goes_on_to_the_upstream_and_our_tenant_does_not(caller, first):
    token = CURRENT_SCOPE.set(RequestScope(traceparent=TRACEPARENT, tenant="acme", request_id="r1"))
    try:
        await caller.ask("first/m")
    finally:
        CURRENT_SCOPE.reset(token)
    headers = first.requests[0].headers
    assert headers["traceparent"] == TRACEPARENT
    assert "acme" not in str(headers)


async def test_without_a_trace_there_is_no_header(caller, first):
    await caller.ask("first/m")
    assert "traceparent" not in first.requests[0].headers


async def test_each_upstream_gets_its_own_key_and_no_answer_is_compressed(serve, first, second):
    caller = await serve(first.settings("first", api_key="sk-one"), second.settings("second", api_key=""))
    await caller.ask("first/m")
    await caller.ask("second/m")
    assert first.requests[0].headers["authorization"] == "Bearer sk-one"
    assert "authorization" not in second.requests[0].headers
    assert first.requests[0].headers["accept-encoding"] == "identity"
    assert first.requests[0].path == "/v1/chat/completions"
    assert first.requests[0].body["model"] == "m"


@pytest.mark.parametrize("whole", [False, True], ids=["streamed", "whole"])
@pytest.mark.parametrize("in_band", [False, True], ids=["by-status", "in-band"])
async def test_an_upstream_that_repeats_our_key_does_not_tell_it_to_callers(whole, in_band, serve, first):
    key = "sk-live-0123456789abcdef"
    error = json.dumps({"error": {"message": f"bad header: Bearer {key}", "type": "invalid_request_error"}}).encode()
    first.enqueue(Body(frames=[error], content_type="application/json", status=200 if in_band else 400))
    caller = await serve(first.settings("first", api_key=key))
    outcome = await caller.ask("first/m", whole=whole)
    assert "bad header: Bearer [key]" in str(outcome.error)
    assert key not in repr(outcome.error)
