"""Triton's side of the demonstration model: tensors in, tensors out, in the contract of Triton's vLLM backend.

https://github.com/triton-inference-server/vllm_backend/blob/main/docs/additional_outputs.md lists the tensors. Requests
are handed to the generator at once, and responses leave through the outbox, so any number of requests run together.
"""

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from generator import Generator, QueueFullError
from limits import limits_of
from outbox import Outbox
from sampling import InvalidRequestError, SamplingParameters, parse_sampling_parameters


@dataclass(frozen=True)
class Request:
    """What a caller sent, checked."""

    prompt: str
    stream: bool
    parameters: SamplingParameters
    prepend_prompt: bool
    wants_finish_reason: bool
    wants_input_tokens: bool
    wants_output_tokens: bool


def parse_request(request: Any) -> Request:
    """A Triton request as a Request; raises InvalidRequestError."""
    prompt = _text(request, "text_input")
    if prompt is None:
        raise InvalidRequestError("text_input is missing")
    stream = _flag(request, "stream")
    # As in the vLLM backend: a stream leaves the prompt out, a whole answer begins with it unless told otherwise.
    exclude = _flag(request, "exclude_input_in_output", default=stream)
    if stream and not exclude:
        raise InvalidRequestError("when streaming, exclude_input_in_output = false is not allowed")
    return Request(
        prompt=prompt,
        stream=stream,
        parameters=parse_sampling_parameters(_text(request, "sampling_parameters") or ""),
        prepend_prompt=not exclude,
        wants_finish_reason=_flag(request, "return_finish_reason"),
        wants_input_tokens=_flag(request, "return_num_input_tokens"),
        wants_output_tokens=_flag(request, "return_num_output_tokens"),
    )


def _value(request: Any, name: str) -> Any:
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    if tensor is None:
        return None
    values = tensor.as_numpy().reshape(-1)
    if len(values) != 1:
        raise InvalidRequestError(f"{name} must hold one element, not {len(values)}")
    return values[0]


def _text(request: Any, name: str) -> str | None:
    value = _value(request, name)
    try:
        return value.decode() if isinstance(value, bytes) else value
    except UnicodeDecodeError as error:
        raise InvalidRequestError(f"{name} is not UTF-8") from error


def _flag(request: Any, name: str, *, default: bool = False) -> bool:
    value = _value(request, name)
    return default if value is None else bool(value)


class TritonCaller:
    """One request's way from the generation thread to the outbox's: what has gathered leaves as one response.

    Each token is a response when streaming, or some of them where the outbox is busy; else there is one at the end.
    """

    def __init__(self, sender: Any, request: Request, input_tokens: int, outbox: Outbox) -> None:
        self._sender = sender
        self._request = request
        self._input_tokens = input_tokens
        self._outbox = outbox
        self._sending = threading.Lock()
        self._lock = threading.Lock()  # of what has gathered
        self._text = request.prompt if request.prepend_prompt else ""
        self._output_tokens = 0
        self._reused_tokens = 0
        self._finish_reason = ""
        self._error: tuple[str, int] | None = None
        self._is_posted = False
        self._has_ended = False
        self._is_cancelled = False
        outbox.admit(self)

    def is_cancelled(self) -> bool:
        """Whether the client went away."""
        return self._is_cancelled

    def begin(self, reused_tokens: int) -> None:
        """Note how much of the prompt was known."""
        self._reused_tokens = reused_tokens

    def deliver(self, text: str, output_tokens: int, finish_reason: str) -> None:
        """Have it sent."""
        with self._lock:
            self._text += text
            self._output_tokens += output_tokens
            self._finish_reason = finish_reason
        if self._request.stream or finish_reason:
            self._post()

    def fail(self, message: str) -> None:
        """End with an error."""
        self._end_with(message, pb_utils.TritonError.INTERNAL)

    def release(self) -> None:
        """End as cancelled, which Triton counts in nv_inference_request_failure."""
        self._end_with("the client cancelled the request", pb_utils.TritonError.CANCELLED)

    def refuse(self, message: str) -> None:
        """End because there is no room."""
        self._end_with(message, pb_utils.TritonError.UNAVAILABLE)

    def send(self) -> bool:
        """Send what has gathered; true if that was the end."""
        with self._sending:
            if not self._has_ended:
                self._send_gathered()
            return self._has_ended

    def _send_gathered(self) -> None:
        with self._lock:
            self._is_posted = False
            text, output_tokens, finish_reason = self._text, self._output_tokens, self._finish_reason
            is_due = bool(finish_reason) or (self._request.stream and bool(output_tokens))
            if is_due:
                self._text, self._output_tokens = "", 0
            error = self._error
        self._has_ended = error is not None or bool(finish_reason)  # before it is: a failure is an end as well
        if error is not None:
            send_error(self._sender, *error)
        elif is_due:
            flags = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL if finish_reason else 0
            tensors = self._tensors(text, output_tokens, finish_reason)
            self._sender.send(pb_utils.InferenceResponse(tensors), flags)

    def poll(self) -> None:
        """Ask Triton whether the client is still there."""
        # Triton dies of the question once the last response has gone (2.51: a null response factory).
        with self._sending:
            if not self._has_ended:
                self._is_cancelled = self._sender.is_cancelled()

    def _end_with(self, message: str, code: int) -> None:
        with self._lock:
            self._error = (message, code)
        self._post()

    def _post(self) -> None:
        with self._lock:
            if self._is_posted:
                return
            self._is_posted = True
        self._outbox.post(self)

    def _tensors(self, text: str, output_tokens: int, finish_reason: str) -> list[Any]:
        tensors = [_bytes_tensor("text_output", text)]
        if self._request.wants_finish_reason:
            tensors.append(_bytes_tensor("finish_reason", finish_reason))
        if self._request.wants_input_tokens:
            tensors.append(_count_tensor("num_input_tokens", self._input_tokens))
            # Not in the vLLM backend's contract, so nobody can ask for it there: it comes with the other count.
            tensors.append(_count_tensor("num_cached_input_tokens", self._reused_tokens))
        if self._request.wants_output_tokens:
            tensors.append(_count_tensor("num_output_tokens", output_tokens))
        return tensors


