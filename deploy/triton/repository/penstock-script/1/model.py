"""A script in a larger model's place: whatever is asked, it says where such prompts would go. A token is a word."""

import json
import re
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

SCRIPT = (
    "This stack has one small demonstration model, which answers questions about Penstock. What asks for more comes here, "
    "where a script stands in a larger model's place. A team routes such prompts to a larger model: name it under "
    "models[].routes in the configuration, as docs/routing.md shows."
)
_WORD = re.compile(r"\s*\S+")
_RANGES: dict[str, tuple[type, float, float]] = {
    "temperature": (float, 0.0, 100.0),
    "top_p": (float, 1e-6, 1.0),
    "top_k": (int, -1, 1_000_000),
    "max_tokens": (int, 1, 1_000_000_000),
    "seed": (int, -(2**63), 2**64),
    "presence_penalty": (float, -2.0, 2.0),
    "frequency_penalty": (float, -2.0, 2.0),
}


class InvalidRequestError(ValueError):
    """The request cannot be served as it is; the message is for the caller."""


def parse_sampling_parameters(text: str) -> dict[str, Any]:
    """The parameters in a JSON object, checked; null means absent. Those that a script has no use for change nothing."""
    try:
        given = json.loads(text or "{}")
    except ValueError as error:
        raise InvalidRequestError(f"sampling_parameters is not JSON: {error}") from error
    if not isinstance(given, dict):
        raise InvalidRequestError("sampling_parameters must be a JSON object")
    given = {name: value for name, value in given.items() if value is not None}
    stop = given.pop("stop", [])
    strings = [stop] if isinstance(stop, str) else stop
    if not isinstance(strings, list) or not all(isinstance(string, str) and string for string in strings):
        raise InvalidRequestError("stop must be a string or a list of strings, none empty")
    for name, value in given.items():
        if name not in _RANGES:
            raise InvalidRequestError(f"unknown sampling parameter {name!r}, known: {', '.join((*_RANGES, 'stop'))}")
        kind, low, high = _RANGES[name]
        if not isinstance(value, int | kind) or isinstance(value, bool) or not low <= value <= high:
            what = "an integer" if kind is int else "a number"
            raise InvalidRequestError(f"{name} must be {what} in [{low}, {high}]")
    return {**given, "stop": strings}


def words_of(parameters: dict[str, Any]) -> tuple[list[str], str]:
    """The script's words up to a stop string or the limit, each with the space before it, and why they end."""
    end = min((at for string in parameters["stop"] if (at := SCRIPT.find(string)) >= 0), default=len(SCRIPT))
    words = _WORD.findall(SCRIPT[:end])
    limit = parameters.get("max_tokens", len(words))
    return words[:limit], "length" if limit < len(words) else "stop"


def _value(request: Any, name: str, default: Any) -> Any:
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    if tensor is None:
        return default
    values = tensor.as_numpy().reshape(-1)
    if len(values) != 1:
        raise InvalidRequestError(f"{name} must hold one element, not {len(values)}")
    try:
        return values[0].decode() if isinstance(values[0], bytes) else values[0]
    except UnicodeDecodeError as error:
        raise InvalidRequestError(f"{name} is not UTF-8") from error


class TritonPythonModel:
    """The class that the Python backend looks for."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read how many words a prompt may have."""
        self._context_words = int(json.loads(args["model_config"])["parameters"]["context_words"]["string_value"])

    def execute(self, requests: list[Any]) -> None:
        """Answer the requests, one after the other: an answer takes milliseconds."""
        for request in requests:
            sender = request.get_response_sender()
            try:
                self._answer(request, sender)
            except InvalidRequestError as error:
                refusal = pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG)
                sender.send(pb_utils.InferenceResponse(error=refusal), pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    def _answer(self, request: Any, sender: Any) -> None:
        prompt = _value(request, "text_input", "")
        asked = len(prompt.split())
        if asked > self._context_words:
            raise InvalidRequestError(f"context length exceeded: {asked} input tokens, maximum {self._context_words}")
        words, reason = words_of(parse_sampling_parameters(_value(request, "sampling_parameters", "")))
        is_stream = bool(_value(request, "stream", default=False))
        has_prompt = not _value(request, "exclude_input_in_output", default=is_stream)
        if is_stream and has_prompt:
            raise InvalidRequestError("when streaming, exclude_input_in_output = false is not allowed")
        whole = (prompt if has_prompt else "") + "".join(words)
        pieces = [(word, 1) for word in words] if is_stream and words else [(whole, len(words))]
        for text, count in pieces[:-1]:
            sender.send(pb_utils.InferenceResponse(_tensors(request, text, "", asked, count)))
        last = pb_utils.InferenceResponse(_tensors(request, pieces[-1][0], reason, asked, pieces[-1][1]))
        sender.send(last, pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)


def _tensors(request: Any, text: str, reason: str, asked: int, count: int) -> list[Any]:
    extras = {
        "finish_reason": np.array([reason.encode()], dtype=np.object_),
        "num_input_tokens": np.array([asked], dtype=np.uint32),
        "num_output_tokens": np.array([count], dtype=np.uint32),
    }
    wanted = {name: value for name, value in extras.items() if _value(request, f"return_{name}", default=False)}
    outputs = {"text_output": np.array([text.encode()], dtype=np.object_), **wanted}
    return [pb_utils.Tensor(name, value) for name, value in outputs.items()]
