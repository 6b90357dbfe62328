"""Roles that are processes of their own take a changed file over one after another, while callers are answered."""

from __future__ import annotations

import asyncio
import json
import signal

from penstock.gateway.v1 import status_service_pb2 as pb
from penstock.gateway.v1.status_service_pb2_grpc import StatusServiceStub
from penstock_common.testing.openai_upstream import Answer

ORDER = ("inference", "router", "cache", "gateway")
OPERATOR = "key-of-the-operator-of-all"


async def hang_up(role):
    """Return what becomes of the reload that a role is told of."""
    role.process.send_signal(signal.SIGHUP)
    async for line in role.process.stdout:
        if (event := json.loads(line))["event"] == "reload":
            return event
    raise AssertionError(f"the {role.name} has ended")


async def revision_of_gateway(fleet):
    """Return what the gateway says of itself."""
    async with fleet.channel() as channel:
        metadata = (("authorization", f"Bearer {OPERATOR}"),)
        status = await StatusServiceStub(channel).GetStatus(pb.GetStatusRequest(), metadata=metadata, timeout=30)
    return status.configuration_revision


async def test_every_role_takes_the_file_over_and_no_caller_notices(idle_fleet, edge, upgraded, roles, upstream):
    fleet = idle_fleet
    fleet.document["operator"] = {"keys": [OPERATOR]}
    await upgraded(fleet)
    await roles(fleet)
    before = await revision_of_gateway(fleet)
    done, statuses = asyncio.Event(), []

    async def ask_on(number):
        while not done.is_set():
            # Not kept: a hit would ask nobody.
            statuses.append((await fleet.ask(f"{number}-{len(statuses)}"))[0])

    asking = [asyncio.create_task(ask_on(number)) for number in range(4)]
    fleet.document["models"].append({"name": "new", "candidates": ["second/m1"]})
    fleet.document["models"][0]["candidates"] = ["second/m1"]
    fleet.document["upstreams"][0]["name"] = "second"
    fleet.document["upstreams"][0]["models"][0]["price"] = {"input": 10, "output": 20}
    fleet.write()
    told = [await hang_up(fleet.roles[name]) for name in ORDER]
    done.set()
    await asyncio.gather(*asking)
    assert [event["outcome"] for event in told] == ["applied"] * 4
    assert {*statuses} == {200}
    upstream.enqueue(Answer())
    status, _, _ = await fleet.ask("what does it cost now", model="new")
    assert status == 200
    assert {event["revision"] for event in told} == {await revision_of_gateway(fleet)}
    assert before in {event["revision_before"] for event in told}


async def test_a_faulty_file_leaves_each_role_as_it_was(idle_fleet):
    role = await idle_fleet.start("router")
    idle_fleet.document["models"][0]["candidates"] = ["absent/m1"]
    idle_fleet.write()
    told = await hang_up(role)
    assert (told["outcome"], len(told["faults"])) == ("refused", 1)
    assert "which no upstream has" in told["faults"][0]
    assert await role.stop() == 0


async def test_an_edge_has_nothing_to_reload_and_goes_on(fleet):
    fleet.roles["edge"].process.send_signal(signal.SIGHUP)
    assert (await fleet.ask("Are you there?"))[0] == 200
    assert await fleet.roles["edge"].stop() == 0
