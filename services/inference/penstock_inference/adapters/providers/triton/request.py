"""From a generation's input to the tensors of Triton's vLLM backend.

https://github.com/triton-inference-server/vllm_backend describes the inputs.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import jinja2
import msgspec
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tritonclient.grpc import service_pb2

from penstock_common.llm.types import GenerationInput, Message, Reasoning, SamplingParams, Text
from penstock_inference.domain.failure import AttemptFailed, FailureKind, unsupported

# What text may hold of a marker is broken up, so that nobody's text poses as another turn.
CHATML = (
    "{% for message in messages %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] | replace('<|', '< |') }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""The template of a model that names none."""

# The generated code has no types.
_pb: Any = service_pb2

_JSON = msgspec.json.Encoder()
_SAMPLING_FIELDS = ("temperature", "top_p", "top_k", "seed", "presence_penalty", "frequency_penalty")
_TRUE = b"\x01"
_FLAGS = (
    "stream",
    "exclude_input_in_output",
    "return_finish_reason",
    "return_num_input_tokens",
    "return_num_output_tokens",
)
_BYTES_INPUTS = ("text_input", "sampling_parameters")


class ChatTemplate:
    """Renders a conversation by Hugging Face's convention, in a sandbox."""

    def __init__(self, source: str) -> None:
        """Compile the template.

        Raises:
            ValueError: if it is not one.
        """
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, autoescape=False)
        environment.globals["raise_exception"] = _raise_exception  # pyright: ignore[reportArgumentType] - globals is Any
        try:
            self._template = environment.from_string(source)
        except jinja2.TemplateError as error:
            raise ValueError(f"not a chat template: {error}") from None

    def render(self, messages: tuple[Message, ...]) -> str:
        """Return the prompt that asks for the next turn.

        Raises:
            AttemptFailed: BAD_REQUEST where the template refuses the conversation.
        """
        try:
            return self._template.render(
                messages=[{"role": message.role.value, "content": message.text} for message in messages],
                add_generation_prompt=True,
                continue_final_message=False,
                bos_token="",
                eos_token="",
            )
        except (jinja2.TemplateError, TypeError, ValueError) as error:
            raise AttemptFailed(FailureKind.BAD_REQUEST, f"the chat template refuses: {error}") from None


def _raise_exception(message: str) -> None:
    raise jinja2.TemplateError(message)


@dataclass(frozen=True, slots=True)
class TritonModel:
    """One model: how its prompt is written, and how many tokens it holds (0: unknown)."""

    template: ChatTemplate
    context_window_tokens: int = 0


def request_from_input(value: GenerationInput, name: str, model: TritonModel) -> Any:
    """Return the one ``ModelInferRequest`` of a decoupled stream.

    Raises:
        AttemptFailed: UNSUPPORTED for what this contract of tensors cannot say.
    """
    _refuse_unsupported(value)
    prompt = model.template.render(value.messages)
    sampling = _JSON.encode(_sampling(value.sampling, model.context_window_tokens))
    return _pb.ModelInferRequest(
        model_name=name,
        inputs=[
            *(_input(tensor, "BYTES") for tensor in _BYTES_INPUTS),
            *(_input(tensor, "BOOL") for tensor in _FLAGS),
        ],
        raw_input_contents=[
            _bytes_element(prompt.encode(errors="replace")),
            _bytes_element(sampling),
            *(_TRUE for _ in _FLAGS),
        ],
    )


def _refuse_unsupported(value: GenerationInput) -> None:
    if value.tools or any(message.tool_calls for message in value.messages):
        raise unsupported("tools")
    if value.tool_choice is not None:
        raise unsupported("tool_choice")
    if value.response_format is not None:
        raise unsupported("response_format")
    if value.extra_json:
        raise unsupported("extra fields", "are not supported")
    if value.sampling.top_logprobs is not None:
        raise unsupported("top_logprobs")
    if value.sampling.reasoning_effort:
        raise unsupported("reasoning_effort")
    for message in value.messages:
        if not all(isinstance(part, Text | Reasoning) for part in message.parts):
            raise unsupported("messages", "may hold text only for this model")


def _sampling(sampling: SamplingParams, context_window_tokens: int) -> dict[str, Any]:
    settings: dict[str, Any] = {
        name: setting for name in _SAMPLING_FIELDS if (setting := getattr(sampling, name)) is not None
    }
    # vLLM stops after 16 tokens where nothing is said, and at the window's end whatever is said.
    max_tokens = sampling.max_output_tokens or context_window_tokens
    if max_tokens:
        settings["max_tokens"] = max_tokens
    if sampling.stop:
        settings["stop"] = sampling.stop
    return settings


def _input(name: str, datatype: str) -> Any:
    return _pb.ModelInferRequest.InferInputTensor(name=name, datatype=datatype, shape=[1])


def _bytes_element(data: bytes) -> bytes:
    """Return one element of a BYTES tensor: its length in four bytes, little endian, and itself."""
    return struct.pack("<I", len(data)) + data
