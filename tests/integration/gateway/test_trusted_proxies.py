"""Behind a balancer: where a caller is says the balancer, if it is one of those that are trusted."""

from __future__ import annotations

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from penstock.gateway.v1 import admin_service_pb2 as pb
from penstock.gateway.v1 import model_service_pb2
from penstock.gateway.v1.admin_service_pb2_grpc import AdminServiceStub
from penstock.gateway.v1.model_service_pb2_grpc import ModelServiceStub


@pytest.fixture
async def behind(serve, document):
    """A suite that trusts this machine as a balancer."""
    document["listen"] = {"trusted_proxies": ["127.0.0.0/8", "10.0.0.0/8"]}
    return await serve()


async def bounded_key(suite):
    """Return a key for documentation's own network."""
    request = pb.CreateKeyRequest(tenant="demo", allowed_networks=["192.0.2.0/24"])
    operator = (("authorization", f"Bearer {suite.OPERATOR_KEY}"), ("x-forwarded-for", "198.51.100.7"))
    created = await AdminServiceStub(suite.channel).CreateKey(request, metadata=operator, timeout=30)
    return created.secret


async def reason_of(suite, key, *forwarded):
    """Return why a gRPC call that came by such hops is refused, empty if it is not."""
    metadata = (("x-api-key", key), *(("x-forwarded-for", value) for value in forwarded))
    call = ModelServiceStub(suite.channel).ListModels(
        model_service_pb2.ListModelsRequest(), metadata=metadata, timeout=30
    )
    try:
        await call
    except grpc.aio.AioRpcError as error:
        raw, info = dict(error.trailing_metadata())["grpc-status-details-bin"], error_details_pb2.ErrorInfo()
        assert any(packed.Unpack(info) for packed in status_pb2.Status.FromString(raw).details)
        return info.reason
    return ""


@pytest.mark.parametrize(
    ("forwarded", "passes"),
    [
        (("192.0.2.1",), True),
        (("198.51.100.1, 192.0.2.1, 10.0.0.1",), True),
        (("198.51.100.1", "10.0.0.1, 192.0.2.1"), True),
        (("192.0.2.1, 198.51.100.1",), False),
        (("192.0.2.1", "198.51.100.1"), False),
        (("192.0.2.1", "unknown"), False),
        ((), False),
    ],
)
async def test_key_is_accepted_by_the_nearest_hop_that_is_no_proxy(behind, forwarded, passes):
    reason = await reason_of(behind, await bounded_key(behind), *forwarded)
    assert reason == ("" if passes else "ADDRESS_NOT_PERMITTED")


async def test_audit_log_names_the_caller_and_not_the_balancer(behind):
    await bounded_key(behind)
    listed = await AdminServiceStub(behind.channel).ListAuditEntries(
        pb.ListAuditEntriesRequest(), metadata=(("authorization", f"Bearer {behind.OPERATOR_KEY}"),), timeout=30
    )
    assert [entry.client_address for entry in listed.entries] == ["198.51.100.7"]


async def test_nobody_is_believed_unless_it_is_said(suite):
    assert await reason_of(suite, await bounded_key(suite), "192.0.2.1") == "ADDRESS_NOT_PERMITTED"


@pytest.mark.parametrize("transport", ["tcp", "unix"])
async def test_no_header_of_a_request_over_a_socket_without_addresses_is_believed(behind, transport):
    """The wire formats come by a unix socket here, which has no address that could be trusted."""
    headers = {"authorization": f"Bearer {await bounded_key(behind)}", "x-forwarded-for": "192.0.2.1"}
    if transport == "unix":
        answered = await behind.request("GET", "/v1/models", headers=headers)
        assert (answered.status, answered.error["code"]) == (403, "address_not_permitted")
    else:
        assert await reason_of(behind, headers["authorization"].split()[1], "192.0.2.1") == ""


@pytest.mark.parametrize("text", ["10.0.0.1/8", "proxy", "", "10.0.0.0/33"])
def test_range_that_is_none_is_refused(document, text):
    from penstock_common.configuration import Configuration, ConfigurationError
    from penstock_gateway.settings import Settings

    document["listen"] = {"trusted_proxies": [text]}
    with pytest.raises(ConfigurationError, match=r"'listen.trusted_proxies.*10\.0\.0\.0/8"):
        Configuration(document).settings(Settings)
