"""Tokens per second of the demonstration model: `python deploy/triton/demo_model/throughput.py`.

Without --address, of the numpy runtime by itself (needs numpy, tokenizers, safetensors); with the host:port of a
tritonserver, of the model as it is served, one gRPC stream per request (needs grpcio and tritonclient). Callers ask
one question after another, each its own, so that none finds its neighbour's tokens in the prefix cache by accident.
"""

import argparse
import asyncio
import json
import statistics
import struct
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MODEL_FOLDER = Path(__file__).parent.parent / "repository" / "penstock-demo" / "1"
ANSWER_TOKENS = 64


def prompt(caller: int, turn: int) -> str:
    """A question that no other caller asks."""
    return f"<|user|>{caller} {turn}: what does the router do with a request?<|end|><|assistant|>"


@dataclass
class Tally:
    """What all callers together saw."""

    tokens: int = 0
    first_token_seconds: list[float] = field(default_factory=list)
    longest_gap_seconds: list[float] = field(default_factory=list)

    def line(self, callers: int, seconds: float) -> str:
        """One line of the table."""
        first = sorted(self.first_token_seconds)
        return (
            f"{callers:>5} streams: {self.tokens / seconds:>7.0f} tokens/s, first token p50 "
            f"{statistics.median(first) * 1e3:.0f} ms, p99 {first[int(len(first) * 0.99)] * 1e3:.0f} ms, "
            f"longest gap p50 {statistics.median(self.longest_gap_seconds) * 1e3:.0f} ms"
        )


class InProcessCaller:
    """Waits for one answer of the runtime."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._last = self._began = time.perf_counter()
        self._gap = 0.0
        self._tokens = 0
        self.done = threading.Event()

    def is_cancelled(self) -> bool:
        """Never."""
        return False

    def begin(self, reused_tokens: int) -> None:
        """Nothing to note."""

    def deliver(self, text: str, output_tokens: int, finish_reason: str) -> None:
        """Count."""
        now = time.perf_counter()
        if self._tokens:
            self._gap = max(self._gap, now - self._last)
        else:
            self._tally.first_token_seconds.append(now - self._began)
        self._last = now
        self._tokens += output_tokens
        if finish_reason:
            self._tally.tokens += self._tokens
            self._tally.longest_gap_seconds.append(self._gap)
            self.done.set()

    def fail(self, message: str) -> None:
        """Stop the measurement."""
        raise RuntimeError(message)

    def release(self) -> None:
        """Nothing to let go."""


def in_process(callers: int, seconds: float) -> str:
    """Measure the runtime by itself."""
    sys.path.insert(0, str(MODEL_FOLDER))
    from generator import Generator
    from sampling import SamplingParameters

    generator, tally = Generator(MODEL_FOLDER), Tally()
    parameters = SamplingParameters(max_tokens=ANSWER_TOKENS, ignore_eos=True)
    began = time.perf_counter()

    def run(caller: int) -> None:
        turn = 0
        while time.perf_counter() - began < seconds:
            waiting = InProcessCaller(tally)
            generator.submit(generator.encode(prompt(caller, turn)), parameters, waiting)
            waiting.done.wait()
            turn += 1

    threads = [threading.Thread(target=run, args=(caller,)) for caller in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    generator.close()
    return tally.line(callers, took)


async def served(address: str, callers: int, seconds: float) -> str:
    """Measure the model behind a tritonserver."""
    import grpc
    from tritonclient.grpc import service_pb2_grpc

    tally = Tally()
    async with grpc.aio.insecure_channel(address) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        began = time.perf_counter()

        async def run(caller: int) -> None:
            turn = 0
            while time.perf_counter() - began < seconds:
                await _ask(stub, prompt(caller, turn), tally)
                turn += 1

        await asyncio.gather(*(run(caller) for caller in range(callers)))
        return tally.line(callers, time.perf_counter() - began)


async def _ask(stub: Any, text: str, tally: Tally) -> None:
    began = last = time.perf_counter()
    tokens, gap = 0, 0.0
    rpc = stub.ModelStreamInfer(iter([_request(text)]))
    async for response in rpc:
        if response.error_message:
            raise RuntimeError(response.error_message)
        now = time.perf_counter()
        if tokens:
            gap = max(gap, now - last)
        else:
            tally.first_token_seconds.append(now - began)
        last = now
        tokens += _output_tokens(response.infer_response)
    tally.tokens += tokens
    tally.longest_gap_seconds.append(gap)


def _output_tokens(result: Any) -> int:
    for output, raw in zip(result.outputs, result.raw_output_contents, strict=True):
        if output.name == "num_output_tokens":
            return int(struct.unpack("<I", raw)[0])
    return 0


def _request(text: str) -> Any:
    from tritonclient.grpc import service_pb2

    tensor = service_pb2.ModelInferRequest.InferInputTensor
    sampling = json.dumps({"max_tokens": ANSWER_TOKENS, "ignore_eos": True})
    return service_pb2.ModelInferRequest(
        model_name="penstock-demo",
        inputs=[
            *(tensor(name=name, datatype="BYTES", shape=[1]) for name in ("text_input", "sampling_parameters")),
            *(tensor(name=name, datatype="BOOL", shape=[1]) for name in ("stream", "return_num_output_tokens")),
        ],
        raw_input_contents=[
            *(struct.pack("<I", len(value)) + value for value in (text.encode(), sampling.encode())),
            b"\x01",
            b"\x01",
        ],
    )


def main() -> None:
    """Print a line per number of callers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", help="host:port of a tritonserver; without it, the runtime by itself")
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 16, 64])
    options = parser.parse_args()
    for callers in options.streams:
        if options.address:
            print(asyncio.run(served(options.address, callers, options.seconds)), flush=True)
        else:
            print(in_process(callers, options.seconds), flush=True)


if __name__ == "__main__":
    main()
