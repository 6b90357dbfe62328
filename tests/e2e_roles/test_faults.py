"""Roles that die, come back, are replaced and added, while callers go on."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any, Self

import pytest

from penstock_common.testing.haproxy import HaProxy, haproxy_executable
from penstock_common.testing.name_server import NameServer
from penstock_common.testing.openai_upstream import Answer, End
from penstock_common.testing.ports import free_ports

# Less than a request's deadline, of a minute, which would otherwise be what ends it.
TYPED_ERROR_SECONDS = 40.0
RECOVERY_SECONDS = 60.0
CALLERS = 4


def name(fleet: Any, names: NameServer, role: str, *hosts: str) -> int:
    """Let callers find the role by a name that stands for these hosts, and return its port there."""
    port = int(fleet.document["services"][role]["listen"].rpartition(":")[2])
    names.addresses[f"{role}.penstock.test"] = hosts
    fleet.document["services"][role]["target"] = f"dns://127.0.0.1:{names.port}/{role}.penstock.test:{port}"
    return port


def at(role: str, address: str, metrics_port: int) -> dict[str, str]:
    return {
        f"PENSTOCK_SERVICES__{role.upper()}__LISTEN": address,
        "PENSTOCK_TELEMETRY__METRICS_LISTEN": f"127.0.0.1:{metrics_port}",
        "UPSTREAM_KEY": "sk-upstream",
    }


class Load:
    """Callers that ask one question after another until told to stop, and what they were told."""

    def __init__(self, ask_one: Any) -> None:
        self._ask_one = ask_one
        self._on = True
        self.statuses: Counter[int] = Counter()
        self.bodies: list[Any] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._ask(number)) for number in range(CALLERS)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._on = False
        await asyncio.gather(*self._tasks)

    async def _ask(self, number: int) -> None:
        count = 0
        while self._on:
            count += 1
            status, body, _ = await self._ask_one(f"{number} asks {count}")
            self.statuses[status] += 1
            if status != 200:
                self.bodies.append(body)

    async def until(self, more: int) -> None:
        """Return when this many more were answered."""
        wanted = self.statuses.total() + more
        async with asyncio.timeout(60):
            while self.statuses.total() < wanted:
                await asyncio.sleep(0.01)


async def test_killed_role_is_a_typed_error_at_once_and_answers_soon_after_it_is_back(fleet):
    for role in ("router", "inference", "gateway"):
        fleet.roles[role].kill()
        await fleet.roles[role].process.wait()
        began = time.monotonic()
        # No question of before, which the cache might answer.
        status, body, headers = await fleet.ask(f"are you there, {role}?")
        assert time.monotonic() - began < TYPED_ERROR_SECONDS
        assert status in (502, 503)
        assert body["error"]["message"]
        assert "retry-after" in headers

        await fleet.start(role, overrides={"UPSTREAM_KEY": "sk-upstream"})
        back = time.monotonic()
        while (await fleet.ask(f"and now, {role}?"))[0] != 200:
            assert time.monotonic() - back < RECOVERY_SECONDS
            await asyncio.sleep(0.05)


async def test_killed_cache_costs_hits_alone(fleet):
    fleet.roles["cache"].kill()
    await fleet.roles["cache"].process.wait()
    status, _, headers = await fleet.ask("are you there?")
    assert status == 200
    assert "hit" not in headers["x-penstock-cache"]


async def test_stream_of_a_killed_role_ends_in_an_error_and_not_in_done(fleet, upstream):
    upstream.enqueue(Answer(tokens=["one", "two"], stop_after=2, end=End.STALL))
    async with fleet.open_chat("cut me", stream=True) as response:
        received = b""
        while b"one" not in received:
            received += await response.content.readany()
        fleet.roles["inference"].kill()
        async with asyncio.timeout(60):
            received += await response.read()
    assert b'"error"' in received
    assert b"[DONE]" not in received


async def test_killed_embedding_role_is_a_typed_error_at_once_and_chat_goes_on(embedding, fleet):
    assert (await fleet.embed("are you there?"))[0] == 200
    fleet.roles["embedding"].kill()
    await fleet.roles["embedding"].process.wait()
    began = time.monotonic()
    status, body, headers = await fleet.embed("are you still there?")
    assert time.monotonic() - began < TYPED_ERROR_SECONDS
    assert status == 503
    assert body["error"]["message"]
    assert "retry-after" in headers
    assert (await fleet.ask("and you?"))[0] == 200

    await fleet.start("embedding")
    back = time.monotonic()
    while (await fleet.embed("and now?"))[0] != 200:
        assert time.monotonic() - back < RECOVERY_SECONDS
        await asyncio.sleep(0.05)


async def test_rolling_restart_of_two_embedding_replicas_fails_no_call(
    edge, embedding, idle_fleet, upgraded, roles, names
):
    await replace_replicas(idle_fleet, "embedding", idle_fleet.embed, names, upgraded, roles)


@pytest.mark.parametrize("role", ["router", "cache", "inference"])
async def test_rolling_restart_of_two_replicas_fails_no_call(edge, idle_fleet, upgraded, roles, names, role):
    await replace_replicas(idle_fleet, role, idle_fleet.ask, names, upgraded, roles)


async def replace_replicas(idle_fleet, role, ask, names, upgraded, roles) -> None:
    """Add a second replica, then replace both, one by one, while callers ask."""
    port = name(idle_fleet, names, role, "127.0.0.1", "127.0.0.2")
    metrics_ports = iter(free_ports(3))

    async def start(label: str, host: str) -> None:
        metrics_port = next(metrics_ports)
        await idle_fleet.start(role, label=label, overrides=at(role, f"{host}:{port}", metrics_port))
        # The next one goes when this one has begun to work, as a deployment does it.
        async with asyncio.timeout(60):
            while not await served(idle_fleet, metrics_port):
                await load.until(1)

    await upgraded(idle_fleet)
    await roles(idle_fleet)
    async with Load(ask) as load:
        await start("second", "127.0.0.2")
        for label, host in ((role, "127.0.0.1"), ("second", "127.0.0.2")):
            assert await idle_fleet.roles[label].stop() == 0
            await load.until(20)
            await start(label, host)
    assert load.statuses.keys() == {200}, load.bodies


async def test_rolling_restart_of_two_gateways_fails_no_call(edge, idle_fleet, upgraded, roles):
    document = idle_fleet.document
    ports = free_ports(7)
    places, metrics_ports = {"gateway": ports[:2], "second": ports[2:4]}, iter(ports[4:])

    async def start(label: str) -> None:
        (wire, public), metrics_port = places[label], next(metrics_ports)
        await idle_fleet.start("gateway", label=label, overrides={
            "PENSTOCK_SERVICES__GATEWAY__LISTEN": f"127.0.0.1:{wire}",
            "PENSTOCK_LISTEN__GRPC": f"127.0.0.1:{public}",
            "PENSTOCK_TELEMETRY__METRICS_LISTEN": f"127.0.0.1:{metrics_port}",
        })  # fmt: skip
        async with asyncio.timeout(60):
            while not await served(idle_fleet, metrics_port):
                await typed.until(1)

    document["services"]["gateway"]["listen"] = f"127.0.0.1:{ports[0]}"
    document["listen"]["grpc"] = f"127.0.0.1:{ports[1]}"
    await upgraded(idle_fleet)
    listed = {
        "gateway-http": ",".join(f"https://127.0.0.1:{wire}" for wire, _ in places.values()),
        "gateway-grpc": ",".join(f"127.0.0.1:{public}" for _, public in places.values()),
    }
    await roles(idle_fleet, **listed)
    async with Load(idle_fleet.ask) as load, Load(idle_fleet.ask_typed) as typed:
        await start("second")
        for label in places:
            assert await idle_fleet.roles[label].stop() == 0
            await asyncio.gather(load.until(20), typed.until(20))
            await start(label)
    assert load.statuses.keys() == {200}, load.bodies
    assert typed.statuses.keys() == {200}, typed.bodies


async def test_rolling_restart_of_two_edges_fails_no_call(edge, idle_fleet, upgraded, roles, upstream, tmp_path):
    try:
        haproxy_executable()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    places = {label: f"127.0.0.1:{port}" for label, port in zip(("edge", "second"), free_ports(2), strict=True)}
    rest = asyncio.Event()
    upstream.enqueue(*[Answer(tokens=["one", "two"], hold={2: rest})] * len(places))
    await upgraded(idle_fleet)
    await roles(idle_fleet, listen=places["edge"])
    await idle_fleet.start_edge("second", listen=places["second"])
    async with HaProxy(tmp_path, places) as balancer:
        for label in places:
            await balancer.until_up(label)
        idle_fleet.http = f"http://{balancer.address}"
        # They take turns, so each edge has one.
        streams = [await begun_stream(idle_fleet, number) for number in range(len(places))]
        async with Load(idle_fleet.ask) as wire, Load(idle_fleet.ask_typed) as typed:
            for label, place in places.items():
                stopping = asyncio.create_task(idle_fleet.roles[label].stop())
                await asyncio.gather(wire.until(50), typed.until(50))
                rest.set()
                assert await stopping == 0
                await asyncio.gather(wire.until(50), typed.until(50))
                await idle_fleet.start_edge(label, listen=place)
                await balancer.until_up(label)
        for received, response in streams:
            assert (received + await response.read()).endswith(b"data: [DONE]\n\n")
    assert wire.statuses.keys() == typed.statuses.keys() == {200}, (wire.bodies, typed.bodies)


async def begun_stream(fleet, number):
    """Return what came so far of a stream, and the rest of it."""
    response = await fleet.open_chat(f"stream {number}", stream=True)
    received = b""
    while b"one" not in received:
        assert not response.content.at_eof(), received
        received += await response.content.readany()
    return received, response


async def test_stream_ends_properly_while_its_replica_is_replaced(fleet, upstream):
    rest = asyncio.Event()
    upstream.enqueue(Answer(tokens=["one", "two"], hold={2: rest}))
    async with fleet.open_chat("whole", stream=True) as response:
        received = b""
        while b"one" not in received:
            received += await response.content.readany()
        stopping = asyncio.create_task(fleet.roles["inference"].stop())
        async with asyncio.timeout(60):
            while (await fleet.ask("refused by now?", temperature=1))[0] == 200:
                await asyncio.sleep(0.02)
        rest.set()
        received += await response.read()
    assert received.endswith(b"data: [DONE]\n\n")
    assert await stopping == 0


async def test_full_process_turns_away_what_another_cannot_take_either_and_hits_go_on(
    edge, idle_fleet, upgraded, roles, upstream
):
    idle_fleet.document["services"]["room"] = {"inference": 1}
    await upgraded(idle_fleet)
    await roles(idle_fleet)
    assert (await idle_fleet.ask("known", temperature=0))[0] == 200
    async with asyncio.timeout(60):
        # It is kept behind the answer.
        while "hit" not in (await idle_fleet.ask("known", temperature=0))[2]["x-penstock-cache"]:
            await asyncio.sleep(0.05)
    upstream.enqueue(Answer(tokens=["one", "two"], stop_after=2, end=End.STALL))
    async with idle_fleet.open_chat("fills it", stream=True) as response:
        received = b""
        while b"one" not in received:
            received += await response.content.readany()
        status, body, headers = await idle_fleet.ask("has no place")
        assert (status, body["error"]["code"]) == (503, "overloaded")
        assert "inference service is busy" in body["error"]["message"]
        assert int(headers["retry-after"]) >= 1
        status, _, headers = await idle_fleet.ask("known", temperature=0)
        assert status == 200
        assert "hit" in headers["x-penstock-cache"]


async def test_replica_that_starts_late_takes_its_share(edge, idle_fleet, upgraded, roles, names):
    port = name(idle_fleet, names, "inference", "127.0.0.1")
    # What a connection's end makes callers do is ask for the name again, and by default that is half a minute off.
    idle_fleet.document["services"]["connection_age"] = "2s"
    metrics_port = free_ports(1)[0]
    await upgraded(idle_fleet)
    await roles(idle_fleet)
    async with Load(idle_fleet.ask) as load:
        await load.until(20)
        await idle_fleet.start(
            "inference", label="second", overrides=at("inference", f"127.0.0.2:{port}", metrics_port)
        )
        names.addresses["inference.penstock.test"] = ["127.0.0.1", "127.0.0.2"]
        async with asyncio.timeout(60):
            while True:
                asked, before = load.statuses.total(), await served(idle_fleet, metrics_port)
                await load.until(100)
                share = (await served(idle_fleet, metrics_port) - before) / (load.statuses.total() - asked)
                if 0.3 <= share <= 0.7:
                    break
    assert load.statuses.keys() == {200}, load.bodies


async def served(fleet: Any, metrics_port: int) -> float:
    """Return how many calls a process has ended, as its metrics say."""
    async with fleet.session.get(f"http://127.0.0.1:{metrics_port}/metrics") as response:
        lines = (await response.text()).splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if "_count{" in line and "rpc_method" in line)
