"""Ask a real Prometheus all that the dashboards ask, after a minute of load on a real stack; draw them if told to.

    make dashboards [ARGS="--seconds 60 --publish"]

It fails where Prometheus refuses a query, where a panel that this load must fill is empty, and where an exemplar names a
trace that the collector has not got. ``--publish`` writes docs/pictures/dashboard-*.svg, drawn here and not by Grafana.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from programs import CHECKOUT, mock_upstream
from shapes import EDGE, HERE, ONE_PROCESS, running

from dashboards.load import document, load
from dashboards.picture import picture
from dashboards.prometheus import NotUnderstood, Prometheus, Series, panels_of, scraping
from penstock_common.testing.otlp_collector import OtlpCollector
from penstock_common.testing.ports import free_port

FOLDER = CHECKOUT / "deploy" / "grafana" / "dashboards"
PICTURES = CHECKOUT / "docs" / "pictures"
WORDS = {"$model": ".*", "$tenant": ".*", "$__rate_interval": "10s"}
STEP_SECONDS = 1.0
# What needs a GPU, Triton, an embedding model, jobs, reviews, guardrails or documents stays empty here.
FILLED = {
    "Penstock: operator": {"Requests", "Failed", "In flight", "First token, p95", "Answers from the cache", "Overhead",
                           "Requests by outcome", "Duration", "Hits by tier", "Error budget left", "Tokens per second"},
    "Penstock: finance": {"Cost per hour", "By tenant, in 24 hours", "By model, in 24 hours", "By feature, in 24 hours",
                          "Dollars per hour by tenant", "Dollars per hour, saved by the cache"},
    "Penstock: model owner": {"First token, p95", "Tokens a second of an answer, median", "Tokens a second, of all answers",
                              "Time to the first token", "Longest gap, p99", "How answers end, other than well"},
}  # fmt: skip
FIRST_TOKEN = "gen_ai_server_time_to_first_token_seconds_bucket"
SETTLED_SECONDS = 6.0
"""Until the last spans are exported and the last scrape is done."""


def main() -> int:
    """Return 0 if all is as it should be."""
    parser = argparse.ArgumentParser(prog="dashboards")
    parser.add_argument("--seconds", type=float, default=45.0, help="of load")
    parser.add_argument("--publish", action="store_true", help="write the pictures into docs/pictures")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="penstock-dashboards-") as folder:
        return asyncio.run(_run(Path(folder), chosen.seconds, publish=chosen.publish))


async def _run(folder: Path, seconds: float, *, publish: bool) -> int:
    metrics = f"127.0.0.1:{free_port()}"
    async with OtlpCollector() as collector:
        with mock_upstream() as upstream:
            said = document(upstream.address, collector.endpoint, metrics)
            with (
                running(HERE, ONE_PROCESS, said, folder / "stack") as stack,
                scraping(metrics, folder / "prometheus") as prometheus,
            ):
                (edge,) = [door for door in stack.doors if door.name == EDGE]
                began = time.time()
                asked = await load(f"http://{edge.address}", seconds)
                await asyncio.sleep(SETTLED_SECONDS)
                faults = _dashboards(prometheus, began, publish=publish)
                traced = prometheus.exemplars(FIRST_TOKEN, began, time.time())
                known = {span.trace_id for span in collector.spans}
                if not traced or not set(traced) <= known:
                    faults.append(f"{len(set(traced) - known)} of {len(traced)} exemplars name a trace that nobody has")
                print(
                    f"{asked} requests; {len(traced)} exemplars, each of a trace that was exported"
                    if not faults
                    else "\n".join(faults)
                )
                return 1 if faults else 0


def _dashboards(prometheus: Prometheus, began: float, *, publish: bool) -> list[str]:
    faults: list[str] = []
    for path in sorted(FOLDER.glob("*.json")):
        title, panels = panels_of(path)
        found: dict[int, list[Series]] = {}
        queries = 0
        for panel in panels:
            for target in panel.get("targets", []):
                queries += 1
                try:
                    found.setdefault(panel["id"], []).extend(_asked(prometheus, target, began))
                except NotUnderstood as refused:
                    faults.append(f"{title}: {panel['title']}: {refused}")
        filled = {panel["title"] for panel in panels if found.get(panel["id"])}
        faults += [f"{title}: {name}: empty" for name in sorted(FILLED[title] - filled)]
        shown = sum(1 for panel in panels if panel["type"] != "row")
        print(f"{title}: {queries} queries understood, {len(filled)} of {shown} panels with data")
        if publish:
            PICTURES.mkdir(exist_ok=True)
            (PICTURES / f"dashboard-{path.stem}.svg").write_text(picture(title, panels, found))
    return faults


def _asked(prometheus: Prometheus, target: dict[str, Any], began: float) -> list[Series]:
    query = target["expr"]
    for word, meant in WORDS.items():
        query = query.replace(word, meant)
    series = prometheus.range(query, began, time.time(), STEP_SECONDS)
    told = [(labels, [point for point in points if math.isfinite(point[1])]) for labels, points in series]
    return [(labels, points) for labels, points in told if points]


if __name__ == "__main__":
    sys.exit(main())
