"""The demonstration model on a real tritonserver: stream, limits, cancellation, concurrency, and its answers.

Needs the environment of deploy/triton/install.sh, at PENSTOCK_TRITON_ENV or <repository>/.triton; skipped without it.
"""

import importlib.util
import itertools
import json
import os
import queue
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from penstock_common.testing.ports import free_ports

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = Path(os.environ.get("PENSTOCK_TRITON_ENV", ROOT / ".triton"))
TRITON = ROOT / "deploy" / "triton"
MODEL = "penstock-demo"
CONTEXT_TOKENS = 512
DEADLINE_SECONDS = 60.0

grpcclient = pytest.importorskip("tritonclient.grpc", reason="tritonclient[grpc] is not installed")
pytestmark = pytest.mark.skipif(
    not (ENVIRONMENT / "backends").is_dir(), reason=f"no Triton in {ENVIRONMENT}: run deploy/triton/install.sh"
)


@dataclass(frozen=True)
class Server:
    """A running tritonserver."""

    address: str
    metrics_url: str
    pid: int

    def cpu_seconds(self) -> float:
        """CPU time that the server and its model's process have used."""
        processes = [self.pid, *_children(self.pid)]
        ticks = sum(sum(map(int, _stat(process)[11:13])) for process in processes)
        return ticks / os.sysconf("SC_CLK_TCK")


def _stat(process: int) -> list[str]:
    """The fields of /proc/<process>/stat after the command's name."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()


def _children(process: int) -> list[int]:
    lists = [path.read_text() for path in Path(f"/proc/{process}/task").glob("*/children")]
    return [int(child) for children in lists for child in children.split()]


@dataclass
class Answer:
    """Everything that came back for one request."""

    texts: list[str] = field(default_factory=list)
    finish_reasons: list[str] = field(default_factory=list)
    output_tokens: list[int] = field(default_factory=list)
    input_tokens: int = 0
    cached_input_tokens: int = 0
    finals: list[bool] = field(default_factory=list)
    error: str = ""

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.texts)

    @property
    def done(self) -> bool:
        """Whether the final flag came, or an error."""
        return bool(self.error) or (bool(self.finals) and self.finals[-1])

    def add(self, result: Any) -> None:
        """Take in one response."""
        self.texts.append(result.as_numpy("text_output")[0].decode())
        self.finish_reasons.append(result.as_numpy("finish_reason")[0].decode())
        self.output_tokens.append(int(result.as_numpy("num_output_tokens")[0]))
        self.input_tokens = int(result.as_numpy("num_input_tokens")[0])
        self.cached_input_tokens = int(result.as_numpy("num_cached_input_tokens")[0])
        self.finals.append(result.get_response().parameters["triton_final_response"].bool_param)


class Stream:
    """One gRPC stream that carries any number of requests."""

    def __init__(self, address: str) -> None:
        self._client = grpcclient.InferenceServerClient(address)
        self._events: queue.SimpleQueue[tuple[Any, Any]] = queue.SimpleQueue()
        self._client.start_stream(lambda result, error: self._events.put((result, error)))
        self._ids = map(str, itertools.count())
        self.answers: dict[str, Answer] = {}

    def send(self, prompt: str, *, stream: bool = True, **parameters: Any) -> Answer:
        """Send a prompt; the answer fills while waiting."""
        request_id = next(self._ids)
        self.answers[request_id] = Answer()
        flags = ("exclude_input_in_output", "return_finish_reason", "return_num_input_tokens")
        inputs = [
            _input("text_input", prompt.encode(), "BYTES"),
            _input("sampling_parameters", json.dumps(parameters).encode(), "BYTES"),
            _input("stream", stream, "BOOL"),
            *(_input(name, True, "BOOL") for name in (*flags, "return_num_output_tokens")),
        ]
        self._client.async_stream_infer(MODEL, inputs, request_id=request_id)
        return self.answers[request_id]

    def wait(self, until: Callable[[], bool]) -> None:
        """Take in responses until the condition holds."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not until():
            result, error = self._events.get(timeout=max(0.01, deadline - time.monotonic()))
            if error is not None:
                request_id = next(key for key, answer in self.answers.items() if not answer.done)
                self.answers[request_id].error = str(error)
            else:
                self.answers[result.get_response().id].add(result)

    def wait_all(self) -> None:
        """Take in responses until every answer is complete."""
        self.wait(lambda: all(answer.done for answer in self.answers.values()))

    def close(self, *, cancel: bool = False) -> None:
        """End the stream; with cancel, without waiting for what is running."""
        self._client.stop_stream(cancel_requests=cancel)
        self._client.close()


