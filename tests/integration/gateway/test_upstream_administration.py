"""Upstreams by AdminService: who may, what holds then, and what is kept of it."""

from __future__ import annotations

from datetime import timedelta

import grpc
import pytest
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2, status_pb2

from penstock.gateway.v1 import admin_service_pb2 as pb
from penstock.gateway.v1 import status_service_pb2
from penstock.gateway.v1.admin_service_pb2_grpc import AdminServiceStub
from penstock.gateway.v1.status_service_pb2_grpc import StatusServiceStub
from penstock.gateway.v1.upstream_pb2 import UpstreamPlace

BY_HAND, OK = UpstreamPlace.STATE_BY_HAND, UpstreamPlace.STATE_OK


class Operator:
    """Calls the service with the operator's key; ``ask.EjectUpstream(upstream="x")`` returns the response or raises."""

    def __init__(self, suite):
        self._stub, self.head = AdminServiceStub(suite.channel), (("x-api-key", suite.OPERATOR_KEY),)

    def __getattr__(self, name):
        async def call(**fields):
            return await getattr(self._stub, name)(
                getattr(pb, f"{name}Request")(**fields), metadata=self.head, timeout=60
            )

        return call

    async def audited(self):
        """Return the newest entry."""
        return (await self.ListAuditEntries(page_size=1)).entries[0]


@pytest.fixture
def operator(suite):
    return Operator(suite)


def minutes(count):
    message = duration_pb2.Duration()
    message.FromTimedelta(timedelta(minutes=count))
    return message


async def refused(awaitable):
    """Return a failed call's status, and its error's reason and metadata."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await awaitable
    info = error_details_pb2.ErrorInfo()
    raw = dict(failed.value.trailing_metadata())["grpc-status-details-bin"]
    for packed in status_pb2.Status.FromString(raw).details:
        if packed.Unpack(info):
            break
    return failed.value.code(), info.reason, dict(info.metadata)


async def test_upstreams_are_listed_without_a_secret(suite, operator):
    assert (await suite.ask()).status == 200
    first, second = (await operator.ListUpstreams()).places
    assert [(place.upstream, place.model, place.state) for place in (first, second)] == [
        ("first", "m1", OK), ("second", "m1", OK),
    ]  # fmt: skip
    assert first.HasField("latency")
    assert not any(second.HasField(name) for name in ("latency", "since", "until", "probed_at", "waiting", "limit"))
    assert "sk-x" not in str(first)


async def test_whom_the_operator_leaves_out_nobody_asks_until_it_is_taken_back(suite, operator, upstream):
    out = await operator.EjectUpstream(upstream="first", duration=minutes(30), reason="a new network card")
    (place,) = out.places
    assert (place.upstream, place.state, place.reason) == ("first", BY_HAND, "a new network card")
    assert place.until.ToDatetime() - place.since.ToDatetime() == timedelta(minutes=30)
    answer = await suite.ask(model="safe")
    assert (answer.status, answer.header["x-penstock-upstream"], len(upstream.requests)) == (200, "second", 0)
    status = await StatusServiceStub(suite.channel).GetStatus(
        status_service_pb2.GetStatusRequest(), metadata=operator.head, timeout=60
    )
    assert [(place.upstream, place.state, place.reason) for place in status.unwell_places] == [
        ("first", BY_HAND, "a new network card")
    ]
    assert status.is_healthy
    entry = await operator.audited()
    assert (entry.action, entry.target, entry.outcome) == ("upstream.eject", "first", "ok")
    assert dict(entry.details) == {"duration": "0:30:00", "reason": "a new network card"}
    (place,) = (await operator.RestoreUpstream(upstream="first", model="m1")).places
    assert place.state == OK
    assert (await suite.ask("again", model="safe")).header["x-penstock-upstream"] == "first"
    entry = await operator.audited()
    assert (entry.action, entry.target, entry.outcome) == ("upstream.restore", "first/m1", "ok")


async def test_an_ejection_lasts_ten_minutes_where_nobody_says_how_long(operator):
    (place,) = (await operator.EjectUpstream(upstream="second", model="m1")).places
    assert place.until.ToDatetime() - place.since.ToDatetime() == timedelta(minutes=10)


@pytest.mark.parametrize("method", ["ProbeUpstream", "EjectUpstream", "RestoreUpstream"])
@pytest.mark.parametrize(
    ("named", "name"), [({"upstream": "third"}, "third"), ({"upstream": "first", "model": "x"}, "first/x")]
)
async def test_who_is_not_there_is_not_found(operator, method, named, name):
    code, reason, metadata = await refused(getattr(operator, method)(**named))
    assert (code, reason) == (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")
    assert metadata == {"kind": "upstream", "name": name}
    entry = await operator.audited()
    assert (entry.target, entry.outcome) == (name, "resource_not_found")


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"duration": minutes(0)}, "duration"),
        ({"duration": minutes(-1)}, "duration"),
        ({"duration": minutes(30 * 24 * 60 + 1)}, "duration"),
        ({"duration": duration_pb2.Duration(seconds=1, nanos=-1)}, "duration"),
        ({"reason": "x" * 257}, "reason"),
        ({"reason": "\x1b[2J"}, "reason"),
    ],
)
async def test_terms_that_cannot_be_are_refused(operator, terms, field):
    code, reason, metadata = await refused(operator.EjectUpstream(upstream="first", **terms))
    assert (code, reason, metadata["field"]) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST", field)
    assert {place.state for place in (await operator.ListUpstreams()).places} == {OK}


async def test_the_last_is_left_out_by_force_alone(operator):
    await operator.EjectUpstream(upstream="first")
    code, reason, metadata = await refused(operator.EjectUpstream(upstream="second"))
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "RESOURCE_STATE")
    assert metadata == {"kind": "upstream", "name": "second"}
    assert (await operator.audited()).outcome == "resource_state"
    (place,) = (await operator.EjectUpstream(upstream="second", force=True)).places
    assert place.state == BY_HAND
    assert dict((await operator.audited()).details) == {"duration": "0:10:00", "force": "true"}


async def test_a_probe_by_hand_is_audited(operator):
    (place,) = (await operator.ProbeUpstream(upstream="first")).places
    assert place.state == OK
    assert (await operator.audited()).action == "upstream.probe"
