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
from penstock_inference.domain.unsupported import FieldPolicy

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
_SMALLEST_TOP_P = 1e-6
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

    def render_begun(self, messages: tuple[Message, ...]) -> str:
        """Return the prompt that asks for more of the last turn, which is the assistant's; see ``render``."""
        return self.render(messages[:-1]) + messages[-1].text

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


def request_from_input(
    value: GenerationInput,
    name: str,
    model: TritonModel,
    policy: FieldPolicy | None = None,
    *,
    is_continued: bool = False,
) -> Any:
    """Return the one ``ModelInferRequest`` of a decoupled stream; ``policy`` notes what is left out.

    ``is_continued``: the last turn is the assistant's, and the model goes on with it.

    Raises:
        AttemptFailed: UNSUPPORTED for what this contract of tensors cannot say.
    """
    _check_fields(value, policy or FieldPolicy())
    render = model.template.render_begun if is_continued else model.template.render
    prompt = render(value.messages)
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


def _check_fields(value: GenerationInput, policy: FieldPolicy) -> None:
    """Check that nothing is asked for which this contract has no place; what may be left out is noted."""
    if value.tools or any(message.tool_calls for message in value.messages):
        raise unsupported("input.tools")
    if value.sampling.choices is not None and value.sampling.choices > 1:
        raise unsupported("input.sampling.choices")
    for name, path, is_asked in (
        ("response_format", "input.response_format", value.response_format is not None),
        ("logprobs", "input.sampling.top_logprobs", value.sampling.top_logprobs is not None),
        ("reasoning_effort", "input.sampling.reasoning_effort", bool(value.sampling.reasoning_effort)),
        *((name, f"input.extra_json.{name}", True) for name in _names_in(value.extra_json)),
    ):
        if is_asked:
            _leave_out(policy, name, path)
    for name in _names_in(value.hints_json):
        policy.drop(name)
    for index, message in enumerate(value.messages):
        for place, part in enumerate(message.parts):
            if not isinstance(part, Text | Reasoning):
                raise unsupported(f"input.messages[{index}].parts[{place}]", "must be text for this model")


def _leave_out(policy: FieldPolicy, name: str, path: str) -> None:
    if policy.sends(name, path):
        # There is no place to send it to, whatever the policy.
        raise unsupported(path)


def _names_in(text: str) -> list[str]:
    """Return the names of an object's members but of those that are false, which ask for nothing."""
    if not text:
        return []
    members = msgspec.json.decode(text)
    return [name for name, setting in members.items() if setting is not False] if isinstance(members, dict) else []


def _sampling(sampling: SamplingParams, context_window_tokens: int) -> dict[str, Any]:
    settings: dict[str, Any] = {
        name: setting for name in _SAMPLING_FIELDS if (setting := getattr(sampling, name)) is not None
    }
    if sampling.top_p == 0:
        # vLLM takes none, and this leaves one token as well.
        settings["top_p"] = _SMALLEST_TOP_P
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
