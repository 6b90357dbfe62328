"""Triton's side of the demonstration model: tensors in, tensors out, in the contract of Triton's vLLM backend.

https://github.com/triton-inference-server/vllm_backend/blob/main/docs/additional_outputs.md lists the tensors. Requests
are handed to the generator at once; responses leave from its thread, so that any number of requests run together.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from generator import Generator
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
    """Sends one request's responses: each as it comes when streaming, else one at the end."""

    def __init__(self, sender: Any, request: Request, input_tokens: int) -> None:
        self._sender = sender
        self._request = request
        self._input_tokens = input_tokens
        self._text = request.prompt if request.prepend_prompt else ""
        self._output_tokens = 0

    def is_cancelled(self) -> bool:
        """Whether the client went away."""
        return self._sender.is_cancelled()

    def deliver(self, text: str, output_tokens: int, finish_reason: str) -> None:
        """Stream what came, or keep it until the answer is complete."""
        self._text += text
        self._output_tokens += output_tokens
        if not self._request.stream and not finish_reason:
            return
        flags = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL if finish_reason else 0
        self._sender.send(pb_utils.InferenceResponse(self._tensors(finish_reason)), flags)
        self._text, self._output_tokens = "", 0

    def fail(self, message: str) -> None:
        """End with an error."""
        send_error(self._sender, message, pb_utils.TritonError.INTERNAL)

    def release(self) -> None:
        """End as cancelled, which Triton counts in nv_inference_request_failure."""
        send_error(self._sender, "the client cancelled the request", pb_utils.TritonError.CANCELLED)

    def _tensors(self, finish_reason: str) -> list[Any]:
        tensors = [_bytes_tensor("text_output", self._text)]
        if self._request.wants_finish_reason:
            tensors.append(_bytes_tensor("finish_reason", finish_reason))
        if self._request.wants_input_tokens:
            tensors.append(_count_tensor("num_input_tokens", self._input_tokens))
        if self._request.wants_output_tokens:
            tensors.append(_count_tensor("num_output_tokens", self._output_tokens))
        return tensors


def _bytes_tensor(name: str, text: str) -> Any:
    return pb_utils.Tensor(name, np.array([text.encode()], dtype=np.object_))


def _count_tensor(name: str, count: int) -> Any:
    return pb_utils.Tensor(name, np.array([count], dtype=np.uint32))


def send_error(sender: Any, message: str, code: int) -> None:
    """End a request with an error response; the code is one of pb_utils.TritonError's."""
    response = pb_utils.InferenceResponse(error=pb_utils.TritonError(message, code))
    sender.send(response, pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)


class TritonPythonModel:
    """The class that the Python backend looks for."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the weights and start the generation thread."""
        self._generator = Generator(Path(args["model_repository"]) / args["model_version"])

    def execute(self, requests: list[Any]) -> None:
        """Queue the requests and return: responses follow from the generation thread."""
        for request in requests:
            sender = request.get_response_sender()
            try:
                parsed = parse_request(request)
                ids = self._generator.encode(parsed.prompt)
            except InvalidRequestError as error:
                send_error(sender, str(error), pb_utils.TritonError.INVALID_ARG)
            else:
                self._generator.submit(ids, parsed.parameters, TritonCaller(sender, parsed, len(ids)))

    def finalize(self) -> None:
        """Let running answers finish."""
        self._generator.close()