def _bytes_tensor(name: str, text: str) -> Any:
    return pb_utils.Tensor(name, np.array([text.encode()], dtype=np.object_))


def _count_tensor(name: str, count: int) -> Any:
    return pb_utils.Tensor(name, np.array([count], dtype=np.uint32))


def send_error(sender: Any, message: str, code: int) -> None:
    """End a request with an error response; the code is one of pb_utils.TritonError's."""
    response = pb_utils.InferenceResponse(error=pb_utils.TritonError(message, code))
    sender.send(response, pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)


class PromptMeter:
    """Counters of prompts on Triton's metrics endpoint."""

    def __init__(self, model: str, version: str) -> None:
        labels = {"model": model, "version": version}
        self._families = [
            pb_utils.MetricFamily(name=name, description=description, kind=pb_utils.MetricFamily.COUNTER)
            for name, description in (
                ("penstock_prompt_tokens_total", "Tokens of the prompts that were begun"),
                ("penstock_prefix_tokens_reused_total", "Those of them whose keys and values were known already"),
            )
        ]
        self._prompt_tokens, self._reused_tokens = (family.Metric(labels=labels) for family in self._families)

    def count(self, prompt_tokens: int, reused_tokens: int) -> None:
        """Count a prompt."""
        self._prompt_tokens.increment(prompt_tokens)
        if reused_tokens:
            self._reused_tokens.increment(reused_tokens)

    def close(self) -> None:
        """Take the counters off: Triton wants them gone before their families."""
        del self._prompt_tokens, self._reused_tokens
        self._families.clear()


class TritonPythonModel:
    """The class that the Python backend looks for."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the weights and start the threads."""
        limits = limits_of(json.loads(args["model_config"]))
        self._meter = PromptMeter(args["model_name"], args["model_version"])
        self._outbox = Outbox()
        folder = Path(args["model_repository"]) / args["model_version"]
        self._generator = Generator(folder, limits, self._meter.count)

    def execute(self, requests: list[Any]) -> None:
        """Queue the requests and return: responses follow from the outbox's thread."""
        for request in requests:
            sender = request.get_response_sender()
            try:
                parsed = parse_request(request)
                ids = self._generator.encode(parsed.prompt)
            except InvalidRequestError as error:
                send_error(sender, str(error), pb_utils.TritonError.INVALID_ARG)
                continue
            caller = TritonCaller(sender, parsed, len(ids), self._outbox)
            try:
                self._generator.submit(ids, parsed.parameters, caller)
            except QueueFullError as error:
                caller.refuse(str(error))

    def finalize(self) -> None:
        """Let running answers finish."""
        self._generator.close()
        self._outbox.close()
        self._meter.close()
