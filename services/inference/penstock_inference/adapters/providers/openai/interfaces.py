"""Which of OpenAI's two interfaces a call takes, where an upstream has both."""

from __future__ import annotations

from penstock_common.llm.encrypted_reasoning import is_encrypted
from penstock_common.llm.types import GenerationInput, Opaque, Reasoning, Role, Text
from penstock_inference.adapters.providers.openai_responses.items import FORMAT
from penstock_inference.domain.model_facts import ModelFacts, Tools
from penstock_inference.domain.upstream import Upstream, UpstreamAnswer, UpstreamCall

_GREATEST_EFFORT = "max"


class BothInterfaces:
    """Asks by chat completions what they can be asked, and by the Responses API what they cannot."""

    def __init__(self, chat: Upstream, responses: Upstream) -> None:
        self._chat = chat
        self._responses = responses

    def ask(self, call: UpstreamCall) -> UpstreamAnswer:
        """Return the answer; see the port."""
        if needs_responses(call.input, call.facts):
            return self._responses.ask(call)
        return self._chat.ask(call)


def needs_responses(value: GenerationInput, facts: ModelFacts) -> bool:
    """Return whether chat completions cannot be asked it."""
    return (
        (bool(value.tools) and _tools_need_responses(value, facts))
        # Models that take tools there alone have their greatest effort there alone, too.
        or (value.sampling.reasoning_effort == _GREATEST_EFFORT and facts.tools_on_chat is Tools.NO)
        or _history_needs_responses(value)
    )


def _tools_need_responses(value: GenerationInput, facts: ModelFacts) -> bool:
    """Return whether chat completions refuse the tools: the model's, beside this effort, or those that only Responses run."""
    if facts.tools_on_chat is Tools.NO:
        return True
    if (
        facts.tools_on_chat is Tools.WITHOUT_EFFORT
        and (value.sampling.reasoning_effort or facts.default_effort) != "none"
    ):
        return True
    return any(tool.opaque is not None and tool.opaque.format == FORMAT for tool in value.tools)


def _history_needs_responses(value: GenerationInput) -> bool:
    """Return whether a turn holds what only the Responses API takes back; without it the model would think afresh."""
    assistant = Role.ASSISTANT
    # Nearly all parts are text, and a conversation has many.
    others = [
        part
        for message in value.messages
        if message.role is assistant
        for part in message.parts
        if type(part) is not Text
    ]
    return any(
        is_encrypted(part.hidden) if isinstance(part, Reasoning) else isinstance(part, Opaque) and part.format == FORMAT
        for part in others
    )
