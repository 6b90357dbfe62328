"""One request in the query of a dashboard, as a real Prometheus answers it, and from there in its trace and in the log."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from penstock_common.testing.openai_upstream import Answer, Failure
from penstock_common.testing.ports import free_port

CHECKOUT = Path(__file__).parents[2]
DASHBOARDS = CHECKOUT / "deploy" / "grafana" / "dashboards"
SEEN_SECONDS = 90.0
GAP_SECONDS = 2.0


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prometheus: the system's, else that of Debian's package, unpacked."""
    installed = shutil.which("prometheus")
    if installed is not None:
        return Path(installed)
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        pytest.skip("there is no Prometheus, and no Debian to take it from")
    sys.path.insert(0, str(CHECKOUT / "tests" / "deploy"))
    from image_roots import NoRoots, debian_package

    try:
        return debian_package("prometheus", tmp_path_factory.mktemp("debian")) / "usr" / "bin" / "prometheus"
    except NoRoots as reason:
        pytest.skip(str(reason))


class Prometheus:
    """One that looks at a stack five times a second."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def is_ready(self) -> bool:
        try:
            async with self._session.get(f"{self._url}/-/ready") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    async def found(self, query: str) -> list[dict[str, Any]]:
        """Return the series of an answer that have a number in them."""
        async with self._session.get(f"{self._url}/api/v1/query", params={"query": query}) as response:
            found = (await response.json())["data"]["result"]
        return [series for series in found if series["value"][1] != "NaN"]

    async def exemplars(self, query: str) -> set[str]:
        """Return the traces that a query's series point to, of the last minutes."""
        now = time.time()
        params = {"query": query, "start": str(now - 600), "end": str(now + 60)}
        async with self._session.get(f"{self._url}/api/v1/query_exemplars", params=params) as response:
            found = (await response.json())["data"]
        return {one["labels"]["trace_id"] for series in found for one in series["exemplars"]}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def prometheus(stack, program, metrics_port, tmp_path_factory) -> AsyncIterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    config, address = folder / "prometheus.yaml", f"127.0.0.1:{free_port()}"
    looked_at = {"job_name": "penstock", "static_configs": [{"targets": [f"127.0.0.1:{metrics_port}"]}]}
    every = {"scrape_interval": "500ms", "scrape_timeout": "500ms"}
    config.write_text(json.dumps({"global": every, "scrape_configs": [looked_at]}))
    words = [f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={address}"]
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program, *words, "--enable-feature=exemplar-storage", stdout=log, stderr=log
        )
    try:
        found = Prometheus(stack.session, f"http://{address}")
        await _until(found.is_ready)
        yield found
    finally:
        process.kill()
        await process.wait()


async def _until(condition: Any) -> Any:
    last = time.monotonic() + SEEN_SECONDS
    while not (found := await condition()):
        assert time.monotonic() < last
        await asyncio.sleep(0.1)
    return found


def queries(part: str) -> Iterator[str]:
    """Yield the queries of the dashboards that have this in them, for any model and tenant, over the last minute."""
    for path in sorted(DASHBOARDS.glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", ()):
                text = target.get("expr", "")
                if part in text:
                    yield text.replace("$__rate_interval", "1m").replace("$model", ".*").replace("$tenant", ".*")


def _grouped(metric: str, by: str) -> str:
    return next(query for query in queries(metric) if f"sum by {by}" in query)


async def test_a_request_is_found_by_a_dashboards_query_and_by_its_ids_in_one_trace_and_the_log(
    stack, broken, collector, prometheus, wait
):
    by_outcome = _grouped("penstock_requests_total", "(model, outcome)")
    # A series has a rate once it was there before.
    for server in broken:
        server.enqueue(*[Failure(500)] * 60)
    traces = dict[str, str]()

    async def seen() -> bool:
        answer = await stack.ask(f"dashboard {uuid.uuid4()}", model="hopeless")
        assert answer.status == 502
        traces[answer.header["traceparent"].split("-")[1]] = answer.header["x-request-id"]
        return any(
            series["metric"] == {"model": "hopeless", "outcome": "upstream_failed"} and float(series["value"][1]) > 0
            for series in await prometheus.found(by_outcome)
        )

    await _until(seen)

    async def pointed_at() -> set[str]:
        series = 'gen_ai_server_request_duration_seconds_bucket{model="hopeless"}'
        return await prometheus.exemplars(series) & set(traces)

    trace_id = (await _until(pointed_at)).pop()

    def exported():
        spans = [span for span in collector.spans if span.trace_id == trace_id]
        return spans if any(span.name == "settle" for span in spans) else None

    spans = await wait(exported, SEEN_SECONDS)
    (root,) = [span for span in spans if span.name == "chat hopeless"]
    assert root.attributes["penstock.request_id"] == traces[trace_id]

    def logged():
        files = [stack.state.parent / "stderr", *stack.state.rglob("*.log")]
        told = [line for file in files for line in file.read_text().splitlines() if trace_id in line]
        return [json.loads(line) for line in told if "request_failed" in line]

    assert {line["request_id"] for line in await wait(logged)} == {traces[trace_id]}


async def test_two_seconds_between_two_tokens_are_found_by_a_dashboards_query(stack, first, prometheus):
    by_origin = _grouped("penstock_longest_gap_seconds_bucket", "(le, model, came_from)")

    async def found() -> bool:
        goes_on = asyncio.Event()
        first.enqueue(Answer(tokens=["slow", " ", "thought"], hold={2: goes_on}))
        async with stack.open_stream(f"gap {uuid.uuid4()}") as response:
            text = b""
            while b"slow" not in text:
                text += await response.content.readany()
            asyncio.get_running_loop().call_later(GAP_SECONDS + 0.1, goes_on.set)
            text += await response.read()
        assert b"thought" in text
        return any(
            series["metric"] == {"model": "fast", "came_from": "upstream"} and float(series["value"][1]) >= GAP_SECONDS
            for series in await prometheus.found(by_origin)
        )

    await _until(found)