def _input(name: str, value: Any, datatype: str) -> Any:
    tensor = grpcclient.InferInput(name, [1], datatype)
    tensor.set_data_from_numpy(np.array([value], dtype=np.object_ if datatype == "BYTES" else np.bool_))
    return tensor


def user(question: str) -> str:
    """The prompt of a one-turn conversation."""
    return f"<|user|>{question}<|end|><|assistant|>"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A tritonserver of our own on free ports."""
    from penstock_suite.adapters.triton import triton_command

    grpc_port, metrics_port = free_ports(2)
    argv, variables = triton_command(ENVIRONMENT, TRITON / "repository", grpc_port=grpc_port, metrics_port=metrics_port)
    log = tmp_path_factory.mktemp("triton") / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(argv, env=os.environ | variables, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_until_ready(process, f"127.0.0.1:{grpc_port}", log)
        yield Server(f"127.0.0.1:{grpc_port}", f"http://127.0.0.1:{metrics_port}/metrics", process.pid)
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_until_ready(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    client = grpcclient.InferenceServerClient(address)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if client.is_model_ready(MODEL):
                client.close()
                return
        except grpcclient.InferenceServerException:
            pass
        time.sleep(0.05)
    pytest.fail(f"tritonserver did not become ready:\n{log.read_text()[-4000:]}")


@pytest.fixture
def stream(server: Server) -> Iterator[Stream]:
    """A stream that is closed at the end."""
    opened = Stream(server.address)
    yield opened
    opened.close(cancel=True)


@pytest.fixture(scope="module")
def evaluate() -> ModuleType:
    """deploy/triton/demo_model/evaluate.py, whose criteria these tests share."""
    spec = importlib.util.spec_from_file_location("demo_model_evaluate", TRITON / "demo_model" / "evaluate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def ask(connection: Stream, prompt: str, **options: Any) -> Answer:
    """The complete answer to one prompt."""
    answer = connection.send(prompt, **options)
    connection.wait_all()
    return answer


def test_a_stream_has_one_token_a_response_and_one_final_flag_at_its_end(stream: Stream) -> None:
    answer = ask(stream, user("What does the router do?"))
    assert len(answer.texts) > 10
    assert set(answer.output_tokens) == {1}
    assert answer.finals == [False] * (len(answer.finals) - 1) + [True]
    assert answer.finish_reasons == [""] * (len(answer.finals) - 1) + ["stop"]
    assert 5 < answer.input_tokens < 15
    assert "plan" in answer.text


def test_a_whole_answer_equals_the_streamed_one(stream: Stream) -> None:
    streamed = ask(stream, user("What does the cache do?"))
    whole = ask(stream, user("What does the cache do?"), stream=False)
    assert whole.texts == [streamed.text]
    assert whole.finish_reasons == ["stop"]
    assert whole.output_tokens == [sum(streamed.output_tokens)]


def test_a_too_long_prompt_is_refused_with_the_numbers(stream: Stream) -> None:
    answer = ask(stream, user("router " * 900))
    tokens = int(answer.error.split("context length exceeded: ")[1].split()[0])
    assert tokens > CONTEXT_TOKENS
    assert answer.error.endswith(f"context length exceeded: {tokens} input tokens, maximum {CONTEXT_TOKENS}")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"best_of": 2}, "unknown sampling parameter 'best_of'"),
        ({"temperature": -1}, "temperature must be a number"),
        ({"max_tokens": 0}, "max_tokens must be an integer"),
        ({"top_p": "much"}, "top_p must be a number"),
        ({"stop": [""]}, "stop must be"),
    ],
)
def test_bad_sampling_parameters_are_named(stream: Stream, parameters: dict[str, Any], message: str) -> None:
    assert message in ask(stream, user("hello"), **parameters).error


def test_max_tokens_ends_with_length(stream: Stream) -> None:
    answer = ask(stream, user("What does the router do?"), max_tokens=5)
    assert sum(answer.output_tokens) == 5
    assert answer.finish_reasons[-1] == "length"


def test_a_full_context_ends_with_length(stream: Stream) -> None:
    answer = ask(stream, user("What does the router do?"), ignore_eos=True)
    assert answer.input_tokens + sum(answer.output_tokens) == CONTEXT_TOKENS
    assert answer.finish_reasons[-1] == "length"


def test_a_stop_string_is_cut_and_never_shown_in_part(stream: Stream) -> None:
    whole = ask(stream, user("What does the router do?")).text
    words = whole.split()
    stop = " ".join(words[4:7])
    answer = ask(stream, user("What does the router do?"), stop=["no such text", stop])
    assert answer.text == whole[: whole.index(stop)]
    assert answer.finish_reasons[-1] == "stop"


def test_a_seed_reproduces_a_sampled_answer(stream: Stream) -> None:
    hot = {"temperature": 5.0, "max_tokens": 30}
    first, again, other = (ask(stream, user("hello"), seed=seed, **hot).text for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_top_k_one_is_greedy(stream: Stream) -> None:
    greedy = ask(stream, user("What is streaming?")).text
    assert ask(stream, user("What is streaming?"), temperature=3.0, top_k=1).text == greedy


def test_a_frequency_penalty_changes_what_repeats(stream: Stream) -> None:
    plain = ask(stream, user("What is streaming?"), ignore_eos=True, max_tokens=120)
    penalised = ask(stream, user("What is streaming?"), ignore_eos=True, max_tokens=120, frequency_penalty=2.0)
    assert penalised.text != plain.text


def test_a_system_prompt_and_earlier_turns_are_understood(stream: Stream) -> None:
    earlier = "<|user|>Hello<|end|><|assistant|>Hello! Ask me about Penstock.<|end|>"
    prompt = f"<|system|>You are a helpful assistant.<|end|>{earlier}{user('What does the router do?')}"
    assert "plan" in ask(stream, prompt).text


def test_the_chat_template_renders_what_the_model_was_trained_on() -> None:
    jinja2 = pytest.importorskip("jinja2")
    template = jinja2.Template((TRITON / "repository" / MODEL / "chat_template.jinja").read_text())
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "<|end|> Hi\n"}]
    rendered = template.render(messages=messages, add_generation_prompt=True)
    assert rendered == "<|system|>Be brief.<|end|><|user|>< |end|> Hi\n<|end|><|assistant|>"
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello! I "}]
    rendered = template.render(messages=messages, continue_final_message=True)
    assert rendered == "<|user|>Hi<|end|><|assistant|>Hello! I "


def test_a_partial_answer_is_continued(stream: Stream) -> None:
    whole = ask(stream, user("What does the router do?")).text
    cut = whole.index(" ", len(whole) // 2)
    assert ask(stream, user("What does the router do?") + whole[:cut]).text == whole[cut:]


def test_cancelling_stops_the_work(server: Server) -> None:
    abandoned = Stream(server.address)
    running = [abandoned.send(user("What is Penstock?"), ignore_eos=True) for _ in range(32)]
    abandoned.wait(lambda: all(answer.texts for answer in running))
    abandoned.close(cancel=True)
    before = server.cpu_seconds()
    following = Stream(server.address)
    assert ask(following, user("What is streaming?")).finish_reasons[-1] == "stop"
    following.close()
    # Left alone, the 32 would go on to the end of the context: 16,000 tokens, more than five seconds of CPU.
    time.sleep(1.0)
    spent = server.cpu_seconds() - before
    print(f"{spent:.2f} s of CPU after cancelling 32 generations")
    assert spent < 0.5
    assert not any(answer.done for answer in running)


def test_metrics_count_the_requests(server: Server, stream: Stream) -> None:
    ask(stream, user("hello"))
    with urllib.request.urlopen(server.metrics_url, timeout=60) as response:
        assert f'nv_inference_request_success{{model="{MODEL}"' in response.read().decode()


def counters(server: Server) -> dict[str, float]:
    """The model's own counters on Triton's metrics endpoint."""
    with urllib.request.urlopen(server.metrics_url, timeout=60) as response:
        lines = response.read().decode().splitlines()
    marked = [line for line in lines if line.startswith("penstock_") and f'model="{MODEL}"' in line]
    return {line.partition("{")[0]: float(line.rpartition(" ")[2]) for line in marked}


def test_two_requests_with_a_common_prefix_show_the_reuse_in_a_metric(server: Server, stream: Stream) -> None:
    system = "<|system|>You answer questions about serving language models, briefly and in plain words.<|end|>"
    before = counters(server)
    first = ask(stream, system + user("What is a token?"))
    between = counters(server)
    second = ask(stream, system + user("What is streaming?"))
    after = counters(server)
    assert first.cached_input_tokens == 0
    assert 16 <= second.cached_input_tokens < second.input_tokens
    read, reused = "penstock_prompt_tokens_total", "penstock_prefix_tokens_reused_total"
    assert between[reused] == before[reused]
    assert after[reused] - between[reused] == second.cached_input_tokens
    assert after[read] - before[read] == first.input_tokens + second.input_tokens


def test_fifty_concurrent_streams_all_complete(stream: Stream) -> None:
    questions = ("What does the cache do?", "What is streaming?", "Who are you?", "What is vLLM?", "What is a token?")
    alone = {question: ask(stream, user(question)).text for question in questions}
    together = [(question, stream.send(user(question))) for question in questions * 10]
    stream.wait_all()
    assert all(answer.finish_reasons[-1] == "stop" for _, answer in together)
    assert all(answer.text == alone[question] for question, answer in together)


def test_thousands_of_short_answers_end_while_triton_is_asked_who_left(stream: Stream) -> None:
    # Many go through the model's outbox, few do not.
    for size in (*[300] * 5, *[3] * 200):
        answers = [stream.send(user("hello"), max_tokens=1) for _ in range(size)]
        stream.wait(lambda answers=answers: all(answer.done for answer in answers))
        assert [answer.finish_reasons[-1] for answer in answers] == ["length"] * size


def test_it_says_that_it_is_a_demonstration_of_penstock(stream: Stream) -> None:
    text = ask(stream, user("Who are you?")).text.lower()
    assert "penstock" in text
    assert "demonstration" in text


def test_held_out_questions_are_answered(stream: Stream, evaluate: ModuleType) -> None:
    lines = (TRITON / "demo_model" / "questions.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    asked = [(entry["keywords"], stream.send(user(text))) for entry in entries for text in entry["rewordings"]]
    stream.wait_all()
    right = sum(evaluate.has_keyword(answer.text, keywords) for keywords, answer in asked)
    print(f"{right} of {len(asked)} held-out questions answered with a keyword ({right / len(asked):.1%})")
    assert len(asked) == 180
    assert not [answer.text for _, answer in asked if evaluate.repeats_four_words(answer.text)]
    assert right >= evaluate.PASSING_RATIO * len(asked)
