"""What the collector keeps: the rules name what the gateway says, and the collector itself keeps what they are to keep.

The collector is built from its modules, which takes minutes the first time: ``make tail-rules`` asks for it.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from image_roots import ROOT

from penstock_common.telemetry import semconv
from penstock_common.telemetry.spans import open_spans
from penstock_common.telemetry.steps import Step
from penstock_common.telemetry.trace_context import TraceContext
from penstock_common.testing.otlp_collector import OtlpCollector
from penstock_common.testing.ports import free_port
from penstock_gateway.adapters import telemetry

FILE = ROOT / "deploy" / "otel" / "collector.yaml"
SOURCE = Path(__file__).with_name("collector_model")
BUILD_SECONDS, START_SECONDS = 900, 60
BORING = 200


def policies() -> dict[str, dict]:
    rules = yaml.safe_load(FILE.read_text())["processors"]["tail_sampling"]["policies"]
    return {rule["name"]: rule for rule in rules}


def test_rules_ask_for_what_the_gateway_says_at_its_own_limits():
    conditions = {name: rule["ottl_condition"]["span"] for name, rule in policies().items() if "ottl_condition" in rule}
    assert conditions == {
        "slow": [
            f'attributes["{semconv.RESPONSE_TIME_TO_FIRST_CHUNK}"] > 2.0',
            f'attributes["{semconv.OVERHEAD_MS}"] > {telemetry._SLOW_OVERHEAD_MS}',
        ],
        "gaps": [f'attributes["{semconv.LONGEST_GAP_MS}"] > {telemetry._LONG_GAP_SECONDS * 1e3}'],
        "degraded": [f'attributes["{semconv.DEGRADED}"] != nil'],
    }


def test_what_is_held_is_bounded_and_whole_traces_are_chosen_before_they_are_cut():
    document = yaml.safe_load(FILE.read_text())
    assert document["service"]["pipelines"]["traces"]["processors"] == ["memory_limiter", "tail_sampling", "batch"]
    tail = document["processors"]["tail_sampling"]
    seconds = int(tail["decision_wait"].removesuffix("s"))
    # The exporters of the gateway and of the edge gather spans for five seconds.
    assert seconds >= 2 * 5
    assert tail["num_traces"] >= seconds * tail["expected_new_traces_per_sec"]
    assert document["processors"]["memory_limiter"]["limit_mib"] <= 400
    compose = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]["otel-collector"]
    assert compose["deploy"]["resources"]["limits"]["memory"] == "512M"


def test_the_collector_that_rules_are_tried_with_is_that_of_compose():
    compose = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]["otel-collector"]
    version = compose["image"].partition(":")[2]
    (built,) = re.findall(r"tailsamplingprocessor v(\S+)", (SOURCE / "go.mod").read_text())
    assert version == built


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    """The collector, with the parts that the file names."""
    if not os.environ.get("PENSTOCK_TAIL_RULES"):
        pytest.skip("the collector takes minutes to build: make tail-rules")
    made = tmp_path_factory.mktemp("collector") / "collector"
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"}
    go = Path(sys.executable).with_name("go")
    command = [go, "build", "-o", made, "."]
    built = subprocess.run(command, cwd=SOURCE, env=environment, capture_output=True, text=True, timeout=BUILD_SECONDS)
    assert not built.returncode, built.stderr
    return made


def test_the_collector_takes_the_file_and_refuses_what_is_misspelt(program, tmp_path):
    assert subprocess.run([program, "validate", "--config", FILE], capture_output=True).returncode == 0
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(FILE.read_text().replace("sampling_percentage", "sampling_percent"))
    refused = subprocess.run([program, "validate", "--config", wrong], capture_output=True, text=True)
    assert refused.returncode
    assert "sampling_percent" in refused.stderr


@pytest.fixture
async def kept_by(program, tmp_path):
    """A function that sends traces to the collector and returns the ids of those it passes on."""
    async with OtlpCollector() as behind:
        document = yaml.safe_load(FILE.read_text())
        port = free_port()
        document["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"] = f"127.0.0.1:{port}"
        document["processors"]["tail_sampling"]["decision_wait"] = "2s"
        document["exporters"]["otlp/jaeger"]["endpoint"] = behind.endpoint.removeprefix("http://")
        (reader,) = document["service"]["telemetry"]["metrics"]["readers"]
        reader["pull"]["exporter"]["prometheus"].update(host="127.0.0.1", port=free_port())
        config = tmp_path / "collector.yaml"
        config.write_text(yaml.safe_dump(document))
        with (tmp_path / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(program, "--config", config, stdout=log, stderr=log)
        try:
            await asyncio.wait_for(_listening(port), START_SECONDS)

            async def send(traces, expected):
                def export():
                    with open_spans(f"http://127.0.0.1:{port}", "gateway", "0") as spans:
                        for trace, step, attributes in traces:
                            spans.emit(trace, step, attributes)

                await asyncio.to_thread(export)
                for trace in expected:
                    await behind.trace(trace.trace_id_hex)
                return behind.spans

            yield send
        finally:
            process.terminate()
            await process.wait()


async def _listening(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


def _trace(number: int) -> TraceContext:
    return TraceContext(number << 64 | 0x5EED, number + 1, 0, sampled=True)


async def test_errors_slow_ones_gaps_and_stand_ins_are_all_kept_and_few_of_the_rest(kept_by):
    second = 10**9
    quick = {"gen_ai.response.time_to_first_chunk": 0.2, "penstock.overhead_ms": 2.0, "penstock.longest_gap_ms": 40.0}
    failed_once = Step(
        "chat m", 1, second, children=[Step("generate", 2, 3, children=[Step("attempt", 2, 3, "reset")])]
    )
    kept = [
        (Step("chat m", 1, second, "upstream_failed"), quick),
        (failed_once, quick),
        (Step("chat m", 1, second), {**quick, "gen_ai.response.time_to_first_chunk": 2.5}),
        (Step("chat m", 1, second), {**quick, "penstock.overhead_ms": 251.0}),
        (Step("chat m", 1, second), {**quick, "penstock.longest_gap_ms": 2000.1}),
        (Step("chat m", 1, second), {**quick, "penstock.degraded": "template"}),
        (Step("chat m", 1, 61 * second), quick),
        (Step("search m", 1, second, "internal_error"), {}),
    ]
    traces = [(_trace(number), *each) for number, each in enumerate(kept, start=1)]
    rest = [(_trace(number), Step("chat m", 1, second), quick) for number in range(1000, 1000 + BORING)]
    spans = await kept_by([*rest, *traces], [trace for trace, *_ in traces])
    found = {span.trace_id for span in spans}
    assert {trace.trace_id_hex for trace, *_ in traces} <= found
    of_the_rest = len(found) - len(traces)
    # Ten of a hundred, by a hash of ids that are always the same.
    assert BORING * 0.03 < of_the_rest < BORING * 0.25
    # Whole: with each of its spans.
    assert len([span for span in spans if span.trace_id == traces[1][0].trace_id_hex]) == 3
